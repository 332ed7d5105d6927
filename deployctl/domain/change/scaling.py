"""More or fewer replicas of one component, in every release that has containers: more are healthy before they are counted,
fewer are drained first."""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.dataclass import replace
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.change.planner import adding
from deployctl.domain.images.component import instance_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.component import Component, InstanceId
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import ComponentName


def scaled(facts: AppFacts, component: Component, count: int) -> AppFacts:
    """Return the facts as they are once there are to be that many: in each release whose file has the same number."""
    return replace(facts, releases={n: _scaled(one, component, count) for n, one in facts.releases.items()})


def _scaled(release: Release, component: Component, count: int) -> Release:
    if not any((one.name, one.replicas) == (component.name, component.replicas) for one in release.components):
        return release
    others = [(name, some) for name, some in release.scale if name != component.name]
    return replace(release, scale=(*others, (component.name, count)))


def plan_scale(facts: AppFacts, target: Release, component: ComponentName, count: int) -> Plan:
    """Return the plan by which that many replicas of it run. `facts` and `target` are as they are to be."""
    order = sorted(facts.kept, key=lambda n: (n != facts.app.active, -n))
    up = [facts.releases[n] for n in order if n in facts.releases and facts.is_partly_up(n) and not facts.is_failed(n)]
    steps = [step for release in up for step in _more(facts, release, component)]
    steps.append(Step(StepKind.SCALE, target.number, f"record {count} replica{'s' * (count != 1)} of {component}", component,
                      count))
    gone = [one for n in order for one in facts.instances if one.release == n and one.component == component]
    steps += shrinking(facts, [one for one in gone if facts.is_surplus(one)])
    deed = f"scale {component} to {count}"
    return Plan(facts.app.name, PlanKind.SCALE, facts.app.active, facts.app.active, tuple(steps), f"{facts.app.name}: {deed}",
                deed=deed)


def _more(facts: AppFacts, release: Release, component: ComponentName) -> list[Step]:
    """Return the steps that start what it lacks; a standby's workers are not started."""
    ids = [one for one in release.ids_of(component) if one not in facts.running]
    if facts.app.active != release.number:
        ids = [one for one in ids if one not in release.workers]
    return adding(facts, release, ids)


def shrinking(facts: AppFacts, ids: Iterable[InstanceId]) -> list[Step]:
    """Return the steps that end some replicas, the last ones first."""
    names = {one: instance_name(facts.releases[one.release], one) for one in ids}
    return [Step(StepKind.SHRINK, one.release, f"drain and remove {names[one]}", one.component, one.replica)
            for one in sorted(names, reverse=True)]
