"""How what runs comes to its end: open requests are finished, then it is stopped with its own grace."""

from __future__ import annotations

from contextlib import suppress

from deployctl.domain.images.component import instance_name
from deployctl.errors import NotFound
from deployctl.execution.containers import container_of, forget_container, release_of
from deployctl.execution.course import finish
from deployctl.execution.pins import try_to_unpin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Instance
    from deployctl.execution.course import Course
    from deployctl.execution.runner import Walk

DRAIN_LOOK = 0.05  # seconds between two readings of the open requests


def let_finish(walk: Walk, release: int, replica: str = "") -> str:
    """Wait until no request is open to that release, or to that replica, at most the app's drain time; then close the
    rest."""
    s, app, within = walk.services, walk.plan.app, walk.policy.drain
    end = s.clock.now() + within
    while open_requests := s.traffic.in_flight(app, release, replica=replica):
        if s.clock.now() >= end:
            s.traffic.cut(app, release, replica=replica)
            return f"{open_requests} still open after {within:g} s were closed"
        s.report.detail(f"{open_requests} open requests")
        s.clock.sleep(DRAIN_LOOK)
    return "no open requests"


def stop_one(walk: Walk, step: Step, instance: Instance) -> None:
    finish(walk, stopping(walk, step, instance))


def stopping(walk: Walk, step: Step, instance: Instance) -> Course:
    s, release, container = walk.services, release_of(walk, step), container_of(instance)
    started, grace = s.clock.now(), release.component(instance.component).bundle.stop_grace
    yield lambda s, _check: s.engine.ensure_stopped(container, grace=grace)
    try_to_unpin(s, walk.facts.app, instance)
    if s.clock.now() - started >= grace:
        name = instance_name(release, instance.id)
        walk.warn(f"{name} did not stop within stop_grace ({grace:g} s) and was killed")
    return ""


# -- replicas ---------------------------------------------------------------------------------------------------------
def record_scale(walk: Walk, step: Step) -> str:
    component = release_of(walk, step).component(step.instance.component)
    walk.services.ledger.set_scale(walk.plan.app, component.name, step.replica, written=component.replicas or 1,
                                   deployment=walk.deployment.id, token=walk.token)
    walk.promoted = True
    return ""


def shrink(walk: Walk, step: Step) -> str:
    """End one replica: it gets no more requests, finishes those it has, at most the app's drain time, and is removed."""
    s, app, release = walk.services, walk.plan.app, release_of(walk, step)
    instance = s.ledger.find_instance(app, step.instance)
    if instance is None:
        return "gone already"
    component = release.component(instance.component)
    if component is release.components[0] or component.ports:
        s.ledger.set_instance(app, instance.id, routed=False)
        s.traffic.sync()  # also if it was called not routed before: HAProxy may not know that yet
    for part in component.parts(instance.replica):
        let_finish(walk, step.release, part)
    with suppress(NotFound):
        stop_one(walk, step, instance)
    forget_container(walk, instance)
    return ""


