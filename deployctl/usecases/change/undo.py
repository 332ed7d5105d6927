"""Reverse the last switch of traffic and the hold it set. Undoing twice restores the first state."""

from __future__ import annotations

from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_move
from deployctl.errors import ConfirmationNeeded, NothingToGoBackTo
from deployctl.usecases.read_facts import observe
from deployctl.usecases.results import Preview
from deployctl.usecases.steps.execute import holds_of, move
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.results import Moved


def undo(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Moved:
    """Switch the traffic back to where the last change took it from. Raises NothingToGoBackTo, ConfirmationNeeded."""
    from deployctl.usecases.change.rollback_target import require_reachable

    started = s.clock.now()
    with lease(app, "undo", s, options) as token:
        recover(app, s, token)
        facts = observe(app, s)
        require_revision(facts, options)
        target = before_last_change(facts)
        require_reachable(facts, target)
        if not facts.is_warm(target.number) and not options.confirmed:
            raise ConfirmationNeeded(f"{target.version} is not running: it must boot first, so this is not instant. "
                                     f"Switch back to {target.version}?", revision=facts.app.revision)
        plan = plan_move(facts, PlanKind.UNDO, target)
        return move(plan, facts, s, token=token, options=options, started=started)


def preview_undo(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `undo` would carry out now, and change nothing."""
    from deployctl.usecases.change.rollback_target import require_reachable

    facts = observe(app, s)
    require_revision(facts, options)
    target = before_last_change(facts)
    require_reachable(facts, target)
    plan = plan_move(facts, PlanKind.UNDO, target)
    lifted = facts.version(holds_of(plan, facts).lifted)
    return Preview(plan, (f"Would release the hold of {lifted}.",) if lifted else ())


def before_last_change(facts: AppFacts) -> Release:
    """Return the release that was live before the last change. Raises NothingToGoBackTo, and OnHold if it was put on
    hold since: an earlier hold, or one set by this very change, is part of what is restored."""
    from deployctl.usecases.change.rollback_target import on_hold

    change = next(iter(facts.changes), None)
    if change is None or change.source is None or change.source not in facts.releases:
        raise NothingToGoBackTo(f"{facts.app.name} has no traffic switch to undo. Nothing was changed.",
                                remedy=[f"deployctl history {facts.app.name}"])
    release = facts.releases[change.source]
    if release.hold and release.hold.revision >= change.revision:
        raise on_hold(release)
    return release
