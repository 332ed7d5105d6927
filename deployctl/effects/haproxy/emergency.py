"""Switch an app's traffic with nothing but HAProxy's socket and files: no ledger, no engine, no other process of ours.

The file first, then the running HAProxy, then reading it back; a dead HAProxy is started from its files. A note is left
for the ledger, and failing to write it stops nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.domain.proxy.emergency import FlipNote, Flipped, find_flippable, version_of
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.files import HaproxyFiles, first_release
from deployctl.effects.haproxy.home import add_note, proxy_lock
from deployctl.effects.haproxy.master import find_master
from deployctl.effects.haproxy.process import HaproxyProcess
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.runtime import HaproxyRuntime, HaproxySockets
from deployctl.errors import DeployctlError, NotFound, ProxyUnavailable, Refused, SwitchRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.domain.proxy.emergency import Flippable
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.ports import Clock, Prober

EMERGENCY_LOCK_WAIT = 2.0  # seconds to wait for another process of ours that holds HAProxy's files
ASKING = Probe(kind=ProbeKind.TCP, timeout=1.0)


@dataclass(slots=True)
class HaproxyEmergency:
    """`spec` is read only if HAProxy has to be started."""

    home: HaproxyHome
    spec: Callable[[], ServerSpec]
    clock: Clock
    prober: Prober
    force: bool = False  # proceed where a wrong guess would harm: without the lock, to a target that does not respond
    warnings: list[str] = field(default_factory=list)
    sockets: HaproxySockets = field(init=False)
    runtime: HaproxyRuntime = field(init=False)
    files: HaproxyFiles = field(init=False)

    def __post_init__(self) -> None:
        self.sockets = HaproxySockets(self.home)
        self.runtime = HaproxyRuntime(self.sockets.worker, self.clock)
        self.files = HaproxyFiles(self.home, ServerSpec())

    def flip(self, app: AppName, version: Version, *, release: int | None = None, actor: str, note: str) -> Flipped:
        """Switch the app's traffic to that version, or to one named release of it.

        Raises NotFound, SwitchRefused (HAProxy has no such server), Refused (the target does not respond) or
        ProxyUnavailable (locked by another process, or neither running nor startable).
        """
        if not self.home.folder.is_dir():
            raise NotFound(f"{self.home.folder} does not exist: HAProxy has never run for this home.",
                           remedy=["deployctl --home DIR emergency flip APP VERSION"])
        with ExitStack() as stack:
            self._lock(stack, f"deployctl emergency flip {app} {version} --force")
            running = self._running()
            versions = self._map(wire.VERSION, running=running)
            found = find_flippable(app, version, known=self._map(wire.KNOWN, running=running), versions=versions,
                                   release=release)
            self._require_servable(wire.server_name(app, found.number), running=running)
            if found.held:
                self.warnings.append(f"{version} is on hold; traffic is switched to it anyway")
            return self._flip(app, version, found, versions, running=running, actor=actor, note=note)

    # -- before -----------------------------------------------------------------------------------------------------
    def _lock(self, stack: ExitStack, forced: str) -> None:
        """Take the home's proxy lock, which a frozen holder loses; a living holder is reported, and with force
        ignored."""
        try:
            stack.enter_context(proxy_lock(self.home, self.clock, patience=EMERGENCY_LOCK_WAIT))
        except ProxyUnavailable as e:
            if not self.force:
                raise ProxyUnavailable(f"{e.message}. Nothing was changed.", remedy=[forced, *e.remedy]) from e
            self.warnings.append(f"{e.message}; proceeding without the lock")

    def _running(self) -> bool:
        """Return whether HAProxy responds."""
        try:
            return bool(self.sockets.worker(wire.SHOW_VERSION).strip())
        except ProxyUnavailable:
            return False

    def _map(self, name: str, *, running: bool) -> Mapping[str, str]:
        """Return a map from its file, or from HAProxy if the file is lost."""
        found = self.files.find_map(name)
        if found is not None:
            return found
        return self.runtime.entries(name) if running else {}

    def _require_servable(self, server: str, *, running: bool) -> None:
        """Raise if HAProxy has no such server, or if nothing responds at its address."""
        lines = self.files.servers(server)
        if running:
            ready = [self.runtime.ensure_ready(line.place, line.id) for line in lines]
            has = any(ready) if lines else self.runtime.ensure_ready(server, wire.ALL_SERVERS)
        else:
            has = bool(lines)
        if not has:
            raise SwitchRefused(f"HAProxy has no server {server}. Nothing was changed.")
        if not lines:
            return
        servers = config.servers_of(self.files.configuration())
        for line in lines:  # one replica that responds is enough
            address, _, port = servers[line.place][0].rpartition(":")
            answer = self.prober.ask(ASKING, address.strip("[]"), int(port), host=server, bridge=line.bridge)
            if answer.ok:
                return
        if not self.force:
            raise Refused(f"{server} is not responding at {address}:{port}: {answer.sentence}. Nothing was changed.",
                          remedy=["retry with --force to switch anyway"])
        self.warnings.append(f"{server} is not responding at {address}:{port}: {answer.sentence}")

    # -- the switch -------------------------------------------------------------------------------------------------
    def _flip(self, app: AppName, version: Version, found: Flippable, versions: Mapping[str, str], *, running: bool,
              actor: str, note: str) -> Flipped:
        began, routes = self.clock.now(), self._routes(app, versions, running=running)
        was = self.runtime.find_entry(wire.ROUTE, app) if running else routes.get(app)
        source, value = first_release(was or ""), str(found.number)
        self._write({**routes, app: value})
        if was != value or routes.get(app) != value:
            self._note(FlipNote(self.clock.utc(), app, source, found.number, version, actor, note))
        if running:
            self._set(app, value, was, routes)
        else:
            self._start(app, version, value)
        ms = (self.clock.now() - began) * 1000
        return Flipped(app, version, found.number, version_of(app, source, versions), source, round(ms, 3),
                       not running, tuple(self.warnings))

    def _routes(self, app: AppName, versions: Mapping[str, str], *, running: bool) -> Mapping[str, str]:
        """Return the live release of every app; the route of another app is never lost to a guess."""
        found = self.files.find_map(wire.ROUTE)
        if found is not None or running:
            return self.runtime.entries(wire.ROUTE) if found is None else found
        others = sorted({key.partition(".")[0] for key in versions} - {app})
        if others and not self.force:
            raise ProxyUnavailable(f"{wire.ROUTE} is gone and HAProxy is not running: the live versions of "
                                   f"{', '.join(others)} are unknown. Nothing was changed.",
                                   remedy=["retry with --force; the other apps then return 503"])
        return {}

    def _write(self, routes: Mapping[str, str]) -> None:
        """Write the file. A full disk is no reason not to switch."""
        try:
            self.files.write_routes(dict(sorted(routes.items())))
        except OSError as e:
            self.warnings.append(f"{wire.ROUTE} could not be written ({e.strerror}): a restart of HAProxy would restore "
                                 "the previous route")

    def _note(self, note: FlipNote) -> None:
        try:
            add_note(self.home, note)
        except OSError as e:
            self.warnings.append(f"could not leave a note for the ledger ({e.strerror})")

    def _set(self, app: AppName, value: str, was: str | None, routes: Mapping[str, str]) -> None:
        """Tell the running HAProxy and read it back; if rejected, the file is restored."""
        try:
            self.runtime.put_entry(wire.ROUTE, app, value, was=was)
        except SwitchRefused:
            self._write(routes)
            raise

    def _start(self, app: AppName, version: Version, value: str) -> None:
        """Start HAProxy from its files, or make one whose sockets are gone reload them."""
        process = HaproxyProcess(self.home, self.spec(), self.sockets, self.clock)
        try:
            master = find_master(self.home)
            if master is None:
                process.start()
            elif self.home.master.exists():
                raise ProxyUnavailable(f"its master (pid {master}) is running but not responding",
                                       remedy=[f"kill -CONT {master}"])
            else:
                process.revive_master_socket(master)
            confirmed = self.runtime.find_entry(wire.ROUTE, app) == value
        except (DeployctlError, OSError) as e:
            raise self._not_running(app, version, e, shlex.join(process.words())) from e
        if not confirmed:
            raise SwitchRefused(f"HAProxy was started, but does not route {app} to {version}", remedy=["deployctl doctor"])

    def _not_running(self, app: AppName, version: Version, cause: DeployctlError | OSError, command: str) -> ProxyUnavailable:
        error = ProxyUnavailable(
            f"{wire.ROUTE} now routes {app} to {version}, but HAProxy is not running and could not be started: {cause}. "
            "All apps are down until it runs", remedy=[*getattr(cause, "remedy", ()), command])
        error.details = [*getattr(cause, "details", ()), *self.warnings]
        return error
