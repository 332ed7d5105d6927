"""Reverse the last change of traffic and the hold it made. Twice is back again."""

from __future__ import annotations

from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName
from deployctl.domain.plan import Kind
from deployctl.domain.planner import plan_move
from deployctl.domain.release import Change, Release
from deployctl.errors import ConfirmationNeeded, NothingToGoBackTo
from deployctl.ports import Services
from deployctl.usecases.lease import lease
from deployctl.usecases.move import Holds, move
from deployctl.usecases.observe import observe
from deployctl.usecases.recover import recover
from deployctl.usecases.results import Moved, Preview
from deployctl.usecases.rollback import require_reachable
from deployctl.usecases.wish import Wish, require_revision


def undo(app: AppName, s: Services, *, wish: Wish = Wish()) -> Moved:
    """Send the traffic back to where the last change took it from. Raises NothingToGoBackTo, ConfirmationNeeded."""
    started = s.clock.now()
    with lease(app, "undo", s, wish) as token:
        recover(app, s, token)
        facts = observe(app, s)
        require_revision(facts, wish)
        change, target = last_change(facts)
        require_reachable(facts, target)
        if not facts.is_warm(target.number) and not wish.confirmed:
            raise ConfirmationNeeded(f"{target.version} is not running: it must boot first, so this is not instant. "
                                     f"Go back to {target.version}?")
        plan = plan_move(facts, Kind.UNDO, target)
        holds = Holds(held=change.lifted, lifted=change.held)
        return move(plan, facts, s, token=token, wish=wish, started=started, holds=holds)


def preview_undo(app: AppName, s: Services, *, wish: Wish = Wish()) -> Preview:
    """Return the plan that `undo` would walk now, and change nothing."""
    facts = observe(app, s)
    require_revision(facts, wish)
    change, target = last_change(facts)
    lifted = facts.version(change.held)
    return Preview(plan_move(facts, Kind.UNDO, target), (f"Would lift the hold of {lifted}.",) if lifted else ())


def last_change(facts: Facts) -> tuple[Change, Release]:
    """Return the change to reverse and the release that served before it."""
    change = next(iter(facts.changes), None)
    if change is None or change.source is None or change.source not in facts.releases:
        raise NothingToGoBackTo(f"{facts.app.name} has no change of traffic that could be undone. Nothing was done.",
                                remedy=[f"deployctl history {facts.app.name}"])
    return change, facts.releases[change.source]
