"""How a container is created, started and removed, with its image, network and leases. Every action may run twice."""

from __future__ import annotations

from contextlib import suppress

from deployctl.domain.change.plan import PlanKind
from deployctl.domain.images.component import InstanceId, dropped
from deployctl.domain.images.image_ref import is_made_of, short_digest
from deployctl.domain.inputs.names import backing_of, owner_of
from deployctl.errors import DeployctlError, NetworkFull, NetworkTaken, NotFound
from deployctl.execution.fence import taken_over
from deployctl.execution.interrupts import shielded
from deployctl.execution.pins import try_to_unpin
from deployctl.ports import ContainerSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.plan import Step
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import App, Bundle, Instance, Release
    from deployctl.execution.runner import Walk
    from deployctl.ports import Launch, Services

KEPT_LINES = 10_000  # of the log of a removed container, as far as space allows


def keep_image(walk: Walk, step: Step) -> str:
    """Ensure that the exact image is present, pulled by digest if missing, and keep it with a tag of ours."""
    from deployctl.execution.labels import keep_tag

    s, release = walk.services, release_of(walk, step)
    bundle = bundle_of(walk, step)
    ensure_image(release, bundle, s)
    s.engine.keep_image(bundle.digest, keep_tag(s.ledger.identity, release.app, step.instance))
    return f"{bundle.image}  {short_digest(bundle.digest)}"


def ensure_image(release: Release, bundle: Bundle, s: Services) -> None:
    """Ensure that the exact image is present, pulled if missing. Raises NotFound or RegistryUnavailable."""
    missing = f"the image of {release.version} ({short_digest(bundle.digest)}) is no longer on this server"
    if s.engine.find_image(bundle.digest) is not None:
        return
    if bundle.repo_digest is None:
        raise NotFound(f"{missing}, and no registry is known that has it", remedy=[f"build or load {bundle.image} again"])
    pulled = s.engine.pull_image(bundle.repo_digest, progress=s.report.detail)
    if pulled.digest != bundle.digest:  # another image store gives the same content another id
        raise NotFound(f"{missing}: the engine stores {bundle.repo_digest} as {short_digest(pulled.digest)}",
                       remedy=[f"deployctl upgrade {release.app} {release.version}"])


def ensure_network(walk: Walk, step: Step) -> str:
    """Create the network for the next containers: the one that the release already has addresses in, else the app's own."""
    from deployctl.execution import networks

    s, app, release = walk.services, app_of(walk), release_of(walk, step)
    if app.is_backing:  # in the network of its app, for life
        networks.make(s, owner_of(app.name), app.own_network)
        return app.subnet
    placed = [one for one in _placed(walk, release) if not one.failed]
    if placed:
        try:
            network = app.network_of(placed[0])
            networks.make(s, app.name, network)
        except NetworkTaken:  # its address goes with it
            for instance in placed:
                forget_container(walk, instance)
        else:
            return network.subnet
    return networks.own_network(s, networks.widened(s, app) if release.components[1:] else app).subnet


def create_container(walk: Walk, step: Step) -> str:
    from deployctl.execution.labels import container_labels, host_name
    from deployctl.execution.names_inside import names_inside

    s, release = walk.services, release_of(walk, step)
    _clear_left_over(walk, step)
    instance = _lease_place(walk, step, release)
    _clear_other_image(walk, step, instance)
    seen = s.engine.ensure_created(ContainerSpec(
        name=instance.name, bundle=bundle_of(walk, step), network=app_of(walk).network_of(instance).name,
        address=instance.address, publish=instance.host_port, hostname=host_name(release, instance.id),
        apart=backing_of(release.app) is not None,
        **names_inside(release, instance, _placed(walk, release), s),
        labels=container_labels(s, release, instance.id, operation=walk.deployment.id),
        cap_drop=dropped(release.cap_drop, bundle_of(walk, step)),
        **attached(s, release, instance, _launch(walk, release, instance))))
    s.ledger.set_instance(release.app, instance.id, container=seen.id, store=s.engine.info().store or None)
    return f"container {instance.name}{published_at(instance)}"


