"""Traffic in memory. It keeps the promises of the port; what a test does to it has a method of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployctl.dataclass import replace
from deployctl.domain.images.release import Probe
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.emergency import FlipNote
from deployctl.domain.proxy.endurance import Frail
from deployctl.domain.proxy.gate import GateAnswer
from deployctl.domain.proxy.rejections import Cause, Rejection
from deployctl.domain.proxy.traffic import Counters, StrayProxy, Switched, TrafficTable
from deployctl.domain.proxy.trust import DroppedFront
from deployctl.errors import ProxyUnavailable, SwitchRefused
from deployctl.ports import Traffic
from deployctl.ports.traffic import QueueLack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FakeServer = tuple[AppName, int]


class FakeTraffic(Traffic):
    """Routes no requests, but knows which release would get them."""

    def __init__(self, table: Callable[[], TrafficTable]) -> None:
        self._table = table
        self._up = False
        self._routes: dict[AppName, int] | None = None  # None: the route map is lost
        self._servers: dict[FakeServer, set[str]] = {}  # a release's replicas; "": one server is all it has
        self._counters: dict[FakeServer, Counters] = {}
        self._open: dict[tuple[AppName, int, str], int] = {}
        self._closing = 0
        self._edits: list[str] = []
        self._refusals_left: list[str] = []
        self._notes: list[FlipNote] = []
        self.frail: tuple[Frail, ...] = ()
        self.fronts: dict[AppName, DroppedFront] = {}
        self.strays_here: list[StrayProxy] = []
        self._unfit: dict[tuple[AppName, int, str], GateAnswer] = {}
        self.lack: QueueLack | None = None  # why requests cannot be queued
        self._queued: dict[AppName, float] = {}
        self._refusals: list[Rejection] = []
        self.switches: list[tuple[AppName, Switched]] = []  # in the order they were confirmed

    # -- the port -------------------------------------------------------------------------------------------------
    def ensure_up(self) -> bool:
        if self._up:
            return False
        if self._routes is None:
            self._carry(self._table())
        self._up = True
        return True

    def sync(self) -> int:
        self.ensure_up()
        self._carry(self._table())
        self._edits.clear()
        closed, self._closing = self._closing, 0
        return closed

    def refresh_previews(self) -> None:
        self._require_up()

    def _carry(self, table: TrafficTable) -> None:
        routes = dict(table.actives) if self._routes is None else self._routes
        apps = {*table.listens, *table.hosts.values(), *table.actives, *(b.app for b in table.backends)}
        self._routes = {app: release for app, release in routes.items() if app in apps}
        self._servers = {}
        for backend in table.backends:
            parts = self._servers.setdefault((backend.app, backend.release), set())
            parts.add(f"{backend.part}.{backend.replica}" if backend.replica else backend.part)
        self._require_pools(table)
        self._counters = {server: counted for server, counted in self._counters.items() if server[0] in apps}

    def _require_pools(self, table: TrafficTable) -> None:
        """What has replicas leases a pool, of which a home has as many as releases that may have some."""
        pooled = {backend.of for backend in table.backends if backend.replica}
        if len(pooled) > table.replicated:
            raise SwitchRefused("HAProxy has no free pool for another release with replicas")

    def routes(self) -> dict[AppName, int]:
        self._require_up()
        return dict(self._routes or {})

    def switch(self, app: AppName, to: int | None, *, sure: Callable[[], object] = bool) -> Switched:
        """Switch immediately. SwitchRefused for a release that is not routed to, or if the test set that up."""
        sure()
        self.ensure_up()
        if to is not None:
            self._require_carried((app, to))
        self._require_agreement()
        switched = Switched(ms=0.1, was=self.routes().get(app), now=to)
        self._routes = {other: release for other, release in self.routes().items() if other != app}
        if to is not None:
            self._routes[app] = to
        self.switches.append((app, switched))
        return switched

    def _require_carried(self, server: FakeServer) -> None:
        if server not in self._servers:
            self._carry(self._table())
        if server not in self._servers:
            raise SwitchRefused(f"HAProxy has no server {server[0]}.{server[1]}", remedy=["deployctl status"])

    def _require_agreement(self) -> None:
        if self._refusals_left:
            raise SwitchRefused(self._refusals_left.pop())

    def ask(self, app: AppName, release: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        self.ensure_up()
        message, parts = f"GET {probe.path} gave", self._servers.get((app, release), set())
        if not parts or (replica and replica not in parts):
            return GateAnswer(f"{message} HAProxy's own 503", Cause.UNREACHABLE, 503)
        unfit = self._unfit.get((app, release, replica)) or self._unfit.get((app, release, ""))
        return unfit or GateAnswer(f"{message} 200", status=200, ms=0.1)

    def queue_lack(self) -> QueueLack | None:
        return self.lack

    def queue(self, app: AppName, *, seconds: float) -> None:
        self.ensure_up()
        self._require_agreement()
        self._queued[app] = seconds

    def release_queue(self, app: AppName, *, unless: Callable[[], bool] = bool) -> None:
        if not unless():
            self._queued.pop(app, None)

    def queues(self) -> dict[AppName, float]:
        return dict(self._queued)

    def refusals(self) -> list[Rejection]:
        return list(self._refusals)

    def counters(self) -> dict[FakeServer, Counters]:
        self._require_up()
        return {server: Counters() for server in self._servers} | self._counters

    def in_flight(self, app: AppName, release: int, *, replica: str = "") -> int:
        self._require_up()
        return sum(count for (of, number, part), count in self._open.items()
                   if (of, number) == (app, release) and replica in {"", part})

    def cut(self, app: AppName, release: int, *, replica: str = "") -> None:
        self._require_up()
        self._open = {at: count for at, count in self._open.items() if at[:2] != (app, release) or replica not in {"", at[2]}}

    def drift(self) -> list[str]:
        return list(self._edits) if self._up else ["HAProxy is not running"]

    def dropped_fronts(self) -> dict[AppName, DroppedFront]:
        return dict(self.fronts)

    def notes(self) -> list[FlipNote]:
        return list(self._notes)

    def forget_notes(self, taken: Sequence[FlipNote]) -> None:
        self._notes = [note for note in self._notes if note not in taken]

    def frailties(self) -> tuple[Frail, ...]:
        return self.frail

    def pid(self) -> int | None:
        return 4242 if self._up else None

    def strays(self) -> list[StrayProxy]:
        return list(self.strays_here)

    def stop(self) -> None:
        self._up = False

    def _require_up(self) -> None:
        if not self._up:
            raise ProxyUnavailable("HAProxy is not responding", remedy=["deployctl doctor"])

    # -- what a test does to it -----------------------------------------------------------------------------------
    def die(self, *, losing_the_routes: bool = False) -> None:
        """End as if killed; the files stay, or the route map is lost as well."""
        self._up = False
        if losing_the_routes:
            self._routes = None

    def refuse_next(self, why: str, *, times: int = 1) -> None:
        """Make the next switches fail like those that HAProxy does not confirm."""
        self._refusals_left = [why] * times

    def spoil(self, app: AppName, release: int, cause: Cause | None, *, status: int = 502, detail: str = "",
              replica: str = "") -> None:
        """Keep that release's or replica's responses from clients, for that cause; None: let them through again."""
        self._unfit.pop((app, release, replica), None)
        if cause is not None:
            self._unfit[app, release, replica] = GateAnswer(f"GET / gave HAProxy's own {status}", cause, status, detail)

    def refuse_visitor(self, refusal: Rejection) -> None:
        """Add one of HAProxy's own responses to a client."""
        self._refusals.append(refusal)

    def close_with_next_reload(self, connections: int) -> None:
        """Make the next sync reload, and end a worker with that many connections."""
        self._closing = connections

    def hold_open(self, app: AppName, release: int, requests: int, *, replica: str = "") -> None:
        self._open[app, release, replica] = requests

    def count(self, app: AppName, release: int, counters: Counters) -> None:
        self._counters[app, release] = counters

    def visit(self, app: AppName, status: int | None) -> None:
        """Send a client's request to the app, to which the live release responds with that status; None is no valid
        response."""
        server = app, self.routes()[app]
        was, answers = self._counters.get(server, Counters()), "failed" if status is None else f"answers_{status // 100}xx"
        ended = "failed" if status is None else "answered"
        recent = replace(was.recent, **{ended: getattr(was.recent, ended) + 1})
        more: dict[str, Any] = {answers: getattr(was, answers) + 1, "answered": was.answered + (status is not None)}
        self._counters[server] = replace(was, requests=was.requests + 1, response_ms=1.0, recent=recent, **more)

    def flip(self, app: AppName, to: int | None, note: FlipNote | None = None) -> None:
        """Switch the traffic outside deployctl, with or without a note."""
        self._routes = {other: release for other, release in self.routes().items() if other != app}
        if to is not None:
            self._routes[app] = to
        self._notes += [note] if note else []

    def edit(self, sentence: str) -> None:
        """Simulate a manual change; the next sync corrects it."""
        self._edits.append(sentence)
