"""The right to change one app, held while a verb runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deployctl.errors import DeployctlError, LeaseHeld
from deployctl.execution.fence import fenced, taken_over

if TYPE_CHECKING:
    from deployctl.domain.change.deployment import LeaseFacts
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions

LEASE_POLL_SECONDS = 0.2  # seconds between two attempts while waiting


@contextmanager
def lease(app: AppName, verb: str, s: Services, options: ChangeOptions, *, by_force: bool = False) -> Iterator[int]:
    """Hold the app's lease and yield its fencing token. Raises LeaseHeld, naming the holder and how to proceed;
    `by_force` takes it from any holder.

    An error that passes through gets the app's live version attached: nobody should have to look that up separately.
    """
    token = _take(app, verb, s, options, by_force=by_force)
    try:
        with s.ledger.heartbeat(app, token):
            yield token
    except DeployctlError as e:
        e.serving = e.serving or find_serving(app, s)
        raise
    finally:
        s.ledger.give_lease_back(app, token)


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


def find_serving(app: AppName, s: Services) -> dict[str, object] | None:
    """Return the app's live release: HAProxy's, or the ledger's if HAProxy has none."""
    try:
        row = s.ledger.find_app(app)
        number = _served_by_proxy(row, s) if row else None
        release = s.ledger.find_release(app, number) if number is not None else None
    except DeployctlError:
        return None
    if row is None or release is None:
        return None
    return {"app": app, "version": release.version, "release": release.number, "revision": row.revision,
            "address": row.address}


def _served_by_proxy(row: App, s: Services) -> int | None:
    try:
        return s.traffic.routes().get(row.name)
    except DeployctlError:
        return row.active
