"""Facts in, a Plan out. Upgrade, rollback and undo are one plan with different targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployctl.dataclass import replace
from deployctl.domain.change.gap import NO_GAP, find_gap
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.change.retention import retire
from deployctl.domain.change.serving import release_name
from deployctl.domain.images.component import InstanceId, in_order, instance_name
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.images.release import ProbeKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.change.gap import Gap
    from deployctl.domain.change.retention import Retirement
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Probe, Release


GOES_BACK = frozenset({PlanKind.ROLLBACK, PlanKind.UNDO})


def plan_move(facts: AppFacts, kind: PlanKind, target: Release) -> Plan:
    """Return the plan that makes `target` live, whatever state its container is in."""
    source = facts.app.active
    warm = facts.is_warm(target.number)
    gap = find_gap(facts, target, kind)
    steps = [*bring_up(facts, target, kind, gap), *_switch(facts, kind, target, queued=gap.queued),
             *_hand_over_work(facts, target)]
    steps += _retire(facts, retire(facts, active=target.number, left=source))
    return Plan(facts.app.name, kind, source, target.number, tuple(steps), _summary(facts, kind, target), warm=warm,
                deed=_deed(facts, kind, target))


def bring_up(facts: AppFacts, target: Release, kind: PlanKind, gap: Gap = NO_GAP) -> list[Step]:
    """Return the steps that end with a health-checked instance that HAProxy knows and that gets no traffic yet."""
    n, v = target.number, target.version
    left_over = facts.is_failed(n)  # kept for inspection; a retry gets a fresh one
    early = [one for one in in_order(target.components) if _starts_early(one, kind, target) or one.name in gap.names]
    ids = [one for part in early for one in target.ids_of(part.name)]
    if kind in GOES_BACK and facts.is_warm(n):  # what does not run is started after the switch, which need not wait for it
        ids = [one for one in ids if one in facts.running or one.component in gap.names]
    steps = _instances(facts, target, ids, gap, afresh=left_over)
    started = any(step.kind is StepKind.START for step in steps)
    new = kind in {PlanKind.UPGRADE, PlanKind.START} or started or not facts.is_warm(n)
    new = new and not facts.app.is_backing  # nobody reaches it through HAProxy
    steps += [Step(StepKind.ROUTE, n, f"add {v} to HAProxy")] if new else []
    steps += _through_gap(facts, target, gap, afresh=left_over)
    return [*steps, Step(StepKind.GATE, n, f"probe {v} through HAProxy, as clients reach it")] if new else steps


def adding(facts: AppFacts, target: Release, ids: Sequence[InstanceId]) -> list[Step]:
    """Return the steps that end with those instances running, health-checked and known to HAProxy, beside the others."""
    steps = _instances(facts, target, ids, NO_GAP, afresh=False)
    if ids:
        names = ", ".join(instance_name(target, one) for one in ids)
        steps.append(Step(StepKind.ROUTE, target.number, f"add {names} to HAProxy"))
    if {*ids} & {*target.mains}:
        steps.append(Step(StepKind.GATE, target.number, f"probe {target.version} through HAProxy, as clients reach it"))
    return steps


def _instances(facts: AppFacts, target: Release, ids: Sequence[InstanceId], gap: Gap, *, afresh: bool) -> list[Step]:
    """Return the steps that end with those instances running and health-checked, first what they are made of."""
    images = {step.component: step for one in reversed(ids) for step in _image(facts, target, one, afresh=afresh)}
    steps = [*reversed(images.values())]
    if steps:
        steps.append(Step(StepKind.NETWORK, target.number, f"network {facts.app.network} ({facts.app.subnet})"))
        steps += _volumes(target)
    steps += [step for one in ids for step in _create(facts, target, one, afresh=afresh)]
    return steps + [step for one in ids for step in _begin(facts, target, one, gap, afresh=afresh)]


def _volumes(target: Release) -> Iterator[Step]:
    if any(one.bundle.mounts for one in target.components):
        from deployctl.domain.images.mounts import external_volumes, volumes_of  # few apps have any

        names = [*(volume.name for volume in volumes_of(target.components)), *external_volumes(target.components)]
        if names:
            yield Step(StepKind.VOLUME, target.number, f"volume{'s' * (len(names) > 1)} {', '.join(names)}")


def _begin(facts: AppFacts, target: Release, one: InstanceId, gap: Gap, *, afresh: bool) -> Iterator[Step]:
    """Yield how it is started before the switch: what is handed over only waits, and what needs it is started after that."""
    if one.component in gap.waiting:
        yield _about(StepKind.START, one, f"start {instance_name(target, one)}: it waits until the former one has ended")
    elif one.component not in gap.names:
        yield from _start(facts, target, one, afresh=afresh)


def _through_gap(facts: AppFacts, target: Release, gap: Gap, *, afresh: bool) -> Iterator[Step]:
    """Yield the steps between the end of what may run in one version at a time and its next version's health."""
    if gap.queued:
        yield Step(StepKind.QUEUE, target.number, f"let requests wait at HAProxy, at most {gap.most:g} s")
    for one in (one for part in gap.members for one in target.ids_of(part.name)):
        if handed := one.component in gap.handed:
            name = instance_name(target, one)
            yield _about(StepKind.HAND_OVER, one, f"end the former {one.component}, so that {name} begins")
        yield from (step for step in _start(facts, target, one, afresh=afresh)
                    if not (handed and step.kind is StepKind.START))


