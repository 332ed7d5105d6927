"""What each kind of step does to the world. Every act may run twice."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from deployctl.domain.plan import Kind, Step, StepKind
from deployctl.domain.release import Change, Hold, Instance, Release
from deployctl.domain.same_image import is_made_of
from deployctl.errors import DeployctlError, EngineRefused, NotFound, NotHealthy, RevertedAfterSwitch
from deployctl.gate import ask_through_proxy
from deployctl.interrupts import shielded
from deployctl.labels import (
    common_labels,
    container_labels,
    container_name,
    host_name,
    is_sealed,
    keep_tag,
    release_images,
)
from deployctl.ports import ContainerSpec, NetworkSpec, Services
from deployctl.prove import Trial
from deployctl.runner import Act, Walk

KEPT_LINES = 10_000  # of a log whose container is removed, as far as they have room
DRAIN_LOOK = 0.05  # seconds between two counts of open requests


# -- image, network, container ------------------------------------------------------------------------------------
def keep_image(walk: Walk, step: Step) -> str:
    """Have the exact image here, pulled by digest when it is gone, and keep it with a tag of ours."""
    s, release = walk.services, release_of(walk, step)
    bundle = release.bundle
    ensure_image(release, s)
    s.engine.keep_image(bundle.digest, keep_tag(s.ledger.identity, release.app, release.number))
    return f"{bundle.image}  {bundle.digest[7:19]}"


def ensure_image(release: Release, s: Services) -> None:
    """Have the exact image here, pulled when it is gone. Raises NotFound or RegistryUnavailable."""
    bundle = release.bundle
    gone = f"the image of {release.version} ({bundle.digest[7:19]}) is no longer on this server"
    if s.engine.find_image(bundle.digest) is not None:
        return
    if bundle.repo_digest is None:
        raise NotFound(f"{gone}, and no registry is known to have it", remedy=[f"build or load {bundle.image} again"])
    pulled = s.engine.pull_image(bundle.repo_digest, progress=s.report.detail)
    if pulled.digest != bundle.digest:  # another image store names the same content otherwise
        raise NotFound(f"{gone}: the engine knows what {bundle.repo_digest} gives as {pulled.digest[7:19]}",
                       remedy=[f"deployctl upgrade {release.app} {release.version}"])


def ensure_network(walk: Walk, step: Step) -> str:
    """Make the app's network; its guard route comes first, so that its addresses can never mean a stranger."""
    s, app = walk.services, walk.facts.app
    if s.bridged:
        s.guard.ensure(app.subnet)
    s.engine.ensure_network(NetworkSpec(app.network, app.bridge, app.subnet, app.gateway, common_labels(s, app.name)))
    return app.subnet


def create_container(walk: Walk, step: Step) -> str:
    s, release = walk.services, release_of(walk, step)
    _clear_left_over(walk, step.release)
    low, high = s.spec.ports
    instance = s.ledger.add_instance(
        release.app, release.number, container_name(s.ledger.identity, release), ports=range(low, high + 1),
        taken=lambda port: s.guard.port_taken("127.0.0.1", port))
    _clear_other_image(walk, release, instance)
    seen = s.engine.ensure_created(ContainerSpec(
        name=instance.name, bundle=release.bundle, network=walk.facts.app.network, address=instance.address,
        publish=instance.host_port, hostname=host_name(release),
        labels=container_labels(s, release, operation=walk.deployment.id)))
    s.ledger.set_instance(release.app, release.number, container=seen.id, store=s.engine.info().store or None)
    return f"container {instance.name} on 127.0.0.1:{instance.host_port}"


def _clear_left_over(walk: Walk, number: int) -> None:
    """Remove the container of an earlier try that failed: a retry begins with a fresh one on a port of its own."""
    instance = walk.services.ledger.find_instance(walk.plan.app, number)
    if instance is not None and instance.failed:
        forget_container(walk, instance)


def _clear_other_image(walk: Walk, release: Release, instance: Instance) -> None:
    """Remove what another tool made again in its place, of another image, with our labels and seal copied."""
    s = walk.services
    there = s.engine.find_container(instance.name)
    if there is None or is_made_of(there.image, release.bundle):
        return
    labels = {**there.labels, "deployctl.app": release.app, "deployctl.release": str(release.number)}
    if is_sealed(s.ledger.identity, labels):
        s.engine.ensure_removed(there.id)


def start_container(walk: Walk, step: Step) -> str:
    instance = _instance(walk, step)
    try:
        walk.services.engine.ensure_started(container_of(instance))
    except EngineRefused as e:  # it said no to this very container
        walk.keep_failed = True
        refusal = EngineRefused(f"{release_of(walk, step).version} did not start: {e.message}", remedy=e.remedy)
        walk.services.ledger.mark_failed(instance.app, instance.release, why=refusal.message)
        raise refusal from e
    _require_bridge(walk)
    return f"127.0.0.1:{instance.host_port}"


