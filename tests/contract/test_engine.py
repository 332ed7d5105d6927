"""What every engine promises. The fake and Docker must both keep it, so that tests on the fake mean something."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from deployctl.domain.host.networks import mac_of
from deployctl.domain.images.release import Resources, Restart
from deployctl.errors import (
    DeployctlError,
    EngineRefused,
    EngineUnavailable,
    Invalid,
    NetworkTaken,
    NotFound,
    NotPermitted,
    PlaceTaken,
    RegistryUnavailable,
)
from deployctl.ports import ContainerFacts, ContainerMount, ContainerSpec, Endpoint, Engine
from deployctl.ports.inside import Streams
from tests.contract.engine_worlds import World, container, docker_world, fake_world, network, volume


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.integration)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        with fake_world() as fake:
            yield fake
    else:
        with docker_world(request.getfixturevalue("engine_url")) as real:
            yield real


@pytest.fixture
def engine(world: World) -> Engine:
    world.engine.ensure_network(network(world))
    return world.engine


def started(world: World, image: str = "web", *, number: int = 1) -> ContainerFacts:
    made = world.engine.ensure_created(container(world, image, number=number))
    return world.engine.ensure_started(made.id)


# -- the engine itself ------------------------------------------------------------------------------------------------
def test_the_engine_tells_what_it_is(engine: Engine) -> None:
    info = engine.info()
    assert info.version
    assert info.api.startswith("1.")
    assert info.architecture in {"amd64", "arm64"}
    assert info.local


AWAY: dict[str, Callable[[Engine], object]] = {
    "info": lambda engine: engine.info(),
    "find_image": lambda engine: engine.find_image("shop:v1"),
    "list_images": lambda engine: engine.list_images(["shop"]),
    "networks": lambda engine: engine.networks(),
    "volumes": lambda engine: engine.volumes(),
    "find_container": lambda engine: engine.find_container("shop"),
    "containers": lambda engine: engine.containers(),
    "logs": lambda engine: list(engine.logs("shop")),
    "pull_image": lambda engine: engine.pull_image("shop:v1", progress=print),
    "release_image": lambda engine: engine.release_image("deployctl/shop:r1"),
    "ensure_network_gone": lambda engine: engine.ensure_network_gone("shop"),
    "ensure_started": lambda engine: engine.ensure_started("shop"),
    "ensure_stopped": lambda engine: engine.ensure_stopped("shop", grace=1),
    "ensure_attached": lambda engine: engine.ensure_attached("shop", Endpoint("net", "172.29.0.2")),
    "ensure_detached": lambda engine: engine.ensure_detached("shop", "net"),
    "ensure_removed": lambda engine: engine.ensure_removed("shop"),
    "set_restart": lambda engine: engine.set_restart("shop", always=True),
    "execute": lambda engine: engine.execute("shop", ["true"], timeout=1),
    "set_limits": lambda engine: engine.set_limits("shop", Resources()),
    "ensure_named": lambda engine: engine.ensure_named("shop", "store"),
    "kept_tags": lambda engine: engine.kept_tags(),
    "events": lambda engine: list(engine.events(since=None, quiet=1)),
    "usage": lambda engine: engine.usage("shop"),
    "volume_sizes": lambda engine: engine.volume_sizes(),
}


@pytest.mark.parametrize("verb", AWAY)
def test_an_engine_that_is_away_is_called_unavailable(world: World, verb: str) -> None:
    with pytest.raises(EngineUnavailable, match="Docker is not responding"):
        AWAY[verb](world.away())


# -- places in networks, and the launcher ------------------------------------------------------------------------------
def place(spec: ContainerSpec) -> Endpoint:
    return replace(spec.endpoint, aliases=("db",), links=(("queue", "queue.r1.shop"),))


def test_a_container_can_be_created_and_started_without_a_place_in_its_network(engine: Engine, world: World) -> None:
    spec = replace(container(world), apart=True, publish=None)
    made = engine.ensure_created(spec)
    assert (made.networks, made.asked) == ((), {})
    assert engine.ensure_created(spec).networks == ()
    seen = engine.ensure_started(made.id)
    assert seen.running
    assert seen.addresses == {}


def test_a_running_container_gets_its_place_and_loses_it(engine: Engine, world: World) -> None:
    spec = replace(container(world), apart=True, publish=None)
    seen = engine.ensure_started(engine.ensure_created(spec).id)
    for _ in range(2):
        placed = engine.ensure_attached(seen.id, place(spec))
        assert placed.addresses == {spec.network: spec.address}
        assert placed.macs == {spec.network: mac_of(spec.address)}
        assert placed.running
    for _ in range(2):
        assert engine.ensure_detached(seen.id, spec.network).addresses == {}


def test_a_place_is_one_containers_until_it_stops(engine: Engine, world: World) -> None:
    former, later = container(world, number=1), replace(container(world, number=2), apart=True, publish=None)
    first = engine.ensure_started(engine.ensure_created(former).id)
    second = engine.ensure_started(engine.ensure_created(replace(later, address=former.address)).id)
    with pytest.raises(PlaceTaken):
        engine.ensure_attached(second.id, former.endpoint)
    engine.ensure_stopped(first.id, grace=5)
    assert engine.ensure_attached(second.id, former.endpoint).addresses == {former.network: former.address}
    with pytest.raises(PlaceTaken):
        engine.ensure_started(first.id)


def test_an_attached_container_can_be_given_another_address(engine: Engine, world: World) -> None:
    spec = replace(container(world), apart=True, publish=None)
    seen = engine.ensure_started(engine.ensure_created(spec).id)
    engine.ensure_attached(seen.id, spec.endpoint)
    other = str(world.subnet[30])
    assert engine.ensure_attached(seen.id, replace(spec.endpoint, address=other)).addresses == {spec.network: other}


def test_a_stop_can_leave_it_to_the_engine_to_start_it_again(engine: Engine, world: World) -> None:
    for keep, wanted in ((True, Restart.ALWAYS), (False, Restart.NEVER)):
        seen = started(world)
        engine.set_restart(seen.id, always=True)
        stopped = engine.ensure_stopped(seen.id, grace=0, keep_restart=keep)
        assert (stopped.running, stopped.restart) == (False, wanted)


def test_the_launcher_waits_for_the_address_and_then_for_the_lock(engine: Engine, world: World) -> None:
    launch = world.launch("db")
    former = replace(container(world, number=1), launch=replace(launch, address=str(world.subnet[11])), publish=None)
    first = engine.ensure_started(engine.ensure_created(former).id)
    world.wait_ready(first)
    assert world.exclusion.holders(launch.lock or "") == (first.pid,)
    later = replace(container(world, number=2), launch=former.launch, address=former.address, apart=True, publish=None)
    second = engine.ensure_started(engine.ensure_created(later).id)
    assert world.exclusion.holders(launch.lock or "") == (first.pid,)
    engine.ensure_stopped(first.id, grace=5)
    assert world.exclusion.holders(launch.lock or "") == ()
    second = engine.ensure_attached(second.id, former.endpoint)
    world.wait_ready(second)
    assert world.exclusion.holders(launch.lock or "") == (second.pid,)
    assert world.exclusion.holds(launch.lock or "", second.pid)
    assert not world.exclusion.holds(launch.lock or "", first.pid)


def test_a_container_that_waits_obeys_the_stop_signal(engine: Engine, world: World) -> None:
    spec = replace(container(world, "noterm"), launch=replace(world.launch("db"), address=str(world.subnet[40])), publish=None)
    seen = engine.ensure_started(engine.ensure_created(spec).id)
    assert engine.ensure_stopped(seen.id, grace=60).exit_code != 137


# -- images -----------------------------------------------------------------------------------------------------------
def test_an_image_is_found_by_its_tag_and_by_its_id(world: World) -> None:
    digest = world.image("web")
    by_tag, by_id = world.engine.find_image("dctl-test/web:v1"), world.engine.find_image(digest)
    assert by_tag is not None
    assert by_tag == by_id
    assert by_tag.digest == digest
    assert "dctl-test/web:v1" in by_tag.tags


def test_images_are_listed_by_their_names(world: World) -> None:
    digest = world.image("web")
    listed = {one.digest: one for one in world.engine.list_images(["dctl-test/web", "dctl-test/none"])}
    assert "dctl-test/web:v1" in listed[digest].tags
    assert listed[digest].size > 0
    assert datetime.fromisoformat(listed[digest].created_at).tzinfo is not None
    assert world.engine.list_images(["dctl-test/none"]) == []
    assert world.engine.list_images([]) == []


def test_an_image_is_not_found_by_another_tag_or_id(world: World) -> None:
    world.image("web")
    assert world.engine.find_image("dctl-test/web:no-such-tag") is None
    assert world.engine.find_image(f"sha256:{'0' * 64}") is None


def test_an_image_is_not_found_by_the_beginning_of_its_id(world: World) -> None:
    digest = world.image("web").removeprefix("sha256:")
    assert world.engine.find_image(digest[:12]) is None


@pytest.mark.parametrize("reference", ["../images/web", "web?x=1", "we b", "web#1", "we%62:v1", "web\n", "a//b", ""])
def test_what_is_no_reference_is_refused(world: World, reference: str) -> None:
    with pytest.raises(Invalid):
        world.engine.find_image(reference)


def test_an_image_that_is_kept_bears_our_tag_until_it_is_released(world: World) -> None:
    digest, tag = world.image("web"), f"deployctl/{world.mark}:r1"
    world.engine.keep_image(digest, tag)
    world.engine.keep_image(digest, tag)
    found = world.engine.find_image(tag)
    assert found is not None
    assert found.digest == digest
    world.engine.release_image(tag)
    world.engine.release_image(tag)
    assert world.engine.find_image(tag) is None
    assert world.engine.find_image(digest) is not None


def test_keeping_an_image_that_is_not_here_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.engine.keep_image(f"sha256:{'0' * 64}", f"deployctl/{world.mark}:r1")


def test_only_tags_of_ours_are_released(world: World) -> None:
    digest = world.image("web")
    with pytest.raises(NotPermitted):
        world.engine.release_image("dctl-test/web:v1")
    assert world.engine.find_image(digest) is not None


def test_a_pulled_image_is_here_afterwards(world: World) -> None:
    reference = f"{world.registry}/acme/{world.mark}:v2"
    digest, lines = world.publish(reference), list[str]()
    pulled = world.engine.pull_image(reference, progress=lines.append)
    assert pulled.digest == digest
    assert world.engine.find_image(reference) == pulled
    assert lines[-1].startswith("1 of 1 layers")


def test_pulling_what_the_registry_does_not_have_is_not_found(world: World) -> None:
    world.publish(f"{world.registry}/acme/{world.mark}:v2")
    with pytest.raises(NotFound):
        world.engine.pull_image(f"{world.registry}/acme/{world.mark}:v9", progress=print)


def test_what_a_registry_has_under_a_tag_is_told_without_a_pull(world: World) -> None:
    reference = f"{world.registry}/acme/{world.mark}:v2"
    digest = world.publish(reference)
    there = world.engine.registry_digest(reference, within=10)
    assert world.engine.find_image(digest) is None
    pulled = world.engine.pull_image(reference, progress=lambda line: None)
    assert f"{world.registry}/acme/{world.mark}@{there}" in pulled.repo_digests
    assert world.engine.registry_digest(f"{world.registry}/acme/{world.mark}@{there}", within=10) == there


def test_what_a_registry_does_not_have_is_not_found_without_a_pull(world: World) -> None:
    world.publish(f"{world.registry}/acme/{world.mark}:v2")
    with pytest.raises(NotFound):
        world.engine.registry_digest(f"{world.registry}/acme/{world.mark}:v9", within=10)


def test_a_registry_that_is_away_is_called_unavailable(world: World) -> None:
    world.shut_registry()
    with pytest.raises(RegistryUnavailable):
        world.engine.pull_image(f"{world.registry}/acme/{world.mark}:v2", progress=print)
    with pytest.raises(RegistryUnavailable):
        world.engine.registry_digest(f"{world.registry}/acme/{world.mark}:v2", within=10)


# -- networks ---------------------------------------------------------------------------------------------------------
def test_a_network_may_be_asked_for_twice_and_is_listed_as_asked(world: World) -> None:
    spec = network(world)
    world.engine.ensure_network(spec)
    world.engine.ensure_network(spec)
    [found] = [facts for facts in world.engine.networks() if facts.name == spec.name]
    assert (found.subnets, found.bridge) == ((spec.subnet,), spec.bridge)
    assert spec.labels.items() <= found.labels.items()


def test_a_network_of_ours_with_another_subnet_is_refused(engine: Engine, world: World) -> None:
    smaller = str(next(world.subnet.subnets(new_prefix=28)))
    with pytest.raises(NetworkTaken, match="not"):
        engine.ensure_network(replace(network(world), subnet=smaller))


def test_a_strangers_network_is_never_ours(world: World) -> None:
    spec = replace(network(world), labels={})
    world.strange_network(spec)
    with pytest.raises(NetworkTaken, match="not ours"):
        world.engine.ensure_network(network(world))
    with pytest.raises(NotPermitted):
        world.engine.ensure_network_gone(spec.name)
    assert spec.name in {facts.name for facts in world.engine.networks()}


def test_a_container_joins_the_networks_of_its_bundle_and_keeps_its_own_address(engine: Engine, world: World) -> None:
    backend, own = world.backend(), network(world).name
    spec = container(world, networks=(backend,))
    made = engine.ensure_created(spec)
    assert made.networks == tuple(sorted((backend, own)))
    running = engine.ensure_started(made.id)
    assert running.addresses[own] == spec.address
    assert backend in running.addresses
    [listed] = engine.containers()
    assert listed.networks == made.networks
    assert engine.ensure_created(spec).id == made.id
    assert engine.ensure_stopped(made.id, grace=1).networks == made.networks


def test_a_stopped_container_joins_a_network_that_was_made_again_under_its_name(engine: Engine, world: World) -> None:
    backend = world.backend()
    made = engine.ensure_started(engine.ensure_created(container(world, networks=(backend,))).id)
    engine.ensure_stopped(made.id, grace=1)
    world.remove_backend()
    with pytest.raises(NotFound, match="network"):
        engine.ensure_connected(made.id, backend)
    world.backend()
    engine.ensure_connected(made.id, backend)
    assert backend in engine.ensure_started(made.id).addresses


def test_a_network_that_is_not_there_cannot_be_joined(engine: Engine, world: World) -> None:
    with pytest.raises(NotFound, match="network"):
        engine.ensure_created(container(world, networks=(f"{world.mark}-nowhere",)))


def test_a_running_container_is_connected_once_and_only_to_strangers_networks(engine: Engine, world: World) -> None:
    seen, backend = started(world), world.backend()
    engine.ensure_connected(seen.id, backend)
    engine.ensure_connected(seen.id, backend)
    found = engine.find_container(seen.id)
    assert found is not None
    assert found.networks == tuple(sorted((backend, network(world).name)))
    world.strange_network(replace(network(world), name=f"{world.mark}-two", subnet="10.213.7.0/26", gateway="10.213.7.1"))
    with pytest.raises(NotPermitted):
        engine.ensure_connected(seen.id, f"{world.mark}-two")


def test_a_subnet_that_another_network_has_is_refused(engine: Engine, world: World) -> None:
    other = replace(network(world), name=f"{world.mark}-other", bridge=f"du-{world.mark[-8:]}")
    with pytest.raises(NetworkTaken, match=r"another (Docker )?network already has this subnet"):
        engine.ensure_network(other)


def test_a_bridge_that_another_network_has_is_refused(engine: Engine, world: World) -> None:
    apart = str(ip_network(f"{world.subnet[0]}/16", strict=False).broadcast_address - 255)
    other = replace(network(world), name=f"{world.mark}-other", subnet=f"{apart}/28", gateway=str(ip_address(apart) + 1))
    with pytest.raises(NetworkTaken):
        engine.ensure_network(other)


def test_what_the_engine_picks_by_itself_is_told_of_a_network(world: World) -> None:
    own = str(list(world.subnet.subnets(new_prefix=28))[-1])
    world.engine.ensure_network(replace(network(world), engines_own=own))
    [found] = [facts for facts in world.engine.networks() if facts.name == network(world).name]
    assert found.engines_own == own


def test_a_container_whose_network_is_gone_would_start_at_another_place(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    engine.ensure_network_gone(network(world).name)
    with pytest.raises(PlaceTaken):
        engine.ensure_started(made.id)


def test_a_network_goes_once_and_may_be_asked_to_go_again(engine: Engine, world: World) -> None:
    engine.ensure_network_gone(network(world).name)
    engine.ensure_network_gone(network(world).name)
    assert network(world).name not in {facts.name for facts in engine.networks()}


def test_a_network_with_a_running_container_stays(engine: Engine, world: World) -> None:
    started(world)
    with pytest.raises(EngineRefused):
        engine.ensure_network_gone(network(world).name)


# -- volumes ----------------------------------------------------------------------------------------------------------
def test_a_volume_is_ours_and_begins_empty(engine: Engine, world: World) -> None:
    spec = volume(world)
    engine.ensure_volume(spec)
    engine.ensure_volume(spec)
    (found,) = [one for one in engine.volumes() if one.name == spec.name]
    assert spec.labels.items() <= found.labels.items()
    assert found.labels["deployctl.home"] == world.home
    assert not world.has_files(spec.name)
    assert engine.volume_sizes()[spec.name] == 0


def test_a_volume_is_filled_from_an_image_and_nothing_is_left_of_that(engine: Engine, world: World) -> None:
    spec = volume(world)
    engine.ensure_volume(spec)
    engine.fill_volume(spec.name, world.image("web"), "/app")
    assert world.has_files(spec.name)
    assert engine.volume_sizes()[spec.name] > 0
    assert engine.containers() == []
    engine.fill_volume(spec.name, world.image("web"), "/app")
    engine.ensure_volume_gone(spec.name)
    engine.ensure_volume_gone(spec.name)
    assert spec.name not in {one.name for one in engine.volumes()}


def test_a_volume_that_a_container_has_is_neither_filled_nor_removed(engine: Engine, world: World) -> None:
    spec = volume(world)
    engine.ensure_volume(spec)
    made = engine.ensure_created(replace(container(world), mounts=(ContainerMount(spec.name, "/app/more", no_copy=True),)))
    engine.fill_volume(spec.name, world.image("web"), "/app")
    assert not world.has_files(spec.name)
    with pytest.raises(EngineRefused):
        engine.ensure_volume_gone(spec.name)
    engine.ensure_removed(made.id)
    assert spec.name in {one.name for one in engine.volumes()}, "it does not go with a container"


def test_a_volume_cannot_be_filled_from_an_image_that_is_not_there(engine: Engine, world: World) -> None:
    engine.ensure_volume(volume(world))
    with pytest.raises(NotFound):
        engine.fill_volume(volume(world).name, f"sha256:{'0' * 64}", "/app")


def test_a_foreign_volume_is_told_and_left_alone(engine: Engine, world: World) -> None:
    theirs = world.strange_volume()
    assert theirs in {one.name for one in engine.volumes()}
    with pytest.raises(EngineRefused, match="not ours"):
        engine.ensure_volume(replace(volume(world), name=theirs))
    with pytest.raises(NotPermitted):
        engine.ensure_volume_gone(theirs)
    assert theirs in {one.name for one in engine.volumes()}


def test_a_container_has_what_it_mounts(engine: Engine, world: World) -> None:
    spec = volume(world)
    engine.ensure_volume(spec)
    mounts = (ContainerMount(spec.name, "/data", read_only=True), ContainerMount("/etc", "/look", read_only=True))
    made = engine.ensure_created(replace(container(world), mounts=mounts))
    assert made.mounts == {"/data": spec.name, "/look": "/etc"}


def test_a_path_that_does_not_exist_is_refused_and_not_made(engine: Engine, world: World) -> None:
    missing = world.missing_path()
    with pytest.raises(EngineRefused, match="does not exist"):
        engine.ensure_created(replace(container(world), mounts=(ContainerMount(missing, "/data"),)))
    assert engine.find_container(container(world).name) is None


# -- containers -------------------------------------------------------------------------------------------------------
def test_a_created_container_is_as_asked_and_does_not_run(engine: Engine, world: World) -> None:
    spec = container(world)
    made = engine.ensure_created(spec)
    assert (made.name, made.image, made.running, made.status) == (spec.name, spec.bundle.digest, False, "created")
    assert spec.labels.items() <= made.labels.items()
    assert made.exit_code is None


def test_a_container_is_made_without_what_it_drops_and_with_what_its_bundle_adds(engine: Engine, world: World) -> None:
    engine.ensure_network(network(world))
    spec = replace(container(world, cap_add=("NET_RAW",)), cap_drop=("MKNOD", "SETFCAP"))
    engine.ensure_created(spec)
    seen = engine.find_container(spec.name)
    assert seen is not None
    assert seen.cap_drop == (("MKNOD", "SETFCAP") if engine.info().product == "Docker" else None)


def test_a_container_runs_with_the_mac_of_its_address_over_every_restart(engine: Engine, world: World) -> None:
    engine.ensure_network(network(world))
    running, spec = started(world), container(world)
    assert running.macs[spec.network] == mac_of(spec.address)
    (listed,) = [c for c in engine.containers() if c.id == running.id]
    assert listed.macs == running.macs
    assert engine.ensure_stopped(running.id, grace=1).macs == {}
    assert engine.ensure_started(running.id).macs[spec.network] == mac_of(spec.address)


def test_creating_twice_gives_the_same_container(engine: Engine, world: World) -> None:
    spec = container(world)
    assert engine.ensure_created(spec).id == engine.ensure_created(spec).id


def test_a_container_with_other_labels_is_not_adopted(engine: Engine, world: World) -> None:
    spec = container(world)
    engine.ensure_created(spec)
    with pytest.raises(EngineRefused, match="already exists"):
        engine.ensure_created(replace(spec, labels={**spec.labels, "deployctl.release": "2"}))


def test_a_container_with_another_image_is_not_adopted(engine: Engine, world: World) -> None:
    spec = container(world)
    engine.ensure_created(spec)
    other = replace(spec, bundle=replace(spec.bundle, digest=world.image("graceful")))
    with pytest.raises(EngineRefused, match="already exists"):
        engine.ensure_created(other)


def test_a_strangers_container_of_that_name_is_not_adopted(engine: Engine, world: World) -> None:
    spec = container(world)
    world.stranger(spec.name)
    with pytest.raises(EngineRefused, match="already exists"):
        engine.ensure_created(spec)


def test_an_image_that_is_not_here_makes_no_container(engine: Engine, world: World) -> None:
    spec = container(world, digest=f"sha256:{'0' * 64}")
    with pytest.raises(NotFound):
        engine.ensure_created(spec)
    assert engine.find_container(spec.name) is None


def test_a_started_container_runs_at_its_own_address(engine: Engine, world: World) -> None:
    spec = container(world)
    seen = engine.ensure_started(engine.ensure_created(spec).id)
    assert (seen.running, seen.status, seen.exit_code) == (True, "running", None)
    assert seen.addresses == {spec.network: spec.address}
    assert seen.pid > 0
    assert seen.started_at


def test_starting_twice_is_fine(engine: Engine, world: World) -> None:
    first = started(world)
    assert engine.ensure_started(first.id).pid == first.pid


def test_a_container_keeps_its_address_over_a_restart(engine: Engine, world: World) -> None:
    first = started(world)
    engine.ensure_stopped(first.id, grace=5)
    assert engine.ensure_started(first.id).addresses == first.addresses


def test_an_app_that_ends_at_once_tells_its_exit_code(engine: Engine, world: World) -> None:
    seen = started(world, "exitone")
    seen = _ended(engine, seen)
    assert (seen.running, seen.status, seen.exit_code) == (False, "exited", 3)
    assert seen.addresses == {}
    assert [line.text for line in engine.logs(seen.id)] == ["fatal: cannot read /etc/shop.conf: no such file"]


def _ended(engine: Engine, seen: ContainerFacts) -> ContainerFacts:
    for _ in engine.logs(seen.id, follow=True):  # ends when the container does
        continue
    found = engine.find_container(seen.id)
    assert found is not None
    return found


def test_a_program_that_is_not_in_the_image_is_refused_by_name(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world, "badentry"))
    with pytest.raises(EngineRefused, match="the program /no/such/program does not exist in the image"):
        engine.ensure_started(made.id)


def test_a_port_that_another_container_has_is_refused_by_number(engine: Engine, world: World) -> None:
    first = container(world)
    engine.ensure_started(engine.ensure_created(first).id)
    second = replace(container(world, number=2), publish=first.publish)
    made = engine.ensure_created(second)
    with pytest.raises(PlaceTaken, match=f"port 127.0.0.1:{first.publish} is already taken"):
        engine.ensure_started(made.id)


def test_an_address_that_another_container_has_is_refused(engine: Engine, world: World) -> None:
    first = container(world)
    engine.ensure_started(engine.ensure_created(first).id)
    made = engine.ensure_created(replace(container(world, number=2), address=first.address))
    with pytest.raises(PlaceTaken, match="the address for this container is used"):
        engine.ensure_started(made.id)


def test_stopping_twice_is_fine(engine: Engine, world: World) -> None:
    running = started(world)
    world.wait_ready(running)
    stopped = engine.ensure_stopped(running.id, grace=5)
    assert (stopped.running, stopped.exit_code) == (False, 0)
    assert engine.ensure_stopped(running.id, grace=5).exit_code == 0


def test_an_app_that_hears_no_signal_is_killed_and_that_is_seen(engine: Engine, world: World) -> None:
    assert engine.ensure_stopped(started(world, "noterm").id, grace=1).exit_code == 137


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "execute", "logs", "limit", "rename"])
def test_a_container_that_is_not_there_is_not_found(world: World, verb: str) -> None:
    with pytest.raises(NotFound):
        CHANGES[verb](world.engine, f"{world.mark}--absent")


def test_removing_what_is_not_there_is_fine(world: World) -> None:
    world.engine.ensure_removed(f"{world.mark}--absent")


def test_a_running_container_is_removed_and_may_be_removed_again(engine: Engine, world: World) -> None:
    running = started(world)
    engine.ensure_removed(running.id)
    engine.ensure_removed(running.id)
    assert engine.find_container(running.id) is None


CHANGES: dict[str, Callable[[Engine, str], object]] = {
    "start": lambda engine, name: engine.ensure_started(name),
    "stop": lambda engine, name: engine.ensure_stopped(name, grace=1),
    "remove": lambda engine, name: engine.ensure_removed(name),
    "restart": lambda engine, name: engine.set_restart(name, always=True),
    "execute": lambda engine, name: engine.execute(name, ["true"], timeout=5),
    "limit": lambda engine, name: engine.set_limits(name, Resources()),
    "rename": lambda engine, name: engine.ensure_named(name, f"{name}-renamed"),
    "logs": lambda engine, name: list(engine.logs(name)),
}


@pytest.mark.parametrize("verb", ["start", "stop", "remove", "restart", "execute", "limit", "rename"])
@pytest.mark.parametrize("home", ["", "/srv/another"])
def test_what_does_not_carry_this_homes_label_is_never_touched(world: World, verb: str, home: str) -> None:
    stranger = world.stranger(f"{world.mark}-stranger", **({"deployctl.home": home} if home else {}))
    with pytest.raises(NotPermitted):
        CHANGES[verb](world.engine, stranger)
    seen = world.engine.find_container(stranger)
    assert seen is not None
    assert seen.running


@pytest.mark.parametrize("name", ["../images/web", "a/b", "a;b", "a\nb", "", "-a", "a?force=1", "a%2fb", "é1"])
def test_what_is_no_name_never_reaches_the_engine(world: World, name: str) -> None:
    for verb in CHANGES.values():
        with pytest.raises(Invalid):
            verb(world.engine, name)
    for ask in (world.engine.find_container, world.engine.usage):
        with pytest.raises(Invalid):
            ask(name)


def test_a_container_is_found_by_full_id_and_exact_name_only(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    assert engine.find_container(made.id) == engine.find_container(made.name) == made
    assert engine.find_container(made.id[:12]) is None
    assert engine.find_container(made.name[:-1]) is None


def test_what_a_home_made_before_it_moved_is_still_its_own(engine: Engine, world: World) -> None:
    before = started(world)
    moved = world.moved()
    assert [seen.id for seen in moved.containers()] == [before.id]
    assert {home.path: home.containers for home in moved.homes()}[world.home] == 1
    moved.ensure_network(network(world))
    after = container(world, number=2)
    labels = {**after.labels, "deployctl.home": f"{world.home}-moved", "deployctl.home-id": "5e" * 8}
    made = moved.ensure_created(replace(after, labels=labels))
    assert {seen.id for seen in moved.containers()} == {before.id, made.id}
    assert moved.ensure_stopped(before.id, grace=1).status == "exited"
    for seen in (before, made):
        moved.ensure_removed(seen.id)
    assert moved.containers() == []


def test_only_this_homes_containers_are_listed_stopped_ones_too(engine: Engine, world: World) -> None:
    running, ended = started(world), engine.ensure_created(container(world, number=2))
    world.stranger(f"{world.mark}-stranger", **{"deployctl.home": "/srv/another"})
    listed = {facts.id: facts for facts in engine.containers()}
    assert set(listed) == {running.id, ended.id}
    assert listed[running.id].running
    assert listed[running.id].addresses == running.addresses
    assert not listed[ended.id].running
    assert listed[ended.id].image == ended.image


def test_only_the_last_lines_are_logged_when_asked(engine: Engine, world: World) -> None:
    seen = _ended(engine, started(world, "exitone"))
    assert list(engine.logs(seen.id, tail=0)) == []
    [line] = engine.logs(seen.id, tail=1)
    assert line.stream in {"stdout", "stderr"}
    assert line.at.endswith("Z")


def test_the_log_of_a_silent_container_is_not_read_on_when_its_reader_has_left(engine: Engine, world: World) -> None:
    seen, asked = started(world), iter([False] * 2)
    assert isinstance(list(engine.logs(seen.id, follow=True, left=lambda: next(asked, True))), list)


def test_lines_are_logged_from_a_moment_on_when_asked(engine: Engine, world: World) -> None:
    seen = _ended(engine, started(world, "exitone"))
    [line] = engine.logs(seen.id)
    at = datetime.fromisoformat(line.at).timestamp()
    assert list(engine.logs(seen.id, since=at - 60)) == [line]
    assert list(engine.logs(seen.id, since=at + 1)) == [], "the moment is Unix time, and not so many seconds ago"
    assert list(engine.logs(seen.id, since=60.0)) == [line]
    assert list(engine.logs(seen.id, since=at + 1, tail=5)) == []


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_inside_a_container_tells_how_it_ended(engine: Engine, world: World, code: int) -> None:
    program = "import sys; print('said'); sys.exit(int(sys.argv[1]))"
    done = engine.execute(started(world).id, ["/usr/bin/python3", "-c", program, str(code)], timeout=20)
    assert (done.exit_code, done.output) == (code, "said\n")


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_with_streams_of_its_own_prints_to_them(engine: Engine, world: World, code: int) -> None:
    program = "import sys; print('said'); sys.exit(int(sys.argv[1]))"
    with streams() as (given, printed):
        ended = engine.inside().execute(started(world).id, ["/usr/bin/python3", "-c", program, str(code)], given)
        assert (ended, printed()) == (code, "said\n")


def test_a_command_that_nobody_waits_for_is_ended_also_by_a_thread(engine: Engine, world: World) -> None:
    reading, writing = os.pipe()
    os.write(writing, b".")
    command = ["/usr/bin/python3", "-c", "import sys, time; time.sleep(int(sys.argv[1]))", "60"]
    spec = container(world, number=2)
    made = engine.ensure_created(replace(spec, labels={**spec.labels, "deployctl.run": "1 2 3"}))
    with streams() as (given, _), ThreadPoolExecutor(1) as thread:
        seen, told = started(world).id, replace(given, gone=reading)
        thread.submit(engine.inside().execute, seen, command, told).result(timeout=20)
        thread.submit(engine.inside().run, made.id, told).result(timeout=20)
    ended = engine.find_container(made.id)
    assert ended
    assert not ended.running
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("code", [0, 7])
def test_a_thread_gets_what_a_command_prints(engine: Engine, world: World, code: int) -> None:
    program = "import sys; print('said'); sys.exit(int(sys.argv[1]))"
    with streams() as (given, printed), ThreadPoolExecutor(1) as thread:
        command = ["/usr/bin/python3", "-c", program, str(code)]
        assert thread.submit(engine.inside().execute, started(world).id, command, given).result(timeout=20) == code
        assert printed() == "said\n"


def test_a_command_with_streams_needs_a_running_container(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    with streams() as (given, _), pytest.raises(DeployctlError, match="not running"):
        engine.inside().execute(made.id, ["true"], given)


def test_a_container_for_one_command_is_none_of_the_apps(engine: Engine, world: World) -> None:
    spec = container(world, "exitone")
    made = engine.ensure_created(replace(spec, labels={**spec.labels, "deployctl.run": "1 2 3"}, stdin=True))
    assert made.id not in {one.id for one in engine.containers()}
    assert [one.id for one in engine.inside().one_offs()] == [made.id]
    with streams() as (given, printed):
        assert engine.inside().run(made.id, given) == 3
        assert "cannot read /etc/shop.conf" in printed()
    engine.ensure_removed(made.id)
    assert engine.inside().one_offs() == []


@contextmanager
def streams() -> Iterator[tuple[Streams, Callable[[], str]]]:
    """Yield streams that read nothing, and what was written to them."""
    with tempfile.TemporaryFile() as printed, Path(os.devnull).open("rb") as nothing:
        def text() -> str:
            printed.seek(0)
            return printed.read().decode()

        yield Streams(nothing.fileno(), printed.fileno(), printed.fileno()), text


def test_a_command_needs_a_running_container(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    with pytest.raises(DeployctlError, match="not running"):
        engine.execute(made.id, ["true"], timeout=5)


def test_a_file_of_a_container_is_read_whether_it_runs_or_not(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    for _ in range(2):
        assert b"app:x:4711:4712:" in (engine.read_file(made.id, "/etc/passwd") or b"")
        assert engine.read_file(made.id, "/etc/no-such-file") is None
        engine.ensure_started(made.id)


def test_restarting_may_be_switched_on_and_off_again(engine: Engine, world: World) -> None:
    running = started(world)
    for always in (True, True, False):
        engine.set_restart(running.id, always=always)
    seen = engine.find_container(running.id)
    assert seen is not None
    assert seen.running


def test_what_a_running_container_takes_is_told_at_once_and_nothing_of_others(engine: Engine, world: World) -> None:
    running, never = started(world), engine.ensure_created(container(world, number=2))
    world.wait_ready(running)
    taken = engine.usage(running.id)
    assert taken is not None
    assert 0 < taken.cpu_seconds < 60
    assert 0 < taken.memory < 128 * 2**20
    assert taken.memory_limit is not None
    assert taken.memory_limit >= 128 * 2**20
    named = engine.usage(running.name)
    assert named is not None
    assert named.cpu_seconds >= taken.cpu_seconds
    for other in (never.id, running.id[:12], f"{world.mark}--absent"):
        assert engine.usage(other) is None
    engine.ensure_stopped(running.id, grace=1)
    assert engine.usage(running.id) is None


# -- what people change behind our back -------------------------------------------------------------------------------
def test_limits_are_told_closely_and_can_be_given_back_while_it_runs(engine: Engine, world: World) -> None:
    spec, running = container(world), started(world)
    asked = spec.bundle.resources
    if running.limits is None:
        pytest.skip("this engine cannot enforce every limit")
    assert running.limits == asked
    smaller = Resources(memory=96 * 2**20, cpus=0.25, pids=32)
    for limits in (smaller, asked, asked):
        engine.set_limits(running.id, limits)
        seen = engine.find_container(running.id)
        assert seen is not None
        assert (seen.limits, seen.running) == (limits, True)


def test_whether_the_engine_restarts_it_is_told_closely(engine: Engine, world: World) -> None:
    running = started(world)
    assert running.restart is Restart.NEVER
    engine.set_restart(running.id, always=True)
    seen = engine.find_container(running.id)
    assert seen is not None
    assert seen.restart is Restart.ALWAYS
    assert engine.ensure_stopped(running.id, grace=1).restart is Restart.NEVER, "else the engine's next start would start it"


def test_a_container_gets_its_name_back_unless_another_one_has_it(engine: Engine, world: World) -> None:
    made = engine.ensure_created(container(world))
    other = engine.ensure_created(container(world, number=2))
    for _ in range(2):
        engine.ensure_named(made.id, f"{world.mark}--renamed")
    assert engine.find_container(f"{world.mark}--renamed") is not None
    assert engine.find_container(made.name) is None
    with pytest.raises(EngineRefused):
        engine.ensure_named(made.id, other.name)
    engine.ensure_named(made.id, made.name)
    assert engine.find_container(made.name) is not None


def test_the_tags_that_keep_images_are_listed(world: World) -> None:
    digest, tags = world.image("web"), [f"deployctl/{world.mark}:r{n}" for n in (1, 2)]
    for tag in tags:
        world.engine.keep_image(digest, tag)
    assert set(tags) <= set(world.engine.kept_tags())
    assert "dctl-test/web:v1" not in world.engine.kept_tags()
    for tag in tags:
        world.engine.release_image(tag)
    assert not set(tags) & set(world.engine.kept_tags())


def test_what_happens_to_this_homes_containers_is_told_in_order(engine: Engine, world: World) -> None:
    first = engine.ensure_created(container(world, number=3))
    begun = next(iter(engine.events(since=0, quiet=2)), None)
    assert begun is not None
    since = max(event.at for event in engine.events(since=begun.at - 1, quiet=1))
    running = started(world)
    world.stranger(f"{world.mark}-stranger", **{"deployctl.home": "/srv/another"})
    engine.ensure_named(running.id, f"{world.mark}--renamed")
    engine.ensure_stopped(running.id, grace=1)
    engine.ensure_removed(running.id)
    told = list(engine.events(since=since, quiet=1))
    mine = [event.action for event in told if event.container == running.id]
    assert mine == ["create", "start", "rename", "die", "destroy"]
    assert {event.container for event in told} == {running.id}
    assert {event.app for event in told} == {"shop"}
    assert list(engine.events(since=told[-1].at, quiet=0.5)) == []
    assert first.id not in {event.container for event in told}


def test_a_container_that_is_taken_off_its_network_is_told_of_at_once(engine: Engine, world: World) -> None:
    running = started(world)
    since = max(event.at for event in engine.events(since=1, quiet=1) if event.container == running.id)
    world.cut_off(running)
    told = list(engine.events(since=since, quiet=1))  # Docker 20.10 tells it twice
    assert {(event.action, event.container, event.app) for event in told} == {("disconnect", running.id, "shop")}


def test_nothing_of_the_past_is_told_to_who_does_not_say_since_when(engine: Engine, world: World) -> None:
    started(world)
    assert list(engine.events(since=None, quiet=0.5)) == []


def test_what_a_container_was_made_with_is_told_closely_whether_it_runs_or_not(engine: Engine, world: World) -> None:
    spec = container(world, env=(("COLOUR", "blue"), ("EMPTY", ""), ("QUOTED", 'a "b" = ü')))
    made = engine.ensure_created(spec)
    for _ in range(2):
        seen = engine.find_container(made.id)
        assert seen is not None
        assert (seen.published, seen.asked) == (spec.publish, {spec.network: spec.address})
        assert {name: seen.env[name] for name, _ in spec.bundle.env} == dict(spec.bundle.env)
        engine.ensure_started(made.id)
    (listed,) = engine.containers()
    assert (listed.env, listed.published, listed.asked) == ({}, None, {})
