"""What each kind of step does. Every action may run twice."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import replace
from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.images.release import Change, Hold, Restart
from deployctl.domain.proxy.traffic import closed_text
from deployctl.errors import DeployctlError, NotFound, NotHealthy, RevertedAfterSwitch
from deployctl.execution.containers import (
    blame,
    container_of,
    create_container,
    ensure_network,
    fronts_of,
    instance_of,
    instances_of,
    keep_image,
    recorded,
    release_of,
    remove_empty_network,
    remove_release,
)
from deployctl.execution.course import finish, in_turn
from deployctl.execution.health_gate import HealthGate
from deployctl.execution.interrupts import shielded
from deployctl.execution.pins import try_to_pin, try_to_settle
from deployctl.execution.starting import start_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Instance, Release
    from deployctl.execution.course import Begin, Check, Course
    from deployctl.execution.runner import StepAct, Walk
    from deployctl.ports import Services


def prove_healthy(walk: Walk, step: Step) -> Course:
    """Pass the health gate: the full check, or one good response of a release that is warm."""
    s, release, instance = walk.services, release_of(walk, step), instance_of(walk, step)
    warm = walk.facts.is_warm(step.release) and step.instance in walk.facts.running
    app = s.ledger.find_app(release.app)

    def ask(s: Services, check: Check) -> tuple[str, int | None]:
        trial = HealthGate(release, instance, s, check, active=_active(walk), just_seen=warm,
                           engine_away=walk.facts.engine_away is not None, app=app)
        if warm:
            return trial.quick(), trial.restarts
        text = trial.until_ready()
        if not release.component(instance.component).is_exclusive:  # its former version may be restarted first
            s.engine.set_restart(container_of(instance), always=True)
        return text, trial.restarts

    found: tuple[str, int | None]
    try:
        found = yield ask
    except NotHealthy as e:
        blame(walk, release, e)
        raise
    text, walk.restarts[step.instance] = found
    walk.lasting |= set() if warm else {step.instance}
    if release.component(step.instance.component).is_exclusive:
        from deployctl.execution.kinds.hand_over import settle_successor

        settle_successor(walk, step)
    if not walk.will(StepKind.GATE, step.release) and _is_last_check(walk, step):
        _mark_proven(walk, release)
    return text


def _is_last_check(walk: Walk, step: Step) -> bool:
    """Return whether all other health checks of the release were passed."""
    checks = {one for one in walk.plan.steps if one.kind is StepKind.HEALTH and one.release == step.release}
    return checks <= {step, *(done for done, _, _ in walk.done)}


def _mark_proven(walk: Walk, release: Release) -> None:
    if not release.proven_at or release.failure:
        walk.services.ledger.mark_proven(release.app, release.number, at=walk.services.clock.utc())


# -- traffic --------------------------------------------------------------------------------------------------------
def let_proxy_know(walk: Walk, step: Step) -> str:
    """Have HAProxy route to the release, on the app's public address, still without traffic."""
    s, app, release = walk.services, walk.plan.app, release_of(walk, step)
    fronts = fronts_of(walk, step)
    for one in release.instances:
        running = one in walk.facts.running or walk.has_started(one)
        if running and one not in walk.lasting and not walk.hands_over(one):
            s.engine.set_restart(container_of(recorded(walk, one)), always=True)
    if walk.wishes is not None:
        s.ledger.set_wishes(walk.wishes)
    for front in fronts:
        s.ledger.set_instance(app, front.id, routed=True)
    if walk.plan.kind is PlanKind.START and step.release != walk.facts.app.active:
        s.ledger.set_instances(app, step.release, beside=True)
    for front in fronts:
        try_to_settle(s, walk.facts.app, front, container_of(front))  # before any client comes
    if closed := s.traffic.sync():
        walk.warn(closed_text(closed))
    return walk.wishes.address or "" if walk.wishes else ""


def pass_gate(walk: Walk, step: Step) -> str:
    """Probe by the route that clients take. Only a release that passes counts as health-checked, and only then can
    header and cookie select it."""
    from deployctl.execution.proxy_gate import ask_through_proxy

    release = release_of(walk, step)
    try:
        text = ask_through_proxy(release, walk.wishes or walk.facts.app, walk.services, walk.check)
    except NotHealthy as e:
        blame(walk, release, e)
        raise
    _mark_proven(walk, release)
    walk.services.traffic.refresh_previews()
    return text


