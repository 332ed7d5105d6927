"""How the container of an exclusive or backing component begins: behind a lock, and at the address that is its for life."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.domain.change.plan import StepKind
from deployctl.domain.inputs.names import backing_of, owner_of
from deployctl.execution.containers import container_of
from deployctl.execution.labels import backing_alias
from deployctl.ports import Endpoint, Launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Instance, Release
    from deployctl.execution.runner import Walk
    from deployctl.ports import Engine


def launch_at_lock(walk: Walk, release: Release, instance: Instance) -> Launch:
    """Return how the program of an exclusive component begins: only once it has the lock that all its versions share."""
    s, digest = walk.services, release.component(instance.component).bundle.digest
    image = s.engine.find_image(digest)
    launcher = s.exclusion().lay_launcher(image.architecture if image else "", s.engine.info())
    address = instance.address if backing_of(release.app) is not None else None
    return Launch(launcher, address, s.exclusion().lay_lock(owner_of(release.app), instance.component))


def place(walk: Walk, step: Step, instance: Instance) -> Callable[[Engine], object]:
    """Return what makes a backing component's container ready to start: with the address that is its for life, or while
    another version has that without any, so that it waits."""
    container, endpoint = container_of(instance), endpoint_of(walk, instance)
    if step.kind is StepKind.START and walk.hands_over(instance.id):
        return lambda engine: engine.ensure_detached(container, endpoint.network)
    return lambda engine: engine.ensure_attached(container, endpoint)


def endpoint_of(walk: Walk, instance: Instance) -> Endpoint:
    return Endpoint(walk.facts.app.network_of(instance).name, instance.address, aliases=(backing_alias(instance.app),))
