"""Shared by upgrade, rollback and undo: carry out the plan and report where the traffic is now."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.dataclass import dataclass
from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.proxy.request_counts import counted_between, together
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import DeployctlError
from deployctl.execution.actions import STEP_ACTIONS
from deployctl.execution.runner import Walk, run
from deployctl.usecases.results import Moved, StepDone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.plan import Plan
    from deployctl.domain.images.release import App
    from deployctl.domain.proxy.request_counts import RequestCounts
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions


@dataclass(frozen=True, slots=True)
class Holds:
    """Releases that the promotion puts on hold, or releases from hold."""

    held: int | None = None
    lifted: int | None = None


def holds_of(plan: Plan, facts: AppFacts) -> Holds:
    """Return the holds that the promotion of that plan sets: a rollback holds what it leaves, unless it was held
    before; an undo reverses the hold of the change it undoes."""
    if plan.kind is PlanKind.ROLLBACK and plan.source != plan.target:
        left = facts.releases.get(plan.source or 0)
        return Holds(held=left.number if left and not left.hold else None)
    if plan.kind is PlanKind.UNDO and facts.changes:
        return Holds(held=facts.changes[0].lifted, lifted=facts.changes[0].held)
    return Holds()


def walk_plan(plan: Plan, facts: AppFacts, s: Services, *, token: int, options: ChangeOptions, wishes: App | None = None,
              beginning: Callable[[], object] = bool) -> Walk:
    """Open the deployment and carry out its plan. Raises what stopped it, with everything reverted.

    `beginning` is done in the transaction that opens it.
    """
    from deployctl.execution.revert_steps import UNDOS

    s.report.plan(plan)
    with s.ledger.transaction():
        options.still_may(s)  # a right that ends after this finds the deployment, and has it aborted
        beginning()
        deployment = s.ledger.open_deployment(plan, actor=s.actor, note=options.note, at=s.clock.utc(), token=token)
    holds = holds_of(plan, facts)
    walk = Walk(plan, facts, deployment, s, token, wishes=wishes, held=holds.held, lifted=holds.lifted)
    try:
        return run(walk, STEP_ACTIONS, UNDOS)
    finally:
        if any(step.kind is StepKind.QUEUE for step in walk.begun):
            from deployctl.execution.kinds.hand_over import let_rest_go

            let_rest_go(plan.app, walk.services)


def move(plan: Plan, facts: AppFacts, s: Services, *, token: int, options: ChangeOptions, started: float,
         wishes: App | None = None,
         before: tuple[StepDone, ...] = (), remarks: tuple[str, ...] = (), beginning: Callable[[], object] = bool) -> Moved:
    """Carry out the plan and return where the traffic is now; `started` is when the use case began, by the clock."""
    checked = facts.engine_away is None
    remarks = (*remarks, *(() if checked else _unchecked(plan, facts)))
    for remark in remarks:
        s.report.warn(remark)
    counted = _counters(s)
    walk = walk_plan(plan, facts, s, token=token, options=options, wishes=wishes, beginning=beginning)
    lost = _counted(counted, _counters(s), plan)
    assert plan.target is not None  # noqa: S101  a move always has one
    target, source = facts.releases[plan.target], facts.version(plan.source)
    now = s.ledger.find_release(plan.app, plan.target) or target
    return Moved(
        kind=plan.kind.capitalize(), app=plan.app, source=source, target=target.version, revision=walk.revision,
        source_release=plan.source, target_release=plan.target,
        switch_ms=round(walk.switch_ms, 3), total_ms=round((s.clock.now() - started) * 1000, 3), confirmed=walk.switched,
        failed_requests=None if lost is None else lost.failed, failed_precision=(lost or Counters()).precision,
        steps=(*before, *(StepDone(step.kind, step.sentence, round(ms, 3), text) for step, ms, text in walk.done)),
        colour=now.colour, warnings=(*remarks, *walk.warnings),
        held=_versions(facts, walk.held), released=_versions(facts, walk.lifted),
        standby=source if plan.source is not None and facts.is_partly_up(plan.source) and not _stops(plan) else None,
        image_checked=checked,
    )


def _unchecked(plan: Plan, facts: AppFacts) -> tuple[str, ...]:
    return (f"Docker is not responding, so whether {facts.version(plan.target)} runs the image of its release was not checked; "
            "the last known state was used",)


def _stops(plan: Plan) -> bool:
    return any(step.release == plan.source and step.kind in {"stop", "prune"} for step in plan.steps)


def _versions(facts: AppFacts, number: int | None) -> tuple[str, ...]:
    version = facts.version(number)
    return (version,) if version else ()


def _counters(s: Services) -> RequestCounts | None:
    try:
        return s.traffic.counters()
    except DeployctlError:
        return None


def _counted(before: RequestCounts | None, after: RequestCounts | None, plan: Plan) -> Counters | None:
    """Return what HAProxy counted in between for the two releases together; None if it could not be read."""
    if before is None or after is None:
        return None
    both = {(plan.app, number) for number in (plan.source, plan.target)}
    return together(one for server, one in counted_between(before, after).items() if server in both)
