"""How each step is reverted: the live version stays live, and only what this run created is removed. Idempotent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.errors import NotHealthy, SwitchRefused
from deployctl.execution.containers import (
    bundle_of,
    container_of,
    forget_container,
    remove_empty_network,
    remove_release,
)
from deployctl.execution.kinds.hand_over import hand_back, let_go, queue_again
from deployctl.execution.kinds.jobs import end_job
from deployctl.execution.pins import try_to_unpin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.execution.runner import Walk


def switch_back(walk: Walk, step: Step) -> None:
    """Switch to the former release, even if HAProxy reports no switch: its files may say otherwise."""
    traffic, source = walk.services.traffic, _who_served(walk)
    _let_proxy_know_again(walk, source)
    try:
        traffic.switch(walk.plan.app, source)
    except SwitchRefused:
        if traffic.routes().get(walk.plan.app) != source:
            raise
        traffic.sync()


def _who_served(walk: Walk) -> int | None:
    """Return the release that had the traffic before this run: not the active one, if it overtook a deployment that had
    switched it away. Raises NotHealthy if that one is not even running: what has the traffic now passed its health
    check."""
    facts, source = walk.facts, walk.plan.source
    if walk.recovering or facts.serving == source:
        return source
    if facts.serving is None and source is not None and not facts.is_up(source):
        raise NotHealthy(f"{facts.version(source)} is not running, so traffic was not switched back")
    return facts.serving or source


def _let_proxy_know_again(walk: Walk, source: int | None) -> None:
    """An `app remove` that was overtaken may have removed the live release from HAProxy."""
    s, app = walk.services, walk.plan.app
    lost = [one for main in walk.facts.mains(source)
            if (one := s.ledger.find_instance(app, main.id)) is not None and not one.routed]
    for instance in lost:
        s.ledger.set_instance(app, instance.id, routed=True)
    if lost:
        s.traffic.sync()


def forget_route(walk: Walk, step: Step) -> None:
    """Remove an instance that this run started from HAProxy, and restore the app's former address. A live release that
    was only restarted stays: HAProxy still sends the traffic there. An app whose first version is kept for inspection
    keeps its first address, too: clients get 503 there, and the next attempt needs no reload."""
    s = walk.services
    if walk.plan.kind is PlanKind.SCALE:  # each replica that was added leaves when it is removed
        return
    if walk.wishes is not None and not (walk.keep_failed and walk.facts.app.address is None):
        s.ledger.set_wishes(walk.facts.app)
    if step.release != walk.plan.source and any(done.kind is StepKind.START for done in walk.begun):
        s.ledger.set_instances(walk.plan.app, step.release, routed=False)
        for instance in s.ledger.instances(walk.plan.app):
            if instance.release == step.release:
                try_to_unpin(s, walk.facts.app, instance)
    s.traffic.sync()


def stop_again(walk: Walk, step: Step) -> None:
    """Stop what this run started. A failed candidate stays, stopped, for inspection; others as they were. The active
    release keeps running."""
    if step.release == walk.plan.source:
        return
    s, instance = walk.services, walk.services.ledger.find_instance(walk.plan.app, step.instance)
    if instance is None or instance.container is None or s.engine.find_container(instance.container) is None:
        return
    s.engine.ensure_stopped(instance.container, grace=bundle_of(walk, step).stop_grace)


def uncreate(walk: Walk, step: Step) -> None:
    """Remove what this run created, unless it failed by itself: then it stays and earlier failed ones are removed. If
    the process dies here, the container is already marked."""
    s, app = walk.services, walk.plan.app
    _give_leases_back(walk, step)
    mine = s.ledger.find_instance(app, step.instance)
    if mine is None:
        return
    kept = mine.failed or (walk.keep_failed and walk.has_started(mine.id))  # one that never ran has nothing to show
    if not kept or s.engine.find_container(container_of(mine)) is None:
        forget_container(walk, mine)  # its image is released with the step that kept it
        return
    s.ledger.set_instances(app, step.release, failed=True)
    for instance in s.ledger.instances(app):
        if instance.failed and instance.release != step.release:
            remove_release(walk, instance.release)


def _give_leases_back(walk: Walk, step: Step) -> None:
    """Free what was leased for instances of the release whose container was never created."""
    s, begun = walk.services, {done.instance for done in walk.begun if done.kind is StepKind.CREATE}
    for one in s.ledger.instances(walk.plan.app):
        never = one.release == step.release and one.id not in begun and one.container is None
        if never and s.engine.find_container(one.name) is None:
            forget_container(walk, one)


def untag(walk: Walk, step: Step) -> None:
    """Release the image if no container of the release is left."""
    from deployctl.execution.labels import release_images

    same = step.instance[:2]  # the replicas of a component share its image
    if not any(one.id[:2] == same for one in walk.services.ledger.instances(walk.plan.app)):
        release_images(walk.services, walk.plan.app, step.instance)


UNDOS: Mapping[StepKind, Callable[[Walk, Step], None]] = {
    StepKind.QUEUE: let_go,
    StepKind.HAND_OVER: hand_back,
    StepKind.SWITCH: switch_back,
    StepKind.RESUME: queue_again,
    StepKind.ROUTE: forget_route,
    StepKind.START: stop_again,
    StepKind.JOB: end_job,
    StepKind.CREATE: uncreate,
    StepKind.NETWORK: remove_empty_network,
    StepKind.IMAGE: untag,
}
