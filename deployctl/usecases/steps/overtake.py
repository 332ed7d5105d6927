"""A rollback that must not wait: ends what is in progress as reverted, at once, and leaves cleaning up for later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass
from deployctl.domain.change.deployment import EndCode, EndReason, Phase
from deployctl.domain.change.plan import StepKind
from deployctl.domain.images.release import OVERTAKEN, SET_ASIDE, Hold
from deployctl.errors import LeaseHeld
from deployctl.execution.runner import end_reverted
from deployctl.usecases.read_facts import observe
from deployctl.usecases.steps.recover import rebuilt

if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.execution.runner import Walk
    from deployctl.ports import Services
    from deployctl.usecases.read_facts import Named

_ENDS = frozenset({StepKind.STOP, StepKind.PRUNE})


@dataclass(frozen=True, slots=True)
class Overtaken:
    """What is in progress, and where the traffic was before it; None if nothing is, or if it has not switched."""

    facts: AppFacts
    walk: Walk | None = None
    back: Release | None = None

    def require_staying(self, target: Release) -> None:
        """Raises LeaseHeld if that release is just being stopped, or started and possibly reverted: the engine finishes
        what it was asked to do, whoever holds the lease by then."""
        walk = self.walk
        steps = [step for step in walk.begun if step.release == target.number] if walk is not None else []
        if walk is not None and any(_may_stop_it(walk, step) for step in steps):
            raise LeaseHeld(
                f"{target.version} is being started or stopped right now ({target.app} {walk.plan.kind}): "
                "traffic cannot be switched to it before that is done. Nothing was changed.",
                remedy=[f"deployctl rollback {target.app} {target.version} --lock-wait 1m", "or choose another version"])


def _may_stop_it(walk: Walk, step: Step) -> bool:
    if step.kind is StepKind.START:
        return not walk.promoted
    return step.kind in _ENDS and (step.kind, step.release) not in walk.settled


def look_ahead(app: AppName, s: Services, *named: Named, token: int = 0) -> Overtaken:
    """Return what a rollback would overtake. Nothing is written: it may still be rejected."""
    facts, opened = observe(app, s, *named), s.ledger.find_open(app)
    if opened is None:
        return Overtaken(facts)
    walk = rebuilt(opened, facts, s, token)
    target, source = walk.plan.target, walk.plan.source
    moved = not walk.promoted and walk.switched and target is not None and facts.serving == target != source
    return Overtaken(facts, walk, facts.releases.get(source or 0) if moved else None)


def overtake(found: Overtaken, s: Services, target: int) -> tuple[AppFacts, Callable[[], None]]:
    """Set aside what is in progress; return the facts as they are then, including `target`, and the act that ends it.

    Its holder is alive, but we have its lease: it does nothing more. No request is sent to the engine, because that may
    be what it hangs in: its candidate is left behind, marked as failed, for the next change or `reconcile`. The end
    belongs in the transaction that begins the rollback. Until then, recovery finds a deployment that was asked to stop,
    and reverts it.
    """
    walk = found.walk
    if walk is None:
        return found.facts, lambda: None
    if walk.promoted:
        return found.facts, lambda: end_reverted(walk, Phase.SUCCEEDED, EndReason(
            EndCode.OVERTAKEN, f"{s.actor} rolled back before it had retired everything"))
    s.ledger.ask_abort(found.facts.app.name, actor=s.actor)
    _set_aside(walk, found.facts)
    facts = observe(found.facts.app.name, s, target)
    return facts, lambda: end_reverted(walk, Phase.REVERTED, EndReason(
        EndCode.OVERTAKEN, f"{s.actor} rolled back while it was in progress"))


def _set_aside(walk: Walk, facts: AppFacts) -> None:
    """Ensure that the candidate is never taken for a release that served well; one that ran before stays what it
    was."""
    s, candidate = walk.services, facts.releases.get(walk.plan.target or 0)
    if candidate is None or any(change.target == candidate.number for change in facts.changes):
        return
    if candidate.number in facts.instances:
        s.ledger.set_instance(candidate.app, candidate.number, failed=True)
        s.ledger.mark_failed(candidate.app, candidate.number, why=SET_ASIDE, code=OVERTAKEN)
    if not s.ledger.has_served(candidate.app, candidate.version, candidate.digest):
        s.ledger.set_hold(candidate.app, candidate.version, candidate.digest,
                          Hold(s.clock.utc(), s.actor, SET_ASIDE))