def attached(s: Services, release: Release, instance: Instance, launch: Launch | None = None) -> dict[str, Any]:
    bundle = release.component(instance.component).bundle
    if not (bundle.mounts or bundle.files or bundle.keys or bundle.cap_add or bundle.secrets):
        return {"launch": launch}
    from deployctl.execution.kinds import attachments  # few apps have any

    return attachments.attached(s, release, instance, launch)


def _launch(walk: Walk, release: Release, instance: Instance) -> Launch | None:
    if not release.component(instance.component).is_exclusive:
        return None
    from deployctl.execution.kinds.places import launch_at_lock

    return launch_at_lock(walk, release, instance)


def published_at(instance: Instance) -> str:
    return "" if instance.host_port is None else f" on 127.0.0.1:{instance.host_port}"


def _lease_place(walk: Walk, step: Step, release: Release) -> Instance:
    """Lease ports and addresses for all instances of the release, in another network if the app's own is full: each
    container is created knowing where the others are."""
    from deployctl.execution import networks

    s = walk.services
    try:
        return _lease_all(release, step.instance, s)
    except NetworkFull as e:
        for one in _placed(walk, release):  # they are to be in one network
            forget_container(walk, one)
        app = networks.own_network(s, networks.move_on(s, app_of(walk)))
        walk.warn(f"{e.message}: new containers use {app.subnet} ({app.network})")
        return _lease_all(release, step.instance, s)


def _lease_all(release: Release, wanted: InstanceId, s: Services) -> Instance:
    """Return that instance, once all have their places: but a job, which nobody looks for, only if it is the one."""
    from deployctl.execution.labels import container_name

    low, high = s.spec.ports
    published = range(low, high + 1)
    reached = {release.main} if s.bridged else {*release.mains}  # a published port costs time at each start
    reached = set() if s.bridged and backing_of(release.app) is not None else reached
    ids = [one for one in release.containers if one in {*release.instances, wanted}]
    with s.ledger.transaction():
        found = {one: s.ledger.add_instance(
            release.app, one, container_name(s.ledger.identity, release, one), ports=published if one in reached else None,
            taken=lambda port: s.guard.port_taken("127.0.0.1", port)) for one in ids}
    return found[wanted]


def _placed(walk: Walk, release: Release) -> list[Instance]:
    return [one for one in walk.services.ledger.instances(release.app) if one.release == release.number]


def _clear_left_over(walk: Walk, step: Step) -> None:
    """Remove the containers of an earlier attempt that failed: a retry begins with fresh ones at places of their own."""
    for instance in _placed(walk, release_of(walk, step)):
        if instance.failed:
            forget_container(walk, instance)


def _clear_other_image(walk: Walk, step: Step, instance: Instance) -> None:
    """Remove what another tool recreated in its place from another image, with our labels and signature copied."""
    from deployctl.execution.labels import identifying_labels, is_sealed

    s = walk.services
    there = s.engine.find_container(instance.name)
    if there is None or is_made_of(there.image, bundle_of(walk, step)):
        return
    if is_sealed(s.ledger.identity, {**there.labels, **identifying_labels(instance.app, instance.id)}):
        s.engine.ensure_removed(there.id)


# -- removing ----------------------------------------------------------------------------------------------------------
def remove_release(walk: Walk, number: int) -> None:
    from deployctl.execution.labels import release_images

    s, app = walk.services, walk.plan.app
    for instance in s.ledger.instances(app):
        if instance.release == number:
            forget_container(walk, instance, image_too=True)
    release = walk.facts.releases.get(number)
    known = release.containers if release else walk.facts.ids(number) or (InstanceId(number),)
    for one in known:  # also of one whose container was never created
        release_images(s, app, one)


