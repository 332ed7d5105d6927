"""Hands an exclusive component over: the former version ends, the next one begins, and never do both run.

The kernel keeps them apart, not this process: our launcher holds the next version's program back until it has the lock
that the former one's held, even if this process is dead by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress

from deployctl.domain.change.plan import StepKind
from deployctl.domain.host.networks import mac_of
from deployctl.domain.images.component import instance_name
from deployctl.domain.inputs.names import backing_of, owner_of
from deployctl.errors import DeployctlError, NotHealthy
from deployctl.execution.containers import bundle_of, container_of, instance_of, release_of
from deployctl.execution.course import in_turn
from deployctl.execution.health_gate import HealthGate
from deployctl.execution.kinds.places import endpoint_of
from deployctl.execution.pins import try_to_settle
from deployctl.execution.starting import start_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.execution.runner import StepAct, Walk
    from deployctl.ports import Services

LOOK = 0.02  # seconds between two looks at the lock, and at open requests
LOCKED_WITHIN = 2.0  # seconds after the former one has ended; it took 0 to 10 ms when measured


# -- requests that wait --------------------------------------------------------------------------------------------
def queue_requests(walk: Walk, step: Step) -> str:
    """Let requests wait. A HAProxy that cannot do that answers 503 meanwhile, with a warning; that stops nothing."""
    app = owner_of(walk.plan.app)
    if app != walk.plan.app:
        walk.services.traffic.sync()  # an app that had no backing component before has no queue yet
    if walk.services.traffic.queue_lack() is not None:
        walk.warn("this HAProxy was built without Lua, so requests cannot wait: clients get 503 until the switch")
        return "not possible"
    walk.services.traffic.queue(app, seconds=_most(walk, step))
    return ""


def resume_requests(walk: Walk, step: Step) -> str:
    let_go(walk, step)
    if walk.gap_began is None:
        return ""
    walk.gap_ms = (walk.services.clock.now() - walk.gap_began) * 1000
    return f"nothing was served for {walk.gap_ms:.0f} ms"


def queue_again(walk: Walk, step: Step) -> None:
    """While everything is reverted, nothing can serve them either."""
    queue_requests(walk, step)


def let_go(walk: Walk, step: Step) -> None:
    s, app = walk.services, walk.plan.app
    s.traffic.release_queue(owner_of(app), unless=lambda: others_wait(app, s))


def let_rest_go(app: AppName, s: Services) -> None:
    """Let requests go on that wait for nothing any more: HAProxy was away when they were to be let go, or they waited for
    two changes. What cannot be let go goes on by itself when its time is over."""
    with suppress(DeployctlError):
        if owner_of(app) in s.traffic.queues():
            s.traffic.release_queue(owner_of(app), unless=lambda: others_wait(app, s))


def others_wait(app: AppName, s: Services) -> bool:
    """Return whether requests wait for another change, too: an app and its backing components have one queue."""
    others = (one for one in s.ledger.open_deployments() if one.app != app and owner_of(one.app) == owner_of(app))
    rows = [{(row["kind"], bool(row["ok"])) for row in s.ledger.steps(one.id)} for one in others]
    return any({StepKind.QUEUE} <= {kind for kind, _ in seen} and (StepKind.RESUME, True) not in seen for seen in rows)


def _most(walk: Walk, step: Step) -> float:
    return max(one.max_gap for one in release_of(walk, step).components if one.is_exclusive)


# -- the hand-over ---------------------------------------------------------------------------------------------------
def hand_over(walk: Walk, step: Step) -> str:
    """End every other version of the component, each with its own stop signal and grace, and see the next one begin."""
    s, release, instance = walk.services, release_of(walk, step), instance_of(walk, step)
    if step.instance == release.main:
        _finish_requests(walk, _most(walk, step) / 2)
    began = s.clock.now()
    walk.gap_began = began if walk.gap_began is None else walk.gap_began
    rivals = [*_rivals(walk, step)]
    with _refusing(walk, instance, rivals):
        for rival, _ in rivals:
            grace = _release(walk, rival).component(rival.component).bundle.stop_grace
            s.engine.ensure_stopped(container_of(rival), grace=grace, keep_restart=True)  # it starts again if this fails
        stopped = s.clock.now() - began
        in_turn(start_container)(walk, step)  # one that waits at the lock runs already, and gets the address now
    if release.component(step.instance.component).is_exclusive:
        _await_lock(walk, step)
    if step.instance == release.main:
        try_to_settle(s, walk.facts.app, instance, container_of(instance))
    return f"the former one ended within {stopped * 1000:.0f} ms"


def _finish_requests(walk: Walk, within: float) -> None:
    """Wait for the requests that the live version of the app has begun: new ones wait at HAProxy."""
    s, app = walk.services, owner_of(walk.plan.app)
    live = walk.facts.serving if app == walk.plan.app else s.traffic.routes().get(app)
    end = s.clock.now() + min(walk.policy.drain, within)
    while live is not None and s.traffic.in_flight(app, live):
        if s.clock.now() >= end:
            if app == walk.plan.app:  # else it runs on, and its clients keep their connections
                s.traffic.cut(app, live)
            return
        s.clock.sleep(LOOK)


def _refusing(walk: Walk, instance: Instance, rivals: list[tuple[Instance, int]]) -> AbstractContextManager[object]:
    """Have connections refused while no container has a backing component's address: those that are only unanswered are
    repeated after a second."""
    s = walk.services
    if backing_of(instance.app) is None or not rivals:
        return nullcontext()
    if s.exclusion().stand_in_lack(bridged=s.bridged) is not None:
        walk.warn("while no version has its address, clients wait about a second longer than that: making something that "
                  "refuses them needs root on this host")
        return nullcontext()
    address = instance.address
    return s.exclusion().stand_in(walk.facts.app.network_of(instance), address, mac_of(address), after=rivals[0][1])


def _rivals(walk: Walk, step: Step) -> Iterator[tuple[Instance, int]]:
    """Yield what runs of the same component in other releases, with the pid of its main process."""
    for one in walk.services.ledger.instances(walk.plan.app):
        if one.component == step.instance.component and one.release != step.release:
            seen = walk.services.engine.find_container(container_of(one))
            if seen is not None and seen.running:
                yield one, seen.pid


def _await_lock(walk: Walk, step: Step) -> None:
    """Return once its program has the lock: only then does it begin. What becomes of it the health check tells."""
    s, end = walk.services, walk.services.clock.now() + LOCKED_WITHIN
    while not holds_lock(walk, step) and s.clock.now() < end:
        seen = s.engine.find_container(container_of(instance_of(walk, step)))
        if seen is None or not seen.running:
            return
        s.clock.sleep(LOOK)


def require_lock(walk: Walk, step: Step) -> None:
    """Raise NotHealthy unless its program has the lock. One that closes every inherited file gives it away, unseen."""
    if holds_lock(walk, step):
        return
    lock, release = _lock(walk, step), release_of(walk, step)
    why = ("does not hold its lock: its program closes the files that it inherits, so nothing would keep another version "
           "from running beside it")
    if others := walk.services.exclusion().holders(lock):
        why = f"waits for its lock, which another process holds (pid {', '.join(map(str, others))})"
    raise NotHealthy(f"{instance_name(release, step.instance)} {why}", code="lock_lost",
                     remedy=[f"deployctl logs {release.app} {release.version}"])


def holds_lock(walk: Walk, step: Step) -> bool:
    s = walk.services
    seen = s.engine.find_container(container_of(instance_of(walk, step)))
    return seen is not None and s.exclusion().holds(_lock(walk, step), seen.pid)


def _lock(walk: Walk, step: Step) -> str:
    return walk.services.exclusion().lay_lock(owner_of(walk.plan.app), step.instance.component)


def settle_successor(walk: Walk, step: Step) -> None:
    """Take a healthy one for the one that runs: its lock is its own, and from now on it is what the engine restarts."""
    require_lock(walk, step)
    if walk.hands_over(step.instance) or walk.has_started(step.instance) or backing_of(walk.plan.app) is not None:
        walk.services.engine.set_restart(container_of(instance_of(walk, step)), always=True)
        walk.gap_ms = None if walk.gap_began is None else (walk.services.clock.now() - walk.gap_began) * 1000


ACTIONS: Mapping[StepKind, StepAct] = {StepKind.QUEUE: queue_requests, StepKind.HAND_OVER: hand_over,
                                       StepKind.RESUME: resume_requests}


# -- and back --------------------------------------------------------------------------------------------------------
def hand_back(walk: Walk, step: Step) -> None:
    """End what this run began, and start the former version again. Raises NotHealthy when that does not become healthy."""
    s, source = walk.services, walk.plan.source
    mine = s.ledger.find_instance(walk.plan.app, step.instance)
    if step.release == source:
        return
    if mine is not None and s.engine.find_container(container_of(mine)) is not None:
        s.engine.ensure_stopped(container_of(mine), grace=bundle_of(walk, step).stop_grace)
    former = next((one for one in s.ledger.instances(walk.plan.app)
                   if one.release == source and one.component == step.instance.component), None)
    if former is None:
        return
    if backing_of(walk.plan.app) is not None:
        if mine is not None and s.engine.find_container(container_of(mine)) is not None:
            s.engine.ensure_detached(container_of(mine), endpoint_of(walk, mine).network)
        s.engine.ensure_attached(container_of(former), endpoint_of(walk, former))
    s.engine.ensure_started(container_of(former))
    s.engine.set_restart(container_of(former), always=True)
    release = _release(walk, former)
    if former.id == release.main:
        try_to_settle(s, walk.facts.app, former, container_of(former))
    HealthGate(release, former, s, walk.require_lease).until_ready()


def _release(walk: Walk, one: Instance) -> Release:
    release = walk.facts.releases.get(one.release) or walk.services.ledger.find_release(one.app, one.release)
    if release is None:
        raise DeployctlError(f"{one.app} has no release {one.release}")
    return release
