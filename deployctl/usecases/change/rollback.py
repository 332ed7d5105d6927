"""Roll back to an earlier release: the same plan as an upgrade, with another target."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.deployment import EndCode, EndReason, Phase
from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.change.planner import plan_move, plan_nothing, without_retiring
from deployctl.domain.change.serving import find_previous, release_name
from deployctl.domain.images.release import OVERTAKEN, SET_ASIDE, Hold
from deployctl.errors import ConfirmationNeeded, LeaseHeld
from deployctl.execution.runner import end_reverted
from deployctl.usecases.change.rollback_target import brings_back_text, choose_target, require_reachable
from deployctl.usecases.read_facts import observe
from deployctl.usecases.results import Moved, Preview
from deployctl.usecases.steps.execute import holds_of, move
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import rebuilt, recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.execution.runner import Walk
    from deployctl.ports import Services
    from deployctl.usecases.read_facts import Named


def rollback(app: AppName, s: Services, *, version: Version | None = None, release: int | None = None,
             options: ChangeOptions = ChangeOptions(), abort: bool = False) -> Moved:
    """Switch the traffic to the release that `choose_target` returns, the one that every surface offers.

    With `abort` it does not wait: a deployment in progress is ended as reverted. If that one had already switched the
    traffic, the rollback goes to where it was before. Raises NothingToGoBackTo, NotFound, OnHold, ConfirmationNeeded
    (the target has to boot), NotHealthy; with `abort` LeaseHeld (the target is being stopped).
    """
    started = s.clock.now()
    if abort:  # what cannot succeed must not disturb others
        _decide(look_ahead(app, s, version, release), version, release, options)
    with lease(app, "rollback", s, options, by_force=abort) as token:
        found = (look_ahead(app, s, version, release, token=token) if abort
                 else Overtaken(_settled(app, s, token, version, release)))
        target = _decide(found, version, release, options)
        facts, end_other = overtake(found, s, target.number)
        if _serves(facts, target):
            end_other()
            done = already(facts, target, PlanKind.ROLLBACK, s, started)
            return replace(done, hints=_same_version_before(facts, version, release))
        plan = plan_move(facts, PlanKind.ROLLBACK, target)
        if abort:  # stopping may hang in an engine that hangs: the next change retires it
            plan = without_retiring(plan)
        return move(plan, facts, s, token=token, options=options, started=started, beginning=end_other)


def _decide(found: Overtaken, version: Version | None, release: int | None, options: ChangeOptions) -> Release:
    """Return the release to make live, or raise why there is none."""
    facts = found.facts
    require_revision(facts, options)
    unnamed = version is None and release is None
    target = found.back if found.back and unnamed else choose_target(facts, version, release)
    if not _serves(facts, target):
        found.require_staying(target)
        require_reachable(facts, target)
        if not facts.is_warm(target.number) and not options.confirmed:
            raise ConfirmationNeeded(_cold_question(facts, target), revision=facts.app.revision)
    return target


def _serves(facts: AppFacts, target: Release) -> bool:
    return target.number == facts.app.active == facts.serving and facts.is_up(target.number)


def _same_version_before(facts: AppFacts, version: Version | None, release: int | None) -> tuple[str, ...]:
    """Return how to get the configuration that the version ran with before, if only the version was named."""
    before = find_previous(facts)
    if version is None or release is not None or before is None or before.version != version:
        return ()
    app, name = facts.app.name, release_name(before, facts.releases.values())
    return (f"Its previous configuration is {name}: deployctl rollback {app} {name}",)


def _settled(app: AppName, s: Services, token: int, *named: Named) -> AppFacts:
    recover(app, s, token)
    return observe(app, s, *named)


def preview_rollback(app: AppName, s: Services, *, version: Version | None = None, release: int | None = None,
                     options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `rollback` would carry out now, and change nothing."""
    facts = observe(app, s, version, release)
    require_revision(facts, options)
    target = choose_target(facts, version, release)
    if _serves(facts, target):
        return Preview(plan_nothing(facts, PlanKind.ROLLBACK, target, f"{app} {target.version} is already live"))
    require_reachable(facts, target)
    plan = plan_move(facts, PlanKind.ROLLBACK, target)
    restores = [brings_back_text(facts, target), "Not rolled back: databases, files in volumes."]
    if held := facts.releases.get(holds_of(plan, facts).held or 0):
        restores.insert(0, f"Would put {release_name(held, facts.releases.values())} on hold.")
    from deployctl.usecases.steps.short_gap import gap_of  # only a dry run has to know

    return Preview(plan, tuple(restores), gap=gap_of(facts, target, PlanKind.ROLLBACK, s))


def _cold_question(facts: AppFacts, target: Release) -> str:
    name = release_name(target, facts.releases.values())
    what = "is not running" if facts.is_whole(target.number) else "was removed and has to be created again from its image"
    if facts.has_other_image(target.number):
        what = "has a container that someone recreated from a different image, and has to be created again from its own"
    active = facts.releases.get(facts.app.active or 0)
    if facts.app.is_backing:
        return (f"{name} {what}, and runs alone: {release_name(active, facts.releases.values()) if active else 'what runs'} is "
                f"stopped first, and started again if {name} does not become healthy. This is not instant. Image and "
                f"configuration are rolled back, the data is not. Roll back to {name}?")
    keeps = f"{release_name(active, facts.releases.values())} stays live until {name} is healthy. " if active else ""
    return f"{name} {what}: it needs to boot, so this is not instant. {keeps}Roll back to {name}?"


def already(facts: AppFacts, target: Release, kind: PlanKind, s: Services, started: float) -> Moved:
    """Return the answer to a request for what is already the case: nothing was done."""
    return Moved(
        kind=kind.capitalize(), app=facts.app.name, source=target.version, target=target.version,
        source_release=target.number, target_release=target.number,
        revision=facts.app.revision, switch_ms=0.0, total_ms=round((s.clock.now() - started) * 1000, 3), confirmed=True,
        failed_requests=0, changed=False, colour=target.colour, image_checked=facts.engine_away is None)


# -- overtaking ----------------------------------------------------------------------------------------------------
_ENDS = frozenset({StepKind.STOP, StepKind.PRUNE})


@dataclass(frozen=True, slots=True)
class Overtaken:
    """What is in progress, and where the traffic was before it; None if nothing is, or if it has not switched."""

    facts: AppFacts
    walk: Walk | None = None
    back: Release | None = None

    def require_staying(self, target: Release) -> None:
        """Raise LeaseHeld if that release is just being stopped, or started and possibly reverted: the engine finishes
        what it was asked to do, no matter which process holds the lease by then."""
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
    if candidate.number in facts.kept:
        s.ledger.set_instances(candidate.app, candidate.number, failed=True)
        s.ledger.mark_failed(candidate.app, candidate.number, why=SET_ASIDE, code=OVERTAKEN)
    if not s.ledger.has_served(candidate.app, candidate.version, candidate.digest):
        s.ledger.set_hold(candidate.app, candidate.version, candidate.digest,
                          Hold(s.clock.utc(), s.actor, SET_ASIDE))
