"""The right to change one app, held while a verb runs."""

from __future__ import annotations

from deployctl.errors import DeployctlError, LeaseHeld, Serving
from deployctl.execution.fence import fenced, taken_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from deployctl.domain.change.deployment import LeaseFacts
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions

LEASE_POLL_SECONDS = 0.2  # seconds between two attempts while waiting


class lease:  # noqa: N801  used like a function
    """Hold the app's lease and hand out its fencing token. Raises LeaseHeld, naming the holder and how to proceed;
    `by_force` takes it from any holder.

    An error that passes through gets the app's live version attached: nobody should have to look that up separately.

    Not a generator: one that Ctrl-C leaves suspended releases the lease when it is collected, after the ledger was closed.
    """

    def __init__(self, app: AppName, verb: str, s: Services, options: ChangeOptions, *, by_force: bool = False) -> None:
        self._app, self._verb, self._s, self._options, self._by_force = app, verb, s, options, by_force

    def __enter__(self) -> int:
        token = self._token = _take(self._app, self._verb, self._s, self._options, by_force=self._by_force)
        try:
            self._heartbeat = self._s.ledger.heartbeat(self._app, token)
            self._heartbeat.__enter__()
        except BaseException:
            self._s.ledger.give_lease_back(self._app, token)
            raise
        return token

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._heartbeat.__exit__(kind, error, trace)
            if isinstance(error, DeployctlError):
                error.serving = error.serving or find_serving(self._app, self._s)
        finally:
            self._s.ledger.give_lease_back(self._app, self._token)


def fenced_by(app: AppName, token: int, s: Services) -> Services:
    """Return services that change nothing any more once another process has taken over the lease."""
    def require_lease() -> None:
        if not s.ledger.lease_is_ours(app, token):
            raise taken_over(app)

    return fenced(s, require_lease)


def _take(app: AppName, verb: str, s: Services, options: ChangeOptions, *, by_force: bool) -> int:
    end = s.clock.now() + options.lock_wait
    while True:
        options.still_may(s)
        got = s.ledger.take_lease(app, holder=s.actor, verb=verb, at=s.clock.utc(), by_force=by_force)
        if isinstance(got, int):
            return got
        if s.clock.now() >= end:
            raise _busy(app, verb, got, s)
        s.clock.sleep(LEASE_POLL_SECONDS)


def _busy(app: AppName, verb: str, lease: LeaseFacts, s: Services) -> LeaseHeld:
    deployment = s.ledger.find_open(app)
    phase = f", phase {deployment.phase}" if deployment else ""
    at_once = [f"deployctl rollback {app} --abort"] if verb == "rollback" else []
    error = LeaseHeld(
        f"{app} is busy: {lease.holder} has been running {lease.verb} since {lease.since} (pid {lease.pid}{phase}). "
        "Nothing was changed.",
        remedy=[*at_once, f"deployctl {verb} {app} … --lock-wait 5m", f"deployctl abort {app}"])
    error.serving = find_serving(app, s)
    return error


def find_serving(app: AppName, s: Services) -> Serving | None:
    """Return the app's live release: HAProxy's, or the ledger's if HAProxy has none."""
    try:
        row = s.ledger.find_app(app)
        number = _served_by_proxy(row, s) if row else None
        release = s.ledger.find_release(app, number) if number is not None else None
    except DeployctlError:
        return None
    if row is None or release is None:
        return None
    return Serving(app, release.version, release.number, row.revision, row.address)


def _served_by_proxy(row: App, s: Services) -> int | None:
    try:
        return row.active if row.is_backing else s.traffic.routes().get(row.name)
    except DeployctlError:
        return row.active