def _starts_early(component: Component, kind: PlanKind, target: Release) -> bool:
    """Return whether it is started before the switch. Workers are for an upgrade only: a rollback need not wait for them,
    and what is started without traffic takes no work. One that may not meet the former version's waits for its end."""
    if component.is_job:
        return kind in {PlanKind.UPGRADE, PlanKind.START} and component.name not in target.completed
    only_live = component.is_worker or InstanceId(target.number, component.name) in target.workers
    return not only_live or kind is PlanKind.RECONCILE or (kind is PlanKind.UPGRADE and component.overlap)


def _image(facts: AppFacts, target: Release, one: InstanceId, *, afresh: bool) -> Iterator[Step]:
    if afresh or one not in facts.present:
        digest = short_digest(target.component(one.component).bundle.digest)
        yield _about(StepKind.IMAGE, one, f"keep image {digest} of {instance_name(target, one)}")


def _create(facts: AppFacts, target: Release, one: InstanceId, *, afresh: bool) -> Iterator[Step]:
    if afresh or one not in facts.present:
        yield _about(StepKind.CREATE, one, f"create the container of {instance_name(target, one)}")


def _start(facts: AppFacts, target: Release, one: InstanceId, *, afresh: bool) -> Iterator[Step]:
    """Yield the steps that end with one running instance that passed its health check. Those of different instances may
    be taken at once, as far as their needs allow (domain/change/order.py)."""
    name, component = instance_name(target, one), target.component(one.component)
    if component.is_job:
        yield _about(StepKind.JOB, one, f"run {name} to its end, within {component.timeout:g} s")
        return
    if afresh or one not in facts.running:
        yield _about(StepKind.START, one, f"start {name}")
    probe = component.bundle.probe
    yield _about(StepKind.HEALTH, one, f"check the health of {name}: {spoken(probe)}")


def _about(kind: StepKind, one: InstanceId, sentence: str) -> Step:
    return Step(kind, one.release, sentence, one.component, one.replica)


def _hand_over_work(facts: AppFacts, target: Release) -> list[Step]:
    """Return the steps by which the target's workers take over: after the switch, and after the former ones have ended
    where two must not meet."""
    source = facts.releases.get(facts.app.active or 0)
    steps = []
    if target.workers:
        steps.append(Step(StepKind.WORK, target.number, f"start the workers of {target.version}"))
    elif facts.is_warm(target.number) and not facts.is_complete(target.number):
        steps.append(Step(StepKind.WORK, target.number, f"start what of {target.version} does not run"))
    if source and source.workers and source.number != target.number:
        steps.append(Step(StepKind.REST, source.number, f"stop the workers of {source.version}"))
    meet = all(one.overlap for release in (source, target) if release for one in release.components) and all(
        facts.locked(name, target) and target.component(name).is_exclusive for name in facts.rivals(target))
    return steps if meet else steps[::-1]


def _switch(facts: AppFacts, kind: PlanKind, target: Release, *, queued: bool = False) -> list[Step]:
    n, (source, name) = target.number, _names(facts, target)
    whence = f" from {source}" if source else ""
    switch = Step(StepKind.SWITCH, n, f"switch traffic of {facts.app.name}{whence} to {name}")
    steps = [] if facts.app.is_backing else [switch]
    if queued:
        steps.append(Step(StepKind.RESUME, n, "let the waiting requests go on"))
    if kind is PlanKind.UPGRADE and facts.app.policy.watch:
        steps.append(Step(StepKind.WATCH, n, f"watch {target.version} under traffic for {facts.app.policy.watch:g} s"))
    return [*steps, Step(StepKind.PROMOTE, n, f"record {target.version} as the active release")]


def _retire(facts: AppFacts, going: Retirement) -> list[Step]:
    return retiring(facts, stop=going.stop, prune=going.prune)