def _require_bridge(walk: Walk) -> None:
    """Raise when a container runs and its bridge is on another host. Podman makes it with the first container."""
    s, app = walk.services, walk.facts.app
    if s.bridged and not s.guard.bridge_up(app.bridge):
        raise DeployctlError(f"the engine made the network {app.network}, but its bridge {app.bridge} is not on this host",
                             remedy=['set reach = "loopback" under [network] in config/server.toml'])


def prove_healthy(walk: Walk, step: Step) -> str:
    """Pass the health gate: the whole trial, or one good answer of a release that is warm."""
    s, release = walk.services, release_of(walk, step)
    warm = walk.facts.is_warm(step.release)
    trial = Trial(release, _instance(walk, step), s, walk.check, active=_active(walk), just_seen=warm,
                  engine_away=walk.facts.engine_away is not None)
    try:
        text = trial.quick() if warm else trial.until_ready()
    except NotHealthy as e:
        walk.keep_failed = True
        s.ledger.mark_failed(release.app, release.number, why=e.message)
        raise
    walk.restarts = trial.restarts
    if not walk.will(StepKind.GATE, step.release):
        _mark_proven(walk, release)
    return text


def _mark_proven(walk: Walk, release: Release) -> None:
    if not release.proven_at or release.failure:
        walk.services.ledger.mark_proven(release.app, release.number, at=walk.services.clock.utc())


# -- traffic --------------------------------------------------------------------------------------------------------
def let_proxy_know(walk: Walk, step: Step) -> str:
    """Let HAProxy carry the instance, and the app's stable address, still without traffic."""
    s, instance = walk.services, _instance(walk, step)
    s.engine.set_restart(container_of(instance), always=True)
    if walk.wishes is not None:
        s.ledger.set_wishes(walk.wishes)
    s.ledger.set_instance(instance.app, instance.release, routed=True)
    if walk.plan.kind is Kind.START and step.release != walk.facts.app.active:
        s.ledger.set_instance(instance.app, instance.release, beside=True)
    s.traffic.sync()
    return walk.wishes.address or "" if walk.wishes else ""


def pass_gate(walk: Walk, step: Step) -> str:
    """Ask the way visitors come. Only who passes is proven, and only then header and cookie lead to it."""
    release = release_of(walk, step)
    try:
        text = ask_through_proxy(release, walk.wishes or walk.facts.app, walk.services, walk.check)
    except NotHealthy as e:
        walk.keep_failed = True
        walk.services.ledger.mark_failed(release.app, release.number, why=e.message)
        raise
    _mark_proven(walk, release)
    walk.services.traffic.refresh_previews()
    return text


def switch_traffic(walk: Walk, step: Step) -> str:
    target = walk.plan.target if walk.plan.kind is Kind.STOP else step.release
    _require_own_image(walk, target)
    switched = walk.services.traffic.switch(walk.plan.app, target)
    walk.switched, walk.switch_ms = True, switched.ms
    return f"confirmed by HAProxy in {switched.ms:.1f} ms"


def _require_own_image(walk: Walk, target: int | None) -> None:
    """Raise NotHealthy when the list of containers has shown another image in its place, and this walk made no other."""
    made = any(step.kind is StepKind.CREATE and step.release == target for step in walk.begun)
    if target in walk.facts.other_image and not made:
        raise NotHealthy(f"the container of {walk.facts.version(target)} is made of another image than its release: "
                         "somebody made it again", remedy=[f"deployctl reconcile {walk.plan.app}"])


def watch_candidate(walk: Walk, step: Step) -> str:
    release = release_of(walk, step)
    trial = Trial(release, _instance(walk, step), walk.services, walk.check, active=_active(walk), restarts=walk.restarts)
    try:
        return trial.watch(walk.policy.watch)
    except NotHealthy as e:
        walk.keep_failed = True
        walk.services.ledger.mark_failed(release.app, release.number, why=e.message)
        _hold_failed(walk, release)
        back = RevertedAfterSwitch(f"{release.version} failed under traffic: {e.message} Traffic went back by itself.",
                                   remedy=e.remedy)
        back.details = e.details
        raise back from e


def _hold_failed(walk: Walk, release: Release) -> None:
    """Hold that very build, unless what serves again is the same build with another bundle: a hold would meet both."""
    s, active = walk.services, _active(walk)
    if active is None or (active.version, active.digest) != (release.version, release.digest):
        s.ledger.set_hold(release.app, release.version, release.digest,
                          Hold(s.clock.utc(), s.actor, "failed under traffic and went back by itself"))


def promote(walk: Walk, step: Step) -> str:
    s, plan = walk.services, walk.plan
    change = s.ledger.promote(
        Change(0, plan.app, plan.kind, plan.source, plan.target, s.clock.utc(), s.actor, walk.deployment.note,
               walk.switch_ms, walk.held, walk.lifted),
        deployment=walk.deployment.id, token=walk.token)
    walk.promoted, walk.revision = True, change.revision
    if walk.held is not None or walk.lifted is not None:
        _refresh_previews(walk)
    return f"revision {change.revision}"