def forget_container(walk: Walk, instance: Instance, *, image_too: bool = False) -> None:
    """Remove it, and with `image_too` no longer keep its image."""
    from deployctl.execution import networks
    from deployctl.execution.labels import release_images

    s = walk.services
    if instance.routed:
        s.ledger.set_instance(instance.app, instance.id, routed=False)
        s.traffic.sync()
    with shielded():  # some of these without the others would look like drift
        seen = s.engine.find_container(container_of(instance))
        if seen is not None and s.ledger.identity.owns(seen.labels):
            keep_log(instance, seen.id, s)
            s.engine.ensure_removed(seen.id)
        release = walk.facts.releases.get(instance.release)
        if release is None or any(one.bundle.secrets for one in release.components):
            s.secrets().withdraw(instance.app, instance.id)
        if image_too:
            release_images(s, instance.app, instance.id)
        try_to_unpin(s, app_of(walk), instance)
        s.ledger.remove_instance(instance.app, instance.id)  # last: after a crash the next process sees what is left
        if instance.network and instance.network != app_of(walk).own_network:
            networks.clear_unused(s, instance.app)


def keep_log(instance: Instance, container: str, s: Services) -> None:
    """Keep the end of its log: people ask why a version was bad when its container is long gone. A log that cannot be
    read does not keep the container."""
    with suppress(DeployctlError):
        s.kept_logs.keep(instance.app, instance.id, s.engine.logs(container, tail=KEPT_LINES))


def remove_empty_network(walk: Walk, step: Step) -> None:
    from deployctl.execution import networks

    if not walk.services.ledger.instances(walk.plan.app):
        networks.clear_unused(walk.services, owner_of(walk.plan.app))


def blame(walk: Walk, release: Release, error: DeployctlError) -> None:
    """Record that the release failed, and keep its containers for inspection; one more replica is no trial of it."""
    if walk.plan.kind is not PlanKind.SCALE:
        walk.keep_failed = True
        walk.services.ledger.mark_failed(release.app, release.number, why=error.message, code=error.cause or error.code)


# -- reading what a step refers to ---------------------------------------------------------------------------------------
def release_of(walk: Walk, step: Step) -> Release:
    release = walk.facts.releases.get(step.release)
    if release is None:
        raise NotFound(f"{walk.plan.app} has no release {step.release}")
    return release


def app_of(walk: Walk) -> App:
    """Return the app as it is now: its own network may have changed during the run."""
    app = walk.services.ledger.find_app(walk.plan.app)
    if app is None:  # only a process that took over the lease can have done that
        raise taken_over(walk.plan.app)
    return app


def bundle_of(walk: Walk, step: Step) -> Bundle:
    """Return the spec of the instance that the step is about."""
    return component_of(walk, step).bundle


def component_of(walk: Walk, step: Step) -> Component:
    return release_of(walk, step).component(step.instance.component)


def instance_of(walk: Walk, step: Step) -> Instance:
    return recorded(walk, step.instance)


def fronts_of(walk: Walk, step: Step) -> list[Instance]:
    """Return the instances of the step's release that clients reach, those without a container left out. Raises NotFound if
    the app's own address leads to none."""
    release = release_of(walk, step)
    others = (walk.services.ledger.find_instance(release.app, one) for one in release.fronts[1:])
    return [recorded(walk, release.main), *(one for one in others if one is not None)]


def instances_of(walk: Walk, step: Step) -> list[Instance]:
    """Return what the ledger has of the step's release, the instance that clients reach first. Raises NotFound when that
    is nothing."""
    found = {one.id: one for one in walk.services.ledger.instances(walk.plan.app) if one.release == step.release}
    if not found:
        raise NotFound(f"release {step.release} of {walk.plan.app} has no container")
    order = walk.facts.ids(step.release)
    return [found[one] for one in (*order, *(found.keys() - {*order})) if one in found]


def recorded(walk: Walk, one: InstanceId) -> Instance:
    instance = walk.services.ledger.find_instance(walk.plan.app, one)
    if instance is None:
        raise NotFound(f"release {one.release} of {walk.plan.app} has no container")
    return instance


def container_of(instance: Instance) -> str:
    return instance.container or instance.name