def retiring(facts: AppFacts, *, stop: Sequence[int], prune: Sequence[int]) -> list[Step]:
    """Return the steps that stop some releases and remove the containers of others."""
    steps = []
    for n in stop:
        name = release_name(facts.releases[n], facts.releases.values()) if n in facts.releases else facts.version(n)
        if not facts.app.is_backing:
            steps.append(Step(StepKind.DRAIN, n, f"drain {name}: let it finish its open requests"))
        steps.append(Step(StepKind.STOP, n, f"stop {name}, its container is kept"))
    steps += [Step(StepKind.PRUNE, n, f"remove the container of {facts.version(n)} (release {n})") for n in prune]
    return steps


def without_retiring(plan: Plan) -> Plan:
    """Return the plan without the steps that stop or remove anything."""
    later = {StepKind.REST, StepKind.DRAIN, StepKind.STOP, StepKind.PRUNE}
    return replace(plan, steps=tuple(step for step in plan.steps if step.kind not in later))


def plan_nothing(facts: AppFacts, kind: PlanKind, target: Release, summary: str) -> Plan:
    """Return the plan of a request that changes nothing: `summary` says what is already the case."""
    return Plan(facts.app.name, kind, facts.app.active, target.number, (), summary, warm=True)


def plan_start(facts: AppFacts, target: Release) -> Plan:
    """Return the plan that runs a release alongside the live one, without traffic."""
    steps = bring_up(facts, target, PlanKind.START)
    return Plan(facts.app.name, PlanKind.START, facts.app.active, target.number, tuple(steps),
                f"{facts.app.name}: start {target.version} without traffic",
                deed=f"start {target.version} without traffic")


def plan_stop(facts: AppFacts, target: Release) -> Plan:
    """Return the plan that stops a release; if it is the active one, the app then has no live version."""
    n, steps = target.number, []
    active = facts.app.active == n
    if active and not facts.app.is_backing:
        steps.append(Step(StepKind.SWITCH, n, f"take {facts.app.name} out of traffic: clients get 503"))
    if active:
        steps.append(Step(StepKind.PROMOTE, n, "record that no release is active"))
    if not facts.app.is_backing:
        steps.append(Step(StepKind.DRAIN, n, f"drain {target.version}: let it finish its open requests"))
    steps.append(Step(StepKind.STOP, n, f"stop {target.version}, its container is kept"))
    deed = f"stop {target.version}" + (", leaving no live version" if active else "")
    return Plan(facts.app.name, PlanKind.STOP, facts.app.active, None if active else facts.app.active, tuple(steps),
                f"{facts.app.name}: {deed}", deed=deed)


def plan_prune(facts: AppFacts) -> Plan:
    """Return the plan that removes what retention does not keep, including failed containers."""
    going = retire(facts, active=facts.app.active, left=None, keep_failed=0)
    acts = [f"{word} {len(some)} container{'s' * (len(some) != 1)}"
            for word, some in (("stop", going.stop), ("remove", going.prune)) if some]
    return Plan(facts.app.name, PlanKind.PRUNE, facts.app.active, facts.app.active, tuple(_retire(facts, going)),
                f"{facts.app.name}: {' and '.join(acts) or 'nothing to remove'}",
                deed=f"prune: {' and '.join(acts) or 'nothing to remove'}")


def spoken(probe: Probe) -> str:
    """Return how a probe checks, as text."""
    match probe.kind:
        case ProbeKind.HTTP:
            return f"GET {probe.path}"
        case ProbeKind.TCP:
            return "TCP connect"
        case ProbeKind.EXEC:
            return "command " + " ".join(probe.command or ())
        case ProbeKind.DOCKER:
            return "the image's own HEALTHCHECK"
        case ProbeKind.PROCESS:
            return f"it runs for {probe.uptime:g} s"


def _summary(facts: AppFacts, kind: PlanKind, target: Release) -> str:
    name, (source, to) = facts.app.name, _names(facts, target)
    if kind is PlanKind.UPGRADE:
        return f"{name}: {source} → {to}" if source else f"{name}: first version {to}"
    return f"{name}: {kind} {source or 'nothing'} → {to}"


def _deed(facts: AppFacts, kind: PlanKind, target: Release) -> str:
    source, to = _names(facts, target)
    if kind is PlanKind.UPGRADE:
        return f"upgrade: {source} → {to}" if source else f"upgrade: first version {to}"
    return f"{kind} {source or 'nothing'} → {to}"


def _names(facts: AppFacts, target: Release) -> tuple[str | None, str]:
    """Return the names of the live release and the target; two releases of one version by their numbers."""
    source = facts.version(facts.app.active)
    if source != target.version or facts.app.active == target.number:
        return source, target.version
    return f"{source}@{facts.app.active}", f"{target.version}@{target.number}"
