"""Abort a deployment in progress: before its switch everything is reverted, after it nothing is. Where none is, but a take-over
is open, that one."""

from __future__ import annotations

from deployctl.domain.change.deployment import Phase
from deployctl.errors import LeaseHeld
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.lease import find_serving, lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

ABORT_WAIT_SECONDS = 30.0  # seconds for the holder to notice and to revert everything
ABORT_POLL_SECONDS = 0.1


def abort(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Done:
    """Ask the holder to stop and wait until it has; a no-op if nothing is in progress."""
    from deployctl.usecases.take_over.give_back import abort_take_over  # few apps were taken over

    opened = s.ledger.find_open(app)
    if opened is None and s.ledger.find_lease(app) is None and (given_back := abort_take_over(app, s)) is not None:
        return given_back
    require_app(app, s)
    if opened is None and s.ledger.find_lease(app) is None:
        return Done("Abort", app, f"nothing is in progress for {app}", changed=False)
    s.ledger.ask_abort(app, actor=s.actor)
    holder, end = s.ledger.find_lease(app), s.clock.now() + max(ABORT_WAIT_SECONDS, options.lock_wait)
    while (held := s.ledger.find_lease(app)) and holder and held.token == holder.token:
        if s.clock.now() >= end:
            raise LeaseHeld(f"{held.holder} (pid {held.pid}) was asked to stop {app} {held.verb}, but has not yet",
                            remedy=[f"deployctl status {app}"])
        s.clock.sleep(ABORT_POLL_SECONDS)
    recovered = _settle(app, s, options) if s.ledger.find_lease(app) is None else None  # otherwise the next holder does it
    return Done("Abort", app, _ended(app, opened, s), (recovered,) if recovered else ())


def _settle(app: AppName, s: Services, options: ChangeOptions) -> str | None:
    """Settle what a dead holder left. If another process was waiting for the lease and got it first, it settles it."""
    try:
        with lease(app, "abort", s, options) as token:
            return recover(app, s, token)
    except LeaseHeld:
        return None


def _ended(app: AppName, opened: Deployment | None, s: Services) -> str:
    """Return how it ended: it may have been past its switch, and then it was not aborted."""
    last = next((d for d in s.ledger.deployments(app) if opened and d.id == opened.id), None)
    what = f"what was in progress for {app} has ended"
    if last and last.outcome:
        taken_back = last.outcome == Phase.REVERTED
        what = f"the {last.kind} of {app} was stopped" if taken_back else f"the {last.kind} of {app} had already {last.outcome}"
    serving = find_serving(app, s)
    return f"{what}; {serving.version} is live" if serving else f"{what}; {app} has no live version"
