"""What `deployctl serve` runs beside the watcher, in threads that can neither stop nor delay it: the metrics collector, the
daily check of the ledger, and the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from sys import setswitchinterval
from threading import Event, Lock, Thread

from deployctl.cli.daily_check import DailyCheck, verify_command
from deployctl.config.settings import Settings
from deployctl.dataclass import dataclass
from deployctl.domain.host.server import WebSpec
from deployctl.domain.inputs.addresses import write_address
from deployctl.errors import DeployctlError
from deployctl.ports import Clock, Services
from deployctl.watch.sampler import MetricsSampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flask import Flask

    from deployctl_web.http.server import DashboardServer
    from deployctl_web.state import WebState

PORT_RETRY_SECONDS = 10.0  # seconds before a port that was taken is tried again
# Seconds that one of Python's threads may keep the others waiting: a rollback is some hundred short waits for SQLite and
# HAProxy, and after each it would wait up to 5 ms, Python's usual interval, while pages are rendered.
SWITCH_INTERVAL = 0.0005
WEB_STOP_WAIT_SECONDS = 5.0  # seconds that the end waits for the thread


@dataclass(frozen=True, slots=True)
class Wiring:
    """What runs beside the watcher of one home. `say` writes a line to the journal, from any thread; `note` one that --quiet
    suppresses."""

    settings: Settings
    web: WebSpec | None  # None: no dashboard
    connect: Callable[[], Services]
    say: Callable[[str], None]
    note: Callable[[str], None]
    holder: Callable[[int], str | None]  # who listens on a port, as far as we may know
    clock: Clock
    home_id: str = ""


@contextmanager
def beside(wiring: Wiring) -> Iterator[None]:
    """Collect metrics, check the ledger daily and run the dashboard while the block runs."""
    meter, check = MetricsSampler(wiring.connect), DailyCheck(verify_command(wiring.settings.home), wiring.say)
    meter.start()
    check.start()
    try:
        with nullcontext() if wiring.web is None else _dashboard(wiring, wiring.web, meter):
            yield
    finally:
        check.stop()
        meter.stop()


@contextmanager
def _dashboard(wiring: Wiring, web: WebSpec, meter: MetricsSampler) -> Iterator[None]:
    setswitchinterval(SWITCH_INTERVAL)
    running = Dashboard(wiring, web, meter)
    running.start()
    try:
        yield
    finally:
        running.close()


class Dashboard:
    """One thread that waits for its port and then serves. A failure is reported and retried."""

    def __init__(self, wiring: Wiring, web: WebSpec, meter: MetricsSampler) -> None:
        self._wiring, self._web, self._meter = wiring, web, meter
        self._thread = Thread(target=self._run, name="dashboard", daemon=True)
        self._ended, self._lock = Event(), Lock()
        self._made: tuple[WebState, Flask] | None = None
        self._server: DashboardServer | None = None
        self._complaint = ""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, end streams, ask jobs to stop, finish open requests and close the ledger. A dashboard that is
        still being created is not waited for: it closes itself. Idempotent."""
        with self._lock:
            self._ended.set()
            server, made, self._server, self._made = self._server, self._made, None, None
        if server is not None:
            server.stop_accepting()
        if made is not None:
            made[0].close()
        if server is not None:
            server.finish()
            self._thread.join(WEB_STOP_WAIT_SECONDS)

    # -- in the thread ------------------------------------------------------------------------------------------
    def _run(self) -> None:
        from deployctl_web.http.server import log_to

        unlog = log_to(self._wiring.say)
        try:
            while not self._ended.is_set():
                try:
                    self._serve()
                except (OSError, DeployctlError) as e:
                    self._complain(e)
                self._ended.wait(PORT_RETRY_SECONDS)
        finally:
            unlog()

    def _serve(self) -> None:
        """Serve until closed. Raises OSError if the port is not available."""
        from deployctl_web.http.admission import Limits
        from deployctl_web.http.server import DashboardServer, open_socket

        app, web = self._ensure_made(), self._web
        server = DashboardServer(app, open_socket(web.listen), web.proxies, Limits(each=web.connections, head=web.head_timeout))
        try:
            with self._lock:
                if self._ended.is_set():
                    return
                self._server = server
            self._wiring.note(f"serve: dashboard on {self._web.base}")
            self._complaint = ""
            server.run()
        finally:
            server.close()

    def _ensure_made(self) -> Flask:
        """Return the application, created once and closed at the end, even if that comes first."""
        if self._made is not None:
            return self._made[1]
        made = self._make()
        with self._lock:
            ended = self._ended.is_set()
            self._made = None if ended else made
        if ended:
            made[0].close()
        return made[1]

    def _make(self) -> tuple[WebState, Flask]:
        from deployctl_web.address import WebAddress, signing_key
        from deployctl_web.app import create_app
        from deployctl_web.state import build_state

        place = WebAddress(self._web.listen, self._web.url, signing_key(self._wiring.settings.state_dir), self._wiring.home_id)
        web_state = build_state(place, self._wiring.connect, self._meter, self._wiring.clock, streams=self._web.streams)
        self._meter.watched = lambda: web_state.broker.watched
        self._meter.looked_at = web_state.broker.looked_at
        return web_state, create_app(web_state)

    def _complain(self, error: OSError | DeployctlError) -> None:
        """Report an error once, not every ten seconds."""
        if isinstance(error, DeployctlError):
            why = " ".join([error.message, *error.remedy[:1]])
        else:
            holder = self._wiring.holder(self._web.listen[1])
            why = f"{error.strerror or error}{f', {holder} is listening there' if holder else ''}"
        if why != self._complaint:
            self._wiring.say(f"serve: no dashboard on {write_address(*self._web.listen)} yet: {why}. "
                             f"The watcher keeps running; retrying every {PORT_RETRY_SECONDS:.0f} s")
        self._complaint = why
