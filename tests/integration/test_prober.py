"""Probes reach a container through its own bridge, and nobody else through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.effects.http.prober import SocketProber
from deployctl.ports import ContainerFacts, ContainerSpec, ProbeAnswer
from tests.contract.engine_worlds import DockerWorld, container, docker_world, network
from tests.contract.raw_server import http, raw_server

HEALTHZ = Probe(path="/healthz")


@pytest.fixture
def world(engine_url: str) -> Iterator[DockerWorld]:
    with docker_world(engine_url) as world:
        world.engine.ensure_network(network(world))
        yield world


def run(world: DockerWorld, image: str) -> tuple[ContainerSpec, ContainerFacts]:
    spec = container(world, image)
    seen = world.engine.ensure_started(world.engine.ensure_created(spec).id)
    for line in world.engine.logs(seen.id, follow=True):
        if line.text:  # says so when it listens
            break
    return spec, seen


def through_bridge(world: DockerWorld, spec: ContainerSpec, probe: Probe) -> ProbeAnswer:
    return SocketProber().ask(probe, spec.address, 8080, host="shop", bridge=network(world).bridge)


def test_a_healthy_app_is_seen_through_its_bridge_and_by_its_published_port(world: DockerWorld) -> None:
    spec, _ = run(world, "web")
    for probe in (HEALTHZ, Probe(kind=ProbeKind.TCP)):
        assert through_bridge(world, spec, probe).ok
        assert SocketProber().ask(probe, "127.0.0.1", spec.publish or 0, host="shop").ok


def test_an_app_on_another_port_is_refused_on_the_bridge_and_hung_up_on_the_published_port(world: DockerWorld) -> None:
    spec, _ = run(world, "wrongport")
    assert through_bridge(world, spec, Probe(kind=ProbeKind.TCP)).sentence == "connection refused"
    assert not SocketProber().ask(Probe(kind=ProbeKind.TCP), "127.0.0.1", spec.publish or 0, host="shop").ok


def test_an_app_that_only_redirects_is_told_so(world: DockerWorld) -> None:
    spec, _ = run(world, "redirect")
    answer = through_bridge(world, spec, Probe(path="/healthz", status=((200, 299),)))
    assert answer.sentence == "GET /healthz was redirected (302) to https://shop/healthz"


def test_a_stopped_container_gives_no_answer_in_time(world: DockerWorld) -> None:
    spec, seen = run(world, "web")
    world.engine.ensure_stopped(seen.id, grace=5)
    answer = through_bridge(world, spec, Probe(timeout=0.5))
    assert not answer.ok
    assert answer.ms < 5000


def test_nothing_but_the_bridge_is_reached_through_the_bridge(world: DockerWorld) -> None:
    with raw_server(http(200)) as (server, port):
        answer = SocketProber().ask(Probe(timeout=0.5), "127.0.0.1", port, host="shop", bridge=network(world).bridge)
        assert not answer.ok
        assert server.requests == []
