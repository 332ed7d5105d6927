"""How a container is started: at its place, or recreated at another one where that was taken in the meantime."""

from __future__ import annotations

from collections.abc import Callable, Generator

from deployctl.domain.images.component import instance_name
from deployctl.domain.inputs.names import backing_of
from deployctl.errors import DeployctlError, EngineRefused, PlaceTaken
from deployctl.execution.containers import (
    app_of,
    attached,
    blame,
    bundle_of,
    component_of,
    container_of,
    create_container,
    ensure_network,
    forget_container,
    instance_of,
    keep_image,
    published_at,
    release_of,
)
from deployctl.execution.pins import try_to_unpin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.release import Instance
    from deployctl.execution.course import Check, Course, Effect
    from deployctl.execution.runner import Walk
    from deployctl.ports import Engine, Services


def start_container(walk: Walk, step: Step) -> Course:
    instance = instance_of(walk, step)
    name = instance_name(release := release_of(walk, step), instance.id)
    attached(walk.services, release, instance)  # raises if something of it is gone
    try:
        instance = yield from _start_somewhere(walk, step, instance)
    except PlaceTaken as e:
        if _moves_with_all(walk, step):
            raise
        raise _refused(walk, step, name, e) from e
    except EngineRefused as e:  # it rejected this very container
        raise _refused(walk, step, name, e) from e
    try_to_unpin(walk.services, app_of(walk), instance)  # an earlier one may have had another MAC at this address
    _require_bridge(walk, instance)
    return published_at(instance).removeprefix(" on ")


def _refused(walk: Walk, step: Step, name: str, why: EngineRefused) -> EngineRefused:
    refusal = EngineRefused(f"{name} did not start: {why.message}", remedy=why.remedy)
    blame(walk, release_of(walk, step), refusal)
    return refusal


def _moves_with_all(walk: Walk, step: Step) -> bool:
    """Return whether all containers of its release are created again elsewhere, because the others know its address
    (together/moving.py)."""
    from deployctl.execution.together.moving import may_move

    return _known_to_others(walk, step) and may_move(walk, step.release) and not _lacks_joined(walk, step)


def _known_to_others(walk: Walk, step: Step) -> bool:
    """Return whether other containers were created with its address."""
    return bool(release_of(walk, step).components[1:]) and component_of(walk, step).replicas is None


def _require_bridge(walk: Walk, instance: Instance) -> None:
    """Raise if a container runs and its bridge is on another host. Podman creates it with the first container."""
    s, network = walk.services, app_of(walk).network_of(instance)
    if s.bridged and not s.guard.bridge_up(network.bridge):
        raise DeployctlError(f"the engine created the network {network.name}, but its bridge {network.bridge} "
                             "is not on this host",
                             remedy=['set reach = "loopback" under [network] in config/server.toml'])


def _start_somewhere(walk: Walk, step: Step, instance: Instance) -> Generator[Effect, None, Instance]:
    """Start it, recreated elsewhere if its port, its address or its network was taken in the meantime."""
    from deployctl.execution import networks

    for _ in range(networks.MAX_NETWORK_TRIES):
        try:
            yield _start(walk, step, instance)
            return instance
        except PlaceTaken as e:
            if _lacks_joined(walk, step) or backing_of(instance.app) is not None:
                raise  # another place would not help, and a backing component has one for life
            if _known_to_others(walk, step):
                raise
            walk.warn(f"{e.message}: it is created again elsewhere")
            keep_image(walk, step)  # otherwise nothing of it would be left
            forget_container(walk, instance)
            ensure_network(walk, step)
            create_container(walk, step)
            instance = instance_of(walk, step)
    yield _start(walk, step, instance)
    return instance


def _start(walk: Walk, step: Step, instance: Instance) -> Effect:
    from deployctl.execution.networks import join_networks

    bundle, name, container = bundle_of(walk, step), instance_name(release_of(walk, step), instance.id), container_of(instance)

    place = _place(walk, step, instance)

    def start(s: Services, _check: Check) -> None:
        if place is not None:
            place(s.engine)
        join_networks(s.engine, bundle, container, name=name)
        if bundle.secrets:
            from deployctl.execution.kinds.attachments import ensure_delivered

            ensure_delivered(s, instance, bundle, name=name)
        s.engine.ensure_started(container)

    return start


def _place(walk: Walk, step: Step, instance: Instance) -> Callable[[Engine], object] | None:
    """Return what gives a backing component its place in the network, or takes it while another version has it."""
    if backing_of(instance.app) is None:
        return None
    from deployctl.execution.kinds.places import place

    return place(walk, step, instance)


def _lacks_joined(walk: Walk, step: Step) -> bool:
    """Return whether an unmanaged network that its release joins is missing."""
    there = {network.name for network in walk.services.engine.networks()}
    return not set(bundle_of(walk, step).networks) <= there
