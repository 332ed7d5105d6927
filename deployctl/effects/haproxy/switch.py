"""Traffic through HAProxy: the live release is one line of route.map, changed by one command and read back.

Everything happens under the home's lock; the ledger's table is read inside it, so nothing stale is ever written. The
order of a change: the file, then the running HAProxy, then reading it back. HAProxy's route map decides which release
is live, so before a reload or restart the routes' file is made to match it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Switched
from deployctl.effects.haproxy.home import HaproxyHome, forget_notes, proxy_lock, read_notes
from deployctl.effects.haproxy.master import find_master, find_strays
from deployctl.effects.haproxy.process import HaproxyProcess
from deployctl.effects.haproxy.socket import answers, wire
from deployctl.effects.haproxy.socket.runtime import HaproxyRuntime, HaproxySockets
from deployctl.effects.haproxy.totals import HaproxyTotals
from deployctl.effects.haproxy.upkeep import HaproxyUpkeep
from deployctl.effects.linux.bridge import is_up
from deployctl.errors import DeployctlError, ProxyUnavailable, SwitchRefused
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.images.release import Probe
    from deployctl.domain.proxy.emergency import FlipNote
    from deployctl.domain.proxy.endurance import Frail
    from deployctl.domain.proxy.gate import GateAnswer
    from deployctl.domain.proxy.rejections import Rejection
    from deployctl.domain.proxy.traffic import Counters, StrayProxy, TrafficTable
    from deployctl.domain.proxy.trust import DroppedFront
    from deployctl.effects.haproxy.drift import ProxyFacts
    from deployctl.effects.haproxy.gate import HaproxyGate
    from deployctl.effects.haproxy.queue import HaproxyQueue
    from deployctl.effects.haproxy.trace import HaproxyTrace
    from deployctl.ports import Clock
    from deployctl.ports.traffic import QueueLack


class HaproxyTraffic:
    """HAProxy of one home. Public methods take the lock; the others expect it."""

    def __init__(self, folder: Path, spec: ServerSpec, table: Callable[[], TrafficTable], clock: Clock, *,
                 earlier: Sequence[Path] = ()) -> None:
        """`earlier` are the folders where the home's HAProxy may still run from: it was moved."""
        from deployctl.effects.haproxy.config.files import HaproxyFiles

        self._home = HaproxyHome(folder.absolute(), tuple(earlier))
        self._spec, self._table, self._clock = spec, table, clock
        self._sockets = HaproxySockets(self._home)
        self._process = HaproxyProcess(self._home, spec, self._sockets, clock)
        self._runtime = HaproxyRuntime(self._sockets.worker, clock)
        self._files = HaproxyFiles(self._home, spec)
        self._totals = HaproxyTotals(self._home, self._sockets, self._process.find_processes)
        self._upkeep = HaproxyUpkeep(self._home, self._process, self._runtime, self._files, self._totals, table)

    @cached_property
    def _trace(self) -> HaproxyTrace:
        from deployctl.effects.haproxy.trace import HaproxyTrace

        return HaproxyTrace(self._home, self._sockets)

    @cached_property
    def _gate(self) -> HaproxyGate:
        from deployctl.effects.haproxy.gate import HaproxyGate

        return HaproxyGate(self._trace, self._locked)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with proxy_lock(self._home, self._clock):
            yield

    # -- switch ---------------------------------------------------------------------------------------------------
    def switch(self, app: AppName, to: int | None, *, sure: Callable[[], object] = bool) -> Switched:
        """Switch the app's traffic. On any failure the former route is restored, in the file and in HAProxy."""
        with self._locked():
            sure()  # waiting for the lock may have taken time, and others may have decided meanwhile
            if not self._upkeep.looks_up():
                self._upkeep.ensure_up()
            try:
                return self._switch(app, to)
            except ProxyUnavailable:  # it looked alive and is not, or died in between
                self._upkeep.ensure_up()
                return self._switch(app, to)

    def _switch(self, app: AppName, to: int | None) -> Switched:
        from deployctl.effects.haproxy.config.files import first_release

        value = None if to is None else str(wire.require_number(to))
        was = self._ready_to_move(app, to)
        ms = self._move(app, value, was=was)
        return Switched(ms=ms, was=first_release(was or ""), now=to)

    def _ready_to_move(self, app: AppName, to: int | None) -> str | None:
        """Return the app's route, once HAProxy has the target server."""
        if to is not None:
            self._require_servable(wire.server_name(app, to))
        return self._runtime.find_entry(wire.ROUTE, wire.require_app(app))

    def _move(self, app: str, value: str | None, *, was: str | None) -> float:
        began = self._clock.now()
        routes = self._routes_on_disk()
        try:
            self._write_route(routes, app, value)
            self._runtime.put_entry(wire.ROUTE, app, value, was=was)
        except BaseException as e:
            self._put_back(routes, app, was, cause=e)
            raise
        return (self._clock.now() - began) * 1000

    def _routes_on_disk(self) -> dict[str, str]:
        found = self._files.find_map(wire.ROUTE)
        return self._runtime.entries(wire.ROUTE) if found is None else found

    def _write_route(self, routes: dict[str, str], app: str, value: str | None) -> None:
        others = {other: route for other, route in routes.items() if other != app}
        self._files.write_routes(dict(sorted({**others, **({} if value is None else {app: value})}.items())))

    def _put_back(self, routes: dict[str, str], app: str, was: str | None, *, cause: BaseException) -> None:
        try:
            self._write_route(routes, app, was)
            self._runtime.put_entry(wire.ROUTE, app, was, was=self._runtime.find_entry(wire.ROUTE, app))
        except (DeployctlError, OSError) as e:
            cause.add_note(f"could not restore the previous route of {app}: {e}")

    def _require_servable(self, server: str) -> None:
        """Ensure that HAProxy has this server enabled and that its bridge exists. Applies no full table unless it is
        missing."""
        if not self._is_ready(server):
            self._upkeep.sync()
            if not self._is_ready(server):
                raise SwitchRefused(f"HAProxy has no server {server}", remedy=["deployctl status"])
        for line in self._files.servers(server):
            if line.bridge is not None and not is_up(line.bridge):
                raise SwitchRefused(
                    f"{server} cannot be reached: its bridge {line.bridge} is not up",
                    remedy=[f"ip link show {line.bridge}"],
                )

    def _is_ready(self, server: str) -> bool:
        """Return whether HAProxy has its server, or one of its replicas and sends what is for it to them; every one of them
        is enabled."""
        written = self._files.servers(server)
        ready = [line for line in written if self._runtime.ensure_ready(line.place, line.id)]
        pool = wire.section_of(written[0].place) if written else wire.APPS
        return bool(ready) and (pool == wire.APPS or self._runtime.find_entry(wire.POOL, server) == pool)

    # -- the gate ---------------------------------------------------------------------------------------------------
    def ask(self, app: AppName, release: int, probe: Probe, *, replica: str = "") -> GateAnswer:
        """Probe through the private bind, without the lock: a response may take long, and nothing is changed."""
        server = ".".join(filter(None, [wire.server_name(app, release), replica]))
        try:
            return self._gate.ask(self._files.gate(), server, probe)
        except (FileNotFoundError, ConnectionRefusedError):
            with self._locked():
                self._upkeep.open_gate()
        try:
            return self._gate.ask(self._files.gate(), server, probe)
        except OSError as e:
            raise ProxyUnavailable(f"cannot connect to HAProxy on {self._files.gate()}: {e.strerror or e}",
                                   remedy=["deployctl doctor"]) from e

    def refusals(self) -> list[Rejection]:
        with self._locked():
            return self._trace.read()

    # -- the queue ---------------------------------------------------------------------------------------------------
    @cached_property
    def _queue(self) -> HaproxyQueue:
        from deployctl.effects.haproxy.queue import HaproxyQueue

        return HaproxyQueue(self._files, self._runtime, self._sockets, self._upkeep, self._leaving)

    def queue_lack(self) -> QueueLack | None:
        from deployctl.effects.haproxy.queue import queue_lack

        return queue_lack(self._spec)

    def queue(self, app: AppName, *, seconds: float) -> None:
        with self._locked():
            self._upkeep.ensure_up()
            self._queue.hold(app, seconds)

    def release_queue(self, app: AppName, *, unless: Callable[[], bool] = bool) -> None:
        with self._locked():
            if not unless():
                self._queue.release(app)

    def queues(self) -> dict[AppName, float]:
        with self._locked():
            return self._queue.waiting()

    # -- up, in sync ----------------------------------------------------------------------------------------------
    def ensure_up(self) -> bool:
        """Start a dead HAProxy, adopt a living one, and restore missing files and sockets of either."""
        with self._locked():
            return self._upkeep.ensure_up()

    def sync(self) -> int:
        """Apply the ledger's table to HAProxy and its files; which release is live stays the same."""
        with self._locked():
            self._upkeep.ensure_up()
            return self._upkeep.sync()

    def refresh_previews(self) -> None:
        with self._locked():
            self._upkeep.refresh_previews()

    # -- reading HAProxy ------------------------------------------------------------------------------------------
    def routes(self) -> dict[AppName, int]:
        from deployctl.effects.haproxy.config.files import releases

        with self._locked():
            found = self._runtime.entries(wire.ROUTE)
        return {AppName(app): number for app, number in releases(found)}

    def counters(self) -> dict[tuple[AppName, int], Counters]:
        """Return the counts of each release that is routed to or ever was."""
        with self._locked():
            return self._totals.read()

    def in_flight(self, app: AppName, release: int, *, replica: str = "") -> int:
        """Count the open requests to a release's servers, or to that one of them, in all workers: one that finishes after a
        reload counts separately."""
        name = wire.server_name(app, release)
        server = f"{name}.{replica}" if replica else name
        with self._locked():
            show = self._shows(name)
            replies = [self._sockets.worker(show), *(self._sockets.leaving(pid, show) for pid in self._leaving())]
        counted = [(found, stat) for reply in replies for found, stat in answers.parse_stat(reply).items()]
        return sum(stat.in_flight for found, stat in counted if found == server or found.startswith(f"{server}."))

    def _shows(self, name: str) -> str:
        """Return the commands that list the servers of a release; all of `apps` if it has none in the configuration."""
        lines = self._files.servers_of(name)
        if [line.place for line in lines] == [name]:
            return wire.show_stat(lines[0].id)
        sections = dict.fromkeys([wire.APPS, *(wire.section_of(line.place) for line in lines), *self._pools_of(name)])
        return ";".join(wire.show_stat(section=section) for section in sections)

    def _pools_of(self, name: str) -> list[str]:
        """Return the pools that HAProxy still has servers of that release in: those whose replicas are ending."""
        if wire.POOL not in self._files.configuration():
            return []
        return [server.section for server in self._runtime.servers().values() if answers.of_release(server.name) == name]

    def _leaving(self) -> tuple[int, ...]:
        found = self._process.find_processes()
        if found is None:
            raise ProxyUnavailable("HAProxy's master is not responding", remedy=["deployctl doctor"])
        return found.leaving

    def cut(self, app: AppName, release: int, *, replica: str = "") -> None:
        """Close what is still open to a release's servers, or to that one of them, in all workers."""
        name = wire.server_name(app, release)
        server = f"{name}.{replica}" if replica else name
        with self._locked():
            ends = {found.place for found in self._runtime.servers().values()
                    if found.name == server or found.name.startswith(f"{server}.")}
            command = ";".join(wire.cut_sessions(place) for place in sorted(ends | (set() if replica else {name})))
            self._sockets.worker(command)
            for pid in self._leaving():
                self._sockets.leaving(pid, command)

    def drift(self) -> list[str]:
        """Compare files, HAProxy and ledger; each difference is a sentence."""
        from deployctl.effects.haproxy.drift import find_drift

        with self._locked():
            if self.pid() is None:
                return ["HAProxy is not running"]
            table = self._files.leased(self._table())
            return find_drift(table, self._facts(table))

    def _facts(self, table: TrafficTable) -> ProxyFacts:
        from deployctl.effects.haproxy.config import text as config
        from deployctl.effects.haproxy.drift import ProxyFacts

        names = (wire.ROUTE, *config.maps(table))
        return ProxyFacts(
            written=self._files.configuration(),
            expected=self._files.expected(table),
            running_token=self._process.find_token(),
            on_disk={name: self._files.find_map(name) for name in names},
            running={name: self._entries(name) for name in names},
            servers=self._runtime.servers(),
            deaf=self._process.deaf(),
        )

    def _entries(self, name: str) -> dict[str, str]:
        """Return a map of HAProxy's; nothing for one that it has not loaded, because it has yet to reload for it."""
        try:
            return self._runtime.entries(name)
        except SwitchRefused:
            if name in {wire.POOL, wire.PORT}:
                return {}
            raise

    def dropped_fronts(self) -> dict[AppName, DroppedFront]:
        try:
            with self._locked():
                found = self._runtime.entries(wire.FRONT)
        except (ProxyUnavailable, SwitchRefused):  # dead, or started before it could record them
            return {}
        return self._files.dropped_fronts(found, self._table()) if found else {}

    def notes(self) -> list[FlipNote]:
        return read_notes(self._home)

    def forget_notes(self, taken: Sequence[FlipNote]) -> None:
        with self._locked():
            forget_notes(self._home, taken)

    def pid(self) -> int | None:
        return find_master(self._home)

    def frailties(self) -> tuple[Frail, ...]:
        return self._process.frailties()

    def strays(self) -> list[StrayProxy]:
        return find_strays(self._home)

    def stop(self) -> None:
        """Stop HAProxy; all its files except the sockets and the pid stay."""
        with self._locked():
            self._process.stop()