def switch_traffic(walk: Walk, step: Step) -> str:
    target = walk.plan.target if walk.plan.kind is PlanKind.STOP else step.release
    _require_own_image(walk, target)
    for main in walk.facts.mains(target):
        if main.id in walk.facts.own_mac and walk.services.bridged:  # a reboot of the host has lost it
            try_to_pin(walk.services, walk.facts.app, main)
    switched = walk.services.traffic.switch(walk.plan.app, target)
    walk.switched, walk.switch_ms = True, switched.ms
    return f"confirmed by HAProxy in {switched.ms:.1f} ms"


def _require_own_image(walk: Walk, target: int | None) -> None:
    """Raise NotHealthy if the list of containers has shown another image in its place, and this run created no
    other."""
    made = any(step.kind is StepKind.CREATE and step.release == target for step in walk.begun)
    if target is not None and walk.facts.has_other_image(target) and not made:
        raise NotHealthy(f"the container of {walk.facts.version(target)} was created from a different image than its "
                         "release: someone recreated it", remedy=[f"deployctl reconcile {walk.plan.app}"])


def watch_candidate(walk: Walk, step: Step) -> str:
    release = release_of(walk, step)
    trial, *others = [
        HealthGate(release, one, walk.services, walk.check, active=_active(walk), restarts=walk.restarts.get(one.id))
        for one in fronts_of(walk, step) if one.id in release.mains]
    try:
        return trial.watch(walk.policy.watch, others)
    except NotHealthy as e:
        blame(walk, release, e)
        _hold_failed(walk, release)
        back = RevertedAfterSwitch(f"{release.version} failed under traffic: {e.message} "
                                   "Traffic was switched back automatically.",
                                   remedy=e.remedy)
        back.details, back.cause, back.why = e.details, e.cause, e.message
        raise back from e


def _hold_failed(walk: Walk, release: Release) -> None:
    """Hold exactly that build, unless what is live again is the same build with another release spec: a hold would
    affect both."""
    s, active = walk.services, _active(walk)
    if active is None or (active.version, active.digest) != (release.version, release.digest):
        s.ledger.set_hold(release.app, release.version, release.digest,
                          Hold(s.clock.utc(), s.actor, "failed under traffic and was reverted"))


def promote(walk: Walk, step: Step) -> str:
    s, plan = walk.services, walk.plan
    if walk.facts.app.is_backing and walk.wishes is not None:  # those of an app are recorded when HAProxy learns of them
        s.ledger.set_wishes(walk.wishes)
    change = s.ledger.promote(
        Change(0, plan.app, plan.kind, plan.source, plan.target, s.clock.utc(), s.actor, walk.deployment.note, walk.switch_ms,
               walk.held, walk.lifted), deployment=walk.deployment.id, token=walk.token)
    walk.promoted, walk.revision = True, change.revision
    if walk.held is not None or walk.lifted is not None:
        _refresh_previews(walk)
    return f"revision {change.revision}"


def _refresh_previews(walk: Walk) -> None:
    """A version on hold must no longer be reached by cookie. The promotion stands whether or not this succeeds."""
    try:
        walk.services.traffic.refresh_previews()
    except DeployctlError as e:
        walk.warn(f"HAProxy has not recorded the hold yet: {e.message}")


# -- retiring ---------------------------------------------------------------------------------------------------------
def drain(walk: Walk, step: Step) -> str:
    from deployctl.execution.ending import let_finish

    return let_finish(walk, step.release)


def stop_container(walk: Walk, step: Step) -> str:
    from deployctl.execution.ending import stop_one

    s, app, before = walk.services, walk.plan.app, instances_of(walk, step)
    s.ledger.set_instances(app, step.release, routed=False, beside=False)
    s.traffic.sync()
    gone, left = 0, list(before)
    while left:
        try:
            stop_one(walk, step, left[-1])  # what the others ask ends last
        except NotFound:  # nothing is running that could be stopped
            gone += 1
        except DeployctlError:  # it still runs as far as we know: a rollback to it must stay possible
            for one in left if walk.facts.can_stand_by(step.release) else ():  # else a hand-over has ended it already
                s.ledger.set_instance(app, one.id, routed=one.routed, beside=one.beside)
            s.traffic.sync()
            raise
        left.pop()
    return "its container is gone" if gone == len(before) else ""


def change_replicas(walk: Walk, step: Step) -> str:
    """Record how many replicas there are to be, or end one."""
    from deployctl.execution.ending import record_scale, shrink

    return (record_scale if step.kind is StepKind.SCALE else shrink)(walk, step)


