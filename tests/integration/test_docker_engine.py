"""What only the real engine can prove: limits, labels, output, time-outs, and answers that get lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.release import Probe, ProbeKind, Resources
from deployctl.effects.docker import pull as docker_pull
from deployctl.effects.docker.engine import DockerEngine
from deployctl.errors import EngineRefused, NotFound, RegistryUnavailable
from deployctl.ports import ContainerFacts, ContainerSpec
from tests.contract.engine_relay import relay
from tests.contract.engine_worlds import DockerWorld, container, docker_world, network

PYTHON = "/usr/bin/python3"


@pytest.fixture
def world(engine_url: str) -> Iterator[DockerWorld]:
    with docker_world(engine_url) as world:
        world.engine.ensure_network(network(world))
        yield world


def script(world: DockerWorld, text: str) -> ContainerSpec:
    return container(world, entrypoint=(PYTHON, "-u", "-c", text), command=())


def started(world: DockerWorld, spec: ContainerSpec) -> ContainerFacts:
    return world.engine.ensure_started(world.engine.ensure_created(spec).id)


def ended(world: DockerWorld, spec: ContainerSpec) -> ContainerFacts:
    """Run it to its end."""
    seen = started(world, spec)
    for _ in world.engine.logs(seen.id, follow=True):
        continue
    found = world.engine.find_container(seen.id)
    assert found is not None
    return found


# -- the bundle and nothing else --------------------------------------------------------------------------------------
def test_limits_reach_the_engine_and_swap_is_never_added(world: DockerWorld) -> None:
    spec = container(world, resources=Resources(memory=96 * 2**20, cpus=0.25, pids=33))
    asked = world.api.inspect_container(world.engine.ensure_created(spec).id)["HostConfig"]
    assert (asked["Memory"], asked["MemorySwap"]) == (96 * 2**20, 96 * 2**20)
    assert (asked["NanoCpus"], asked["PidsLimit"]) == (250_000_000, 33)
    assert asked["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10485760", "max-file": "3"}}
    assert asked["RestartPolicy"]["Name"] == "no"
    assert not asked["Privileged"]
    assert asked["SecurityOpt"] == ["no-new-privileges"]


def test_the_kernel_knows_that_privileges_cannot_grow(world: DockerWorld) -> None:
    seen = started(world, container(world))
    done = world.engine.execute(seen.id, [PYTHON, "-c", "print(open('/proc/1/status').read())"], timeout=20)
    assert "NoNewPrivs:\t1" in done.output


def test_an_app_that_takes_more_memory_than_it_may_is_killed_and_that_is_seen(world: DockerWorld) -> None:
    seen = ended(world, container(world, "memhog", resources=Resources(memory=48 * 2**20)))
    assert (seen.exit_code, seen.oom_killed) == (137, True)


def test_environment_user_and_host_name_arrive_untouched(world: DockerWorld) -> None:
    spec = container(world, env=(("MODE", "a=b c"), ("TWO", "1\nB=2")), user="10001:10001", working_dir="/tmp",
                     entrypoint=(PYTHON, "-c", "import os; print([os.environ['MODE'], os.environ['TWO'], os.getuid(),"
                                               " os.getcwd(), os.uname().nodename, os.environ.get('B')])"),
                     command=())  # fmt: skip
    seen = ended(world, spec)
    [line] = world.engine.logs(seen.id)
    assert line.text == repr(["a=b c", "1\nB=2", 10001, "/tmp", "shop", None])


def test_a_port_is_published_on_loopback_and_nowhere_else(world: DockerWorld) -> None:
    spec = container(world)
    seen = started(world, spec)
    ports = world.api.inspect_container(seen.id)["NetworkSettings"]["Ports"]
    assert ports == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(spec.publish)}]}


def test_an_image_cannot_speak_for_us_by_its_labels(world: DockerWorld) -> None:
    spec = container(world, "spoof")
    few = {key: text for key, text in spec.labels.items() if key != "deployctl.release"}
    seen = world.engine.ensure_created(replace(spec, labels=few))
    assert seen.labels["deployctl.app"] == "shop"
    assert seen.labels["deployctl.release"] == ""


def test_labels_of_the_server_are_put_on_everything(world: DockerWorld) -> None:
    [found] = [facts for facts in world.engine.networks() if facts.name == network(world).name]
    assert found.labels["deployctl.test"] == "1"
    assert world.engine.ensure_created(container(world)).labels["deployctl.test"] == "1"


def test_the_images_own_health_check_runs_only_when_it_is_asked_for(world: DockerWorld) -> None:
    ours = started(world, container(world, "dockersick"))
    theirs = started(world, container(world, "dockersick", number=2, probe=Probe(kind=ProbeKind.DOCKER)))
    until = time.monotonic() + 30
    while (seen := world.engine.find_container(theirs.id)) and seen.health != "unhealthy":
        assert time.monotonic() < until, f"the health check says {seen.health}"
        time.sleep(0.1)
    assert seen is not None
    assert "503" in seen.health_output
    listed = {facts.id: facts.health for facts in world.engine.containers()}
    assert listed == {ours.id: None, theirs.id: "unhealthy"}


def test_anonymous_volumes_go_with_their_container(world: DockerWorld) -> None:
    seen = world.engine.ensure_created(container(world, "volume"))
    [volume] = [mount["Name"] for mount in world.api.inspect_container(seen.id)["Mounts"]]
    world.engine.ensure_removed(seen.id)
    assert volume not in {one["Name"] for one in world.api.volumes()["Volumes"] or ()}


def test_what_the_engine_picks_lies_in_its_own_part_and_what_we_lease_outside(world: DockerWorld) -> None:
    own = list(world.subnet.subnets(new_prefix=28))[-1]
    spec = network(world)
    world.engine.ensure_network_gone(spec.name)
    world.engine.ensure_network(replace(spec, engines_own=str(own)))
    leased = started(world, container(world))
    assert ip_address(leased.addresses[spec.name]) not in own
    made = world.api.create_container(world.image("web"), labels={"deployctl.mark": world.mark},
                                      host_config=world.api.create_host_config(network_mode=spec.name))
    world.api.start(made["Id"])
    picked = world.api.inspect_container(made["Id"])["NetworkSettings"]["Networks"][spec.name]["IPAddress"]
    assert ip_address(picked) in own


def test_the_restart_policy_is_what_was_asked_last(world: DockerWorld) -> None:
    seen = started(world, container(world))
    for always, policy in ((True, "always"), (False, "no")):
        world.engine.set_restart(seen.id, always=always)
        assert world.api.inspect_container(seen.id)["HostConfig"]["RestartPolicy"]["Name"] == policy


def test_a_paused_container_is_not_running_and_can_be_started_and_stopped(world: DockerWorld) -> None:
    seen = started(world, container(world))
    world.wait_ready(seen)
    world.api.pause(seen.id)
    paused = world.engine.find_container(seen.id)
    assert paused is not None
    assert (paused.running, paused.status) == (False, "paused")
    assert world.engine.ensure_started(seen.id).running
    world.api.pause(seen.id)
    assert world.engine.ensure_stopped(seen.id, grace=10).exit_code == 0


# -- images -----------------------------------------------------------------------------------------------------------
def test_an_image_that_a_container_uses_keeps_its_last_tag(world: DockerWorld) -> None:
    reference, tag = f"{world.registry}/acme/{world.mark}:v1", f"deployctl/{world.mark}:r1"
    digest = world.publish(reference)
    world.engine.pull_image(reference, progress=lambda line: None)
    world.engine.keep_image(digest, tag)
    world.api.remove_image(reference)
    world.engine.ensure_created(container(world, digest=digest))
    with pytest.raises(EngineRefused, match=r"release .*container"):
        world.engine.release_image(tag)
    assert world.engine.find_image(tag) is not None


def test_an_image_is_pulled_again_by_its_digest(world: DockerWorld) -> None:
    name = f"{world.registry}/acme/{world.mark}"
    digest = world.publish(f"{name}:v1")
    by_digest = f"{name}@{world.stub.digest(f'acme/{world.mark}:v1')}"
    world.published.append(by_digest)
    pulled = world.engine.pull_image(by_digest, progress=lambda line: None)
    assert pulled.digest == digest
    assert by_digest in pulled.repo_digests
    assert world.engine.find_image(by_digest) == pulled


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (500, "UNKNOWN"), (429, "TOOMANYREQUESTS")])
def test_a_registry_that_refuses_is_unavailable_and_says_why(world: DockerWorld, status: int, code: str) -> None:
    world.stub.refusal = status, code
    with pytest.raises(RegistryUnavailable) as caught:
        world.engine.pull_image(f"{world.registry}/acme/{world.mark}:v1", progress=lambda line: None)
    assert world.registry in caught.value.message
    assert caught.value.remedy[0].startswith("docker login" if status == 401 else "docker pull")
    with pytest.raises(RegistryUnavailable):
        world.engine.registry_digest(f"{world.registry}/acme/{world.mark}:v1", within=10)


def test_an_image_that_is_denied_may_not_exist_or_need_a_login(world: DockerWorld) -> None:
    world.stub.refusal = 403, "DENIED"
    with pytest.raises(NotFound, match="requires a login") as caught:
        world.engine.pull_image(f"{world.registry}/acme/{world.mark}:v1", progress=lambda line: None)
    assert caught.value.remedy == [f"docker login {world.registry}"]


def test_a_registry_that_says_nothing_is_given_up(world: DockerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_pull, "MAX_SILENT_SECONDS", 1.0)
    world.stub.answer = lambda path: time.sleep(8) or (404, "", b"")  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(RegistryUnavailable, match="sent no data"):
        world.engine.pull_image(f"{world.registry}/acme/{world.mark}:v1", progress=lambda line: None)


BROKEN = ["{ not json", "[1]", '{"auths": [1]}', '{"auths": {"x": {"auth": "%%%"}}}', '{"credsStore": "desktop"}',
          '{"credHelpers": {"other.example.com": "ecr-login"}}', '{"HttpHeaders": 1, "proxies": 2}']


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("config", BROKEN)
def test_a_damaged_config_of_docker_stops_no_public_pull(
    world: DockerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str,
) -> None:
    (tmp_path / "config.json").write_text(config)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine = DockerEngine(world.home, world.spec, {"DOCKER_CONFIG": str(tmp_path)})
    reference = f"{world.registry}/acme/{world.mark}:v1"
    digest = world.publish(reference)
    assert engine.pull_image(reference, progress=lambda line: None).digest == digest
    assert engine.registry_digest(reference, within=10)
    engine.close()


def test_a_registry_that_wants_a_login_names_the_helper_that_is_missing_and_the_file(
    world: DockerWorld, tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "desktop"}')
    engine = DockerEngine(world.home, world.spec, {"DOCKER_CONFIG": str(tmp_path)})
    world.stub.refusal = 401, "UNAUTHORIZED"
    for ask in (lambda name: engine.pull_image(name, progress=print), lambda name: engine.registry_digest(name, within=10)):
        with pytest.raises(RegistryUnavailable) as caught:
            ask(f"{world.registry}/acme/{world.mark}:v1")
        assert "docker-credential-desktop" in caught.value.message
        assert str(tmp_path / "config.json") in caught.value.message
        assert caught.value.code == "credential_helper_missing"
        assert any("config.json" in line for line in caught.value.remedy)
    engine.close()


def test_a_registry_that_is_slow_to_tell_a_digest_is_given_up_in_time(world: DockerWorld) -> None:
    world.stub.answer = lambda path: time.sleep(8) or (404, "", b"")  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(RegistryUnavailable, match="did not respond within 1 s"):
        world.engine.registry_digest(f"{world.registry}/acme/{world.mark}:v1", within=1.0)


# -- output -----------------------------------------------------------------------------------------------------------
NOISE = r"""
import sys, os
os.write(1, b"plain \x1b[31mred\x1b[0m \x00 \xff \xc3\xa9\ta\rb\r\n")
os.write(2, b"to stderr\n")
os.write(1, b"x" * 40000 + b"\n")
os.write(1, b"no end")
"""


def test_what_an_app_prints_cannot_steer_a_terminal(world: DockerWorld) -> None:
    lines = list(world.engine.logs(ended(world, script(world, NOISE)).id))
    out = [line.text for line in lines if line.stream == "stdout"]
    assert out[0] == r"plain \x1b[31mred\x1b[0m \x00 � é" + "\t" + r"a\x0db"
    assert out[1] == "x" * 8192
    assert out[2] == "no end"
    assert [line.text for line in lines if line.stream == "stderr"] == ["to stderr"]


def test_followed_logs_come_while_they_are_written_and_end_with_the_container(world: DockerWorld) -> None:
    seen = started(world, script(world, "import time\nfor i in range(3): print(i); time.sleep(0.3)"))
    lines = world.engine.logs(seen.id, follow=True)
    assert next(lines).text == "0"
    running = world.engine.find_container(seen.id)
    assert running is not None
    assert running.running
    assert [line.text for line in lines] == ["1", "2"]


def test_logs_begin_where_they_are_asked_to(world: DockerWorld) -> None:
    seen = ended(world, script(world, "import time\nprint('early'); time.sleep(1.2); print('late')"))
    assert [line.text for line in world.engine.logs(seen.id, since=time.time() - 1.0)] == ["late"]


# -- commands inside --------------------------------------------------------------------------------------------------
def test_a_command_that_takes_too_long_is_ended(world: DockerWorld) -> None:
    seen = started(world, container(world))
    begun = time.monotonic()
    done = world.engine.execute(
        seen.id, [PYTHON, "-u", "-c", "import time; print('began'); time.sleep(555)"], timeout=1
    )
    assert done.exit_code == 124
    assert done.output.startswith("began\n")
    assert done.output.endswith("not finished within 1 s, so it was killed")
    assert time.monotonic() - begun < 30
    while any("555" in " ".join(row) for row in world.api.top(seen.id)["Processes"]):
        assert time.monotonic() - begun < 30, "the command still runs"  # a killed process takes its time to go
        time.sleep(0.05)


def test_a_command_that_prints_without_end_is_cut(world: DockerWorld) -> None:
    done = world.engine.execute(
        started(world, container(world)).id, [PYTHON, "-c", "print('yes\\n' * 10**6)"], timeout=30
    )
    assert (done.exit_code, len(done.output)) == (0, 64 * 2**10)


def test_a_command_that_does_not_exist_fails_in_plain_words(world: DockerWorld) -> None:
    done = world.engine.execute(started(world, container(world)).id, ["/no/such/program"], timeout=10)
    assert done.exit_code in {126, 127}
    assert "the program /no/such/program does not exist in the image" in done.output


# -- answers that get lost --------------------------------------------------------------------------------------------
@pytest.fixture
def lossy(world: DockerWorld) -> Iterator[tuple[DockerEngine, list[str]]]:
    """An engine behind a socket that loses the first answer to each change."""
    path = f"/tmp/{world.mark}.sock"  # short enough for a socket
    with relay(path, world.url) as between:
        for request in ("POST /containers/create", "POST /networks/create", "DELETE /containers/", "DELETE /networks/"):
            between.lose(request)
        spec = replace(world.spec, engine_url=f"unix://{path}")
        with closing(DockerEngine(world.home, spec, {})) as engine:
            yield engine, between.lost


def test_a_lost_answer_neither_doubles_nor_loses_anything(
    lossy: tuple[DockerEngine, list[str]], world: DockerWorld
) -> None:
    engine, lost = lossy
    other = replace(network(world), name=f"{world.mark}-lost", bridge=f"dl-{world.mark[-8:]}")
    world.engine.ensure_network_gone(network(world).name)
    engine.ensure_network(other)
    made = engine.ensure_created(replace(container(world), network=other.name))
    assert [facts.id for facts in engine.containers()] == [made.id]
    engine.ensure_removed(made.id)
    assert engine.containers() == []
    engine.ensure_network_gone(other.name)
    assert len(lost) == 4


# -- an engine elsewhere ----------------------------------------------------------------------------------------------
def test_an_engine_behind_tcp_is_read_and_changed_alike(world: DockerWorld, free_port: int) -> None:
    with relay(("127.0.0.1", free_port), world.url):
        remote = ServerSpec(engine_url=f"tcp://127.0.0.1:{free_port}", labels=world.spec.labels)
        with closing(DockerEngine(world.home, remote, {})) as engine:
            assert not engine.info().local
            seen = engine.ensure_started(engine.ensure_created(container(world, "exitone")).id)
            [line] = engine.logs(seen.id, follow=True)
            assert line.text.startswith("fatal")
            assert [facts.id for facts in engine.containers()] == [seen.id]
            assert engine.find_container(f"{world.mark}-absent") is None
            with pytest.raises(NotFound):
                engine.ensure_started(f"{world.mark}-absent")
