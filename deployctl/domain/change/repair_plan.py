"""From drifts to the plan that repairs them: live versions come first, and nothing here switches traffic elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.domain.change.drift import Repair
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.change.planner import bring_up, retiring
from deployctl.domain.change.scaling import shrinking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.drift import Drift
    from deployctl.domain.change.facts import AppSnapshot

# the others: one act each
BY_PLAN = frozenset({Repair.CREATE, Repair.START, Repair.SWITCH, Repair.REST, Repair.STOP, Repair.FORGET, Repair.SHRINK})


def plan_repair(snapshot: AppSnapshot, drifts: Sequence[Drift]) -> Plan:
    """Return the plan for those drifts that need one. It contains no health check: what is started passed one before,
    and waiting for it must not hold the app's lease."""
    facts = snapshot.facts
    wanted = {repair: [*dict.fromkeys(d.release for d in drifts if d.repair is repair and d.release is not None)]
              for repair in BY_PLAN}
    steps: list[Step] = []
    for n in dict.fromkeys([*wanted[Repair.CREATE], *wanted[Repair.START]]):
        steps += _bring_up(snapshot, n)
    steps += [Step(StepKind.SWITCH, n, f"route {facts.app.name} to {facts.version(n)} again")
              for n in wanted[Repair.SWITCH]]
    steps += [Step(StepKind.REST, n, f"stop the workers of {facts.version(n)}, which is not live") for n in wanted[Repair.REST]]
    steps += shrinking(facts, [d.instance for d in drifts if d.repair is Repair.SHRINK and d.instance is not None])
    steps += retiring(facts, stop=wanted[Repair.STOP], prune=wanted[Repair.FORGET])
    active = facts.app.active
    return Plan(facts.app.name, PlanKind.RECONCILE, active, active, tuple(steps), f"{facts.app.name}: repair what drifted",
                deed="reconcile: repair what drifted")


def _bring_up(snapshot: AppSnapshot, n: int) -> list[Step]:
    """Return the steps that create it and, if it has to run, start it and add it to HAProxy."""
    release = snapshot.facts.releases.get(n)
    if release is None:
        return []
    run = n in snapshot.needed - snapshot.expired
    idle = {one for one in release.instances if not (run and snapshot.needs(one))}
    left_out = {StepKind.HEALTH, StepKind.GATE} | (set() if run else {StepKind.ROUTE})
    return [step for step in bring_up(snapshot.facts, release, PlanKind.RECONCILE)
            if step.kind not in left_out and not (step.kind is StepKind.START and step.instance in idle)]