# -- workers ----------------------------------------------------------------------------------------------------------
def start_workers(walk: Walk, step: Step) -> str:
    """Start what of the release does not run yet: its workers, and replicas that others stood in for. It was proven before:
    that it runs is enough."""
    s, release = walk.services, release_of(walk, step)
    starts: dict[Step, Course] = {}
    missing = [one for one in release.serving if one not in walk.facts.running and not walk.has_started(one)]
    for one in (*release.workers, *missing):
        about = replace(step, component=one.component, replica=one.replica)
        instance = s.ledger.find_instance(release.app, one)
        seen = s.engine.find_container(container_of(instance)) if instance else None
        if seen is None:
            keep_image(walk, about)
            ensure_network(walk, about)
            ensure_volumes(walk, about)
            create_container(walk, about)
        if seen is None or not seen.running or seen.restart is not Restart.ALWAYS:
            starts[about] = _start_for_good(walk, about)
    _finish_all(walk, starts)
    return f"{len(starts)} started" if starts else "running already"


def _start_for_good(walk: Walk, about: Step) -> Course:
    text = yield from start_container(walk, about)
    container = container_of(recorded(walk, about.instance))
    yield lambda s, _check: s.engine.set_restart(container, always=True)
    return text


def stop_workers(walk: Walk, step: Step) -> str:
    """Stop what of the release takes no requests, each with its own grace."""
    gone: list[InstanceId] = []
    workers = {*release_of(walk, step).workers}
    _finish_all(walk, {replace(step, component=one.component, replica=one.replica): _stop_if_there(walk, step, one, gone)
                       for one in instances_of(walk, step) if one.id in workers})
    return f"{len(gone)} gone already" if gone else ""


def _stop_if_there(walk: Walk, step: Step, instance: Instance, gone: list[InstanceId]) -> Course:
    from deployctl.execution.ending import stopping

    try:
        yield from stopping(walk, step, instance)
    except NotFound:
        gone.append(instance.id)
    return ""


def _finish_all(walk: Walk, courses: Mapping[Step, Course]) -> None:
    """Bring what belongs to one step to its end, several at a time."""
    if walk.services.hands > 1 and len(courses) > 1:
        from deployctl.execution.together.at_once import finish_at_once

        finish_at_once(walk, courses)
    else:
        for course in courses.values():
            finish(walk, course)


def ensure_volumes(walk: Walk, step: Step) -> str:
    if not any(one.bundle.mounts for one in release_of(walk, step).components):
        return ""
    from deployctl.execution import mounts

    return mounts.ensure_volumes(walk, step)


def remove_container(walk: Walk, step: Step) -> str:
    with shielded():  # nobody would return for a network left behind without its last container
        remove_release(walk, step.release)
        if walk.facts.app.active is None:  # the last container of an app without a live version
            remove_empty_network(walk, step)
    if any(one.bundle.files for release in walk.facts.releases.values() for one in release.components):
        from deployctl.execution.mounts import tidy_files

        tidy_files(walk.plan.app, walk.services)
    return ""


# -- what few plans have ----------------------------------------------------------------------------------------------
def run_job(walk: Walk, step: Step) -> Course:
    from deployctl.execution.kinds import jobs

    return jobs.run_job(walk, step)


def hand_over_act(walk: Walk, step: Step) -> str:
    from deployctl.execution.kinds import hand_over

    return hand_over.ACTIONS[step.kind](walk, step)


COURSES: Mapping[StepKind, Begin] = {  # what may be done for several instances at once
    StepKind.START: start_container,
    StepKind.HEALTH: prove_healthy,
    StepKind.JOB: run_job,
}
STEP_ACTIONS: Mapping[StepKind, StepAct] = {
    StepKind.IMAGE: keep_image,
    StepKind.NETWORK: ensure_network,
    StepKind.VOLUME: ensure_volumes,
    StepKind.CREATE: create_container,
    **{kind: in_turn(course) for kind, course in COURSES.items()},
    StepKind.ROUTE: let_proxy_know,
    StepKind.GATE: pass_gate,
    StepKind.QUEUE: hand_over_act,
    StepKind.HAND_OVER: hand_over_act,
    StepKind.SWITCH: switch_traffic,
    StepKind.RESUME: hand_over_act,
    StepKind.WATCH: watch_candidate,
    StepKind.PROMOTE: promote,
    StepKind.SCALE: change_replicas,
    StepKind.SHRINK: change_replicas,
    StepKind.WORK: start_workers,
    StepKind.REST: stop_workers,
    StepKind.DRAIN: drain,
    StepKind.STOP: stop_container,
    StepKind.PRUNE: remove_container,
}

# -- reading what a step refers to -----------------------------------------------------------------------------------------
def _active(walk: Walk) -> Release | None:
    return walk.facts.releases.get(walk.plan.source) if walk.plan.source is not None else None


