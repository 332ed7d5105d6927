"""HAProxy in two halves: files that survive it, and a worker that does not. Every change is cut into its true steps.

The order is that of effects/haproxy/switch.py: file, worker, read back; on failure the former route is restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from deployctl.domain.images.release import Probe
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.emergency import FlipNote
from deployctl.domain.proxy.endurance import Frail
from deployctl.domain.proxy.gate import GateAnswer
from deployctl.domain.proxy.rejections import Cause, Rejection
from deployctl.domain.proxy.traffic import Backend, Counters, StrayProxy, Switched, TrafficTable
from deployctl.domain.proxy.trust import DroppedFront
from deployctl.errors import DeployctlError, ProxyUnavailable, SwitchRefused
from deployctl.ports import Traffic
from deployctl.ports.traffic import QueueLack

Server = tuple[AppName, int]
Previews = frozenset[tuple[str, str, int, bool]]
Listens = frozenset[object]


@dataclass
class Carried:
    """What a configuration, or the worker that was started from it, carries."""

    servers: dict[Server, dict[str, Backend]] = field(default_factory=dict)  # of each release, by name
    previews: Previews = frozenset()
    listens: Listens = frozenset()

    def copy(self) -> Carried:
        return Carried(dict(self.servers), self.previews, self.listens)


def carried_by(table: TrafficTable) -> Carried:
    """Return what HAProxy carries once it is in sync with the table."""
    previews = frozenset((b.app, b.version, b.release, b.held) for b in table.backends if b.preview)
    listens: Listens = frozenset([*table.listens.items(), *table.hosts.items(), *table.ports.items()])
    servers: dict[Server, dict[str, Backend]] = {}
    for b in table.backends:
        servers.setdefault((b.app, b.release), {})[b.name] = b
    return Carried(servers, previews, listens)


class SimulatedTraffic(Traffic):
    """`step` is called between the parts of a change; it may raise, or let the worker die."""

    def __init__(self, table: Callable[[], TrafficTable]) -> None:
        self._table = table
        self.step: Callable[[str], None] = lambda part: None
        self.deaf_once = False  # the next `set map` is answered but not done
        self.file_routes: dict[AppName, int] | None = None  # None: route.map is not there
        self.file = Carried()
        self.worker: Carried | None = None  # None: HAProxy is dead
        self.now: Callable[[], float] = float
        self.queued: dict[AppName, float] = {}  # apps whose requests wait, and until when; they go on by themselves then
        self.live: dict[AppName, int] = {}
        self.open: dict[Server, int] = {}

    def copy(self, table: Callable[[], TrafficTable]) -> SimulatedTraffic:
        other = SimulatedTraffic(table)
        other.file_routes = None if self.file_routes is None else dict(self.file_routes)
        other.file, other.live = self.file.copy(), dict(self.live)
        other.worker = self.worker.copy() if self.worker else None
        other.queued = dict(self.queued)
        return other

    # -- up, in sync ----------------------------------------------------------------------------------------------
    def ensure_up(self) -> bool:
        if self.worker is not None:
            return False
        if not self.file_routes:
            table = self._table()
            self.file_routes = _kept(self.file_routes or dict(table.actives), table)
            self.step("route.map is written")
            self.file = carried_by(table)
            self.step("haproxy.cfg is written")
        self.worker, self.live = self.file.copy(), dict(self.file_routes)
        return True

    def sync(self) -> int:
        self.ensure_up()
        self._sync()
        return 0

    def _sync(self) -> None:
        table = self._table()
        self.file_routes = routes = _kept(self._worker_routes(), table)
        self.step("route.map is written")
        self.file = wanted = carried_by(table)
        self.step("haproxy.cfg and maps are written")
        worker = self._require_up()
        worker.listens = wanted.listens
        worker.servers.update(wanted.servers)
        self.step("servers are added")
        worker = self._require_up()
        worker.previews, self.live = wanted.previews, dict(routes)
        worker.servers = {s: b for s, b in worker.servers.items() if s in wanted.servers or self.live.get(s[0]) == s[1]}

    def refresh_previews(self) -> None:
        previews = carried_by(self._table()).previews
        self.file = replace(self.file, previews=previews)
        self.step("known.map is written")
        self._require_up().previews = previews

    # -- queue ----------------------------------------------------------------------------------------------------
    def queue_lack(self) -> QueueLack | None:
        return None

    def queue(self, app: AppName, *, seconds: float) -> None:
        self.ensure_up()
        self.queued[app] = self.now() + seconds

    def release_queue(self, app: AppName, *, unless: Callable[[], bool] = bool) -> None:
        if not unless():
            self.queued.pop(app, None)

    def queues(self) -> dict[AppName, float]:
        left = {app: until - self.now() for app, until in self.queued.items()}
        return {app: rest for app, rest in left.items() if rest > 0}

    # -- switch ---------------------------------------------------------------------------------------------------
    def switch(self, app: AppName, to: int | None, *, sure: Callable[[], object] = bool) -> Switched:
        sure()
        self.ensure_up()
        try:
            return self._switch(app, to)
        except ProxyUnavailable:
            self.ensure_up()
            return self._switch(app, to)

    def _switch(self, app: AppName, to: int | None) -> Switched:
        if to is not None:
            self._require_servable((app, to))
        was, routes = self._worker_routes().get(app), dict(self.file_routes or {})
        try:
            self.file_routes = _moved(routes, app, to)
            self.step("route.map is written")
            self._set_map(app, to)
            self.step("set map is answered")
            self.read_back(app, to)
        except DeployctlError:
            self._put_back(routes, app, was)
            raise
        return Switched(ms=0.1, was=was, now=to)

    def _require_servable(self, server: Server) -> None:
        if server not in self.file.servers or server not in self._require_up().servers:
            self._sync()
        if server not in self.file.servers or server not in self._require_up().servers:
            raise SwitchRefused(f"HAProxy has no server {server[0]}.{server[1]}")

    def _set_map(self, app: AppName, to: int | None) -> None:
        self._require_up()
        deaf, self.deaf_once = self.deaf_once, False
        if not deaf:
            self.live = _moved(self.live, app, to)

    def read_back(self, app: AppName, to: int | None) -> None:
        """Raise SwitchRefused unless HAProxy itself names that release."""
        if self._worker_routes().get(app) != to:
            raise SwitchRefused(f"HAProxy was told to send {app} to {to} and does not")

    def _put_back(self, routes: dict[AppName, int], app: AppName, was: int | None) -> None:
        self.file_routes = _moved(routes, app, was)
        self.step("the former route.map is written")
        if self.worker is not None:
            self.live = _moved(self.live, app, was)

    # -- what HAProxy says ----------------------------------------------------------------------------------------
    def routes(self) -> dict[AppName, int]:
        return dict(self._worker_routes())

    def ask(self, app: AppName, release: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        self.ensure_up()
        self.step("the gate is asked")
        servers = self._require_up().servers.get((app, release), {})
        if not servers or (replica and f"{app}.{release}.{replica}" not in servers):
            return GateAnswer("HAProxy's own 503", Cause.UNREACHABLE, 503)
        return GateAnswer(f"GET {probe.path} gave 200", status=200)

    def refusals(self) -> list[Rejection]:
        self._require_up()
        return []

    def counters(self) -> dict[Server, Counters]:
        return {server: Counters() for server in self._require_up().servers}

    def in_flight(self, app: AppName, release: int, *, replica: str = "") -> int:
        self._require_up()
        left = self.open.get((app, release), 0)
        self.open[app, release] = max(0, left - 1)
        return left

    def cut(self, app: AppName, release: int, *, replica: str = "") -> None:
        self._require_up()
        self.open.pop((app, release), None)

    def drift(self) -> list[str]:
        """Name where files, worker and table differ."""
        if self.worker is None:
            return ["HAProxy is not running"]
        wanted, found = carried_by(self._table()), list[str]()
        for name, carried in (("haproxy.cfg", self.file), ("HAProxy", self.worker)):
            if carried.servers != wanted.servers:
                found.append(f"{name} carries the servers {_names(carried.servers)}, not {_names(wanted.servers)}")
            if carried.listens != wanted.listens:
                found.append(f"{name} has other addresses than the ledger")
            if carried.previews != wanted.previews:
                found.append(f"{name} lets header and cookie name {sorted(carried.previews)}, not {sorted(wanted.previews)}")
        return found + ([] if self.file_routes == self.live else [f"route.map says {self.file_routes}, HAProxy {self.live}"])

    def dropped_fronts(self) -> dict[AppName, DroppedFront]:
        return {}

    def notes(self) -> list[FlipNote]:
        return []

    def forget_notes(self, taken: Sequence[FlipNote]) -> None:
        """Nobody leaves notes here."""

    def frailties(self) -> tuple[Frail, ...]:
        return ()

    def pid(self) -> int | None:
        return None if self.worker is None else 4242

    def strays(self) -> list[StrayProxy]:
        return []

    def stop(self) -> None:
        self.die()

    def die(self) -> None:
        """End as if it was killed; the files stay."""
        self.worker, self.live = None, {}

    def _require_up(self) -> Carried:
        if self.worker is None:
            raise ProxyUnavailable("HAProxy is not responding", remedy=["deployctl doctor"])
        return self.worker

    def _worker_routes(self) -> dict[AppName, int]:
        self._require_up()
        return self.live


def _names(servers: Iterable[Server]) -> list[str]:
    return sorted(f"{app}.{release}" for app, release in servers)


def _moved(routes: dict[AppName, int], app: AppName, to: int | None) -> dict[AppName, int]:
    others = {other: release for other, release in routes.items() if other != app}
    return others if to is None else {**others, app: to}


def _kept(routes: dict[AppName, int], table: TrafficTable) -> dict[AppName, int]:
    apps = {*table.listens, *table.hosts.values(), *table.actives, *(b.app for b in table.backends)}
    return {app: release for app, release in routes.items() if app in apps}