def _refresh_previews(walk: Walk) -> None:
    """A held version must not be reached by cookie any more. The promotion stands whatever becomes of this."""
    try:
        walk.services.traffic.refresh_previews()
    except DeployctlError as e:
        walk.warn(f"HAProxy does not know of the hold yet: {e.message}")


# -- retiring ---------------------------------------------------------------------------------------------------------
def drain(walk: Walk, step: Step) -> str:
    """Wait until nobody is served by that release any more, at most the app's drain time; then close the rest."""
    s, app, within = walk.services, walk.plan.app, walk.policy.drain
    end = s.clock.now() + within
    while open_requests := s.traffic.in_flight(app, step.release):
        if s.clock.now() >= end:
            s.traffic.cut(app, step.release)
            return f"{open_requests} still open after {within:g} s were closed"
        s.report.detail(f"{open_requests} open requests")
        s.clock.sleep(DRAIN_LOOK)
    return "nothing open"


def stop_container(walk: Walk, step: Step) -> str:
    s, instance, release = walk.services, _instance(walk, step), release_of(walk, step)
    s.ledger.set_instance(instance.app, instance.release, routed=False, beside=False)
    s.traffic.sync()
    started = s.clock.now()
    try:
        s.engine.ensure_stopped(container_of(instance), grace=release.bundle.stop_grace)
    except NotFound:  # nothing runs that could be stopped
        return "its container is gone"
    except DeployctlError:  # it still runs as far as we know: a rollback to it must stay possible
        s.ledger.set_instance(instance.app, instance.release, routed=instance.routed, beside=instance.beside)
        s.traffic.sync()
        raise
    if s.clock.now() - started >= release.bundle.stop_grace:
        walk.warn(f"{release.version} did not end within stop_grace ({release.bundle.stop_grace:g} s) and was killed")
    return ""


def remove_container(walk: Walk, step: Step) -> str:
    with shielded():  # nobody comes back for a network that is left when its last container is gone
        remove_release(walk, step.release)
        if walk.facts.app.active is None:  # the last container of an app that serves nobody
            remove_empty_network(walk, step)
    return ""


def remove_release(walk: Walk, number: int) -> None:
    s, app = walk.services, walk.plan.app
    instance = s.ledger.find_instance(app, number)
    if instance is None:
        release_images(s, app, number)
    else:
        forget_container(walk, instance, image_too=True)


def forget_container(walk: Walk, instance: Instance, *, image_too: bool = False) -> None:
    """Remove it, and with `image_too` keep its image no more."""
    s = walk.services
    if instance.routed:
        s.ledger.set_instance(instance.app, instance.release, routed=False)
        s.traffic.sync()
    with shielded():  # one without the others would look like something that somebody removed or left
        seen = s.engine.find_container(container_of(instance))
        if seen is not None and s.ledger.identity.owns(seen.labels):
            keep_log(instance, seen.id, s)
            s.engine.ensure_removed(seen.id)
        if image_too:
            release_images(s, instance.app, instance.release)
        s.ledger.remove_instance(instance.app, instance.release)  # last: whoever comes after a death sees what is left


def keep_log(instance: Instance, container: str, s: Services) -> None:
    """Keep the end of its log: why a version was bad is asked when its container is long gone. A log that cannot be read
    keeps no container."""
    with suppress(DeployctlError):
        s.kept_logs.keep(instance.app, instance.release, list(s.engine.logs(container, tail=KEPT_LINES)))


def remove_empty_network(walk: Walk, step: Step) -> None:
    s, app = walk.services, walk.facts.app
    if not s.ledger.instances(app.name):
        s.engine.ensure_network_gone(app.network)
        if s.bridged:
            s.guard.ensure_gone(app.subnet)


ACTIONS: Mapping[StepKind, Act] = {
    StepKind.IMAGE: keep_image,
    StepKind.NETWORK: ensure_network,
    StepKind.CREATE: create_container,
    StepKind.START: start_container,
    StepKind.HEALTH: prove_healthy,
    StepKind.ROUTE: let_proxy_know,
    StepKind.GATE: pass_gate,
    StepKind.SWITCH: switch_traffic,
    StepKind.WATCH: watch_candidate,
    StepKind.PROMOTE: promote,
    StepKind.DRAIN: drain,
    StepKind.STOP: stop_container,
    StepKind.PRUNE: remove_container,
}

# -- reading what a step is about -----------------------------------------------------------------------------------------
def release_of(walk: Walk, step: Step) -> Release:
    release = walk.facts.releases.get(step.release)
    if release is None:
        raise NotFound(f"{walk.plan.app} has no release {step.release}")
    return release


def _instance(walk: Walk, step: Step) -> Instance:
    instance = walk.services.ledger.find_instance(walk.plan.app, step.release)
    if instance is None:
        raise NotFound(f"release {step.release} of {walk.plan.app} has no container")
    return instance


def container_of(instance: Instance) -> str:
    return instance.container or instance.name


def _active(walk: Walk) -> Release | None:
    return walk.facts.releases.get(walk.plan.source) if walk.plan.source is not None else None


