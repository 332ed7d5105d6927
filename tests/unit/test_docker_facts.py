"""What Docker's answers mean, from engines that leave out different things."""

from __future__ import annotations

from typing import Any

import pytest

from deployctl.domain.images.healthcheck import HealthcheckTimes
from deployctl.effects.docker import facts
from deployctl.ports.metrics import Usage


def inspected(**state: Any) -> dict[str, Any]:
    return {
        "Id": "ab" * 32,
        "Name": "/shop",
        "Image": "sha256:1",
        "Config": {"Labels": None},
        "State": {"Status": "running", "ExitCode": 0, **state},
        "NetworkSettings": {"Networks": {"net": {"IPAddress": "172.30.0.11"}, "other": {"IPAddress": ""}}},
    }


def test_a_running_container_has_no_exit_code_yet() -> None:
    seen = facts.container_facts(inspected(Pid=7, StartedAt="2026-01-01T00:00:00Z"))
    assert (seen.name, seen.running, seen.exit_code, seen.pid) == ("shop", True, None, 7)
    assert seen.addresses == {"net": "172.30.0.11"}
    assert seen.labels == {}


@pytest.mark.parametrize("status", ["paused", "restarting", "created", "exited", "dead", "removing"])
def test_only_running_is_running(status: str) -> None:
    assert not facts.container_facts(inspected(Status=status)).running


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"Status": "exited", "ExitCode": 0}, 0),
        ({"Status": "exited", "ExitCode": 137}, 137),
        ({"Status": "created", "ExitCode": 0}, None),
        ({"Status": "created", "ExitCode": 127, "Error": "no such program"}, 127),
        ({"Status": "paused", "ExitCode": 0}, None),
    ],
)
def test_an_exit_code_is_told_when_there_was_an_end(state: dict[str, Any], code: int | None) -> None:
    assert facts.container_facts(inspected(**state)).exit_code == code


def test_a_container_that_was_never_started_has_no_time_of_start() -> None:
    assert facts.container_facts(inspected(StartedAt="0001-01-01T00:00:00Z")).started_at == ""


def test_the_last_word_of_a_health_check_is_kept() -> None:
    log = [{"Output": "first"}, {"Output": "last"}]
    seen = facts.container_facts(inspected(Health={"Status": "unhealthy", "Log": log}))
    assert (seen.health, seen.health_output) == ("unhealthy", "last")
    assert facts.container_facts(inspected(Health={"Status": "none", "Log": None})).health is None


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ("Up 3 seconds", None),
        ("Up 3 seconds (health: starting)", "starting"),
        ("Up 3 seconds (healthy)", "healthy"),
        ("Up About a minute (unhealthy)", "unhealthy"),
        ("Exited (0) 2 hours ago", None),
    ],
)
def test_health_is_read_from_the_list_too(text: str, health: str | None) -> None:
    listed = {"Id": "1", "Names": ["/shop"], "ImageID": "sha256:1", "State": "running", "Status": text, "Labels": None}
    seen = facts.container_summary(listed)
    assert (seen.name, seen.health, seen.labels) == ("shop", health, {})


def test_an_image_is_read_with_all_that_it_declares() -> None:
    config = {
        "ExposedPorts": {"9090/tcp": {}, "53/udp": {}, "80": {}},
        "Healthcheck": {"Test": ["CMD", "/ask"]},
        "Entrypoint": ["/run"],
        "Cmd": None,
        "Volumes": {"/data": {}},
        "Env": ["PATH=/bin", "A=b=c"],
    }
    image = facts.image_facts({"Id": "sha256:1", "Architecture": "amd64", "Os": "linux", "Size": 5, "Config": config})
    assert image.ports == (80, 9090)
    assert image.healthcheck == ("CMD", "/ask")
    assert (image.entrypoint, image.command, image.volumes) == (("/run",), (), ("/data",))
    assert image.env == (("PATH", "/bin"), ("A", "b=c"))


def test_an_image_that_declares_nothing_is_read_too() -> None:
    for raw in ({"Id": "sha256:1"}, {"Id": "sha256:1", "Config": None, "RepoTags": None}):
        assert facts.image_facts(raw).healthcheck is None
    assert facts.image_facts({"Id": "1", "Config": {"Healthcheck": {"Test": ["NONE"]}}}).healthcheck is None


def test_a_network_tells_its_bridge_even_when_nobody_named_it() -> None:
    named = {"Name": "a", "Id": "0" * 64, "Options": {"com.docker.network.bridge.name": "docker0"}, "Driver": "bridge"}
    assert facts.network_facts(named).bridge == "docker0"
    unnamed = {
        "Name": "a",
        "Id": "123456789abcdef",
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}]},
    }
    assert facts.network_facts(unnamed).bridge == "br-123456789abc"
    assert facts.network_facts(unnamed).subnets == ("10.1.0.0/24",)
    host = facts.network_facts({"Name": "host", "Id": "0" * 64, "Driver": "host", "IPAM": {"Config": None}})
    assert (host.bridge, host.subnets) == (None, ())


def test_an_engine_tells_what_it_can_enforce() -> None:
    version = {"Version": "28.2.2", "ApiVersion": "1.50", "Arch": "arm64"}
    info = {
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "MemoryLimit": True,
        "PidsLimit": False,
    }
    seen = facts.engine_info(info, version, local=True)
    assert (seen.version, seen.api, seen.architecture) == ("28.2.2", "1.50", "arm64")
    assert seen.security == ("seccomp", "rootless", "memory")
    assert seen.rootless
    assert seen.local


def test_an_engine_in_a_virtual_machine_is_not_local() -> None:
    version = {"Version": "28.2.2", "ApiVersion": "1.50", "Arch": "arm64"}
    assert not facts.engine_info({"OperatingSystem": "Docker Desktop"}, version, local=True).local


ID = "8f1dc2a69562e5db3f2b2f39dd62916b93c78cfa63ddcecd44e24472a4bb864c"
COUNTED: dict[str, Any] = {"read": "2026-11-27T22:17:50.5Z", "name": "/shop--r1", "id": ID,
                           "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}}}


def taken(memory: dict[str, Any]) -> Usage | None:
    return facts.container_usage({**COUNTED, "memory_stats": memory}, of=ID)


def test_memory_is_what_the_kernel_could_not_give_back_whatever_the_cgroup() -> None:
    v1 = {"usage": 9_000, "stats": {"total_inactive_file": 2_000, "inactive_file": 1}, "limit": 128_000}
    v2 = {"usage": 9_000, "stats": {"inactive_file": 2_000, "file": 5_000}, "limit": 128_000}
    assert taken(v1) == taken(v2) == Usage(2.5, 7_000, 128_000)


def test_what_an_engine_leaves_out_of_its_count_is_zero_or_unknown() -> None:
    assert taken({}) == Usage(2.5, 0, None)
    assert taken({"usage": 5, "stats": {"inactive_file": 9}}) == Usage(2.5, 5, None)


def test_a_container_that_does_not_run_or_is_only_called_alike_takes_nothing() -> None:
    assert facts.container_usage({**COUNTED, "read": "0001-01-01T00:00:00Z"}, of=ID) is None
    assert facts.container_usage(COUNTED, of="0" * 64) is None


@pytest.mark.parametrize("unnamed", [{"id": None, "name": None}, {"id": "", "name": ""}])
def test_docker_24_to_28_do_not_say_of_whom_a_single_count_is(unnamed: dict[str, Any]) -> None:
    assert facts.container_usage({**COUNTED, **unnamed}, of=ID) == Usage(2.5, 0, None)


def test_the_times_of_a_healthcheck_are_told_and_what_is_left_out_is_dockers_default() -> None:
    check = {"Test": ["CMD", "/check"], "Interval": 2 * 10**9, "StartPeriod": 10**10, "Retries": 3, "Timeout": 0}
    image = facts.image_facts({"Id": "1", "Config": {"Healthcheck": check}})
    assert image.healthcheck_times == HealthcheckTimes(interval=2.0, start_period=10.0)
    assert facts.image_facts({"Id": "1", "Config": {"Healthcheck": {"Test": ["NONE"]}}}).healthcheck_times is None


@pytest.mark.parametrize(("check", "command"), [
    ({"Test": ["CMD", "/check", "-q"]}, ("/check", "-q")),
    ({"Test": ["CMD-SHELL", "curl -f localhost || exit 1"]}, ("/bin/sh", "-c", "curl -f localhost || exit 1")),
    ({"Test": ["NONE"]}, ()), ({"Test": []}, ()), (None, ()),
])
def test_the_command_of_a_healthcheck_can_be_run(check: Any, command: tuple[str, ...]) -> None:
    assert facts._test({"Healthcheck": check}) == command


def test_a_healthcheck_runs_in_the_images_own_shell() -> None:
    config = {"Healthcheck": {"Test": ["CMD-SHELL", "test -e /up"]}, "Shell": ["/bin/bash", "-c"]}
    assert facts._test(config) == ("/bin/bash", "-c", "test -e /up")


@pytest.mark.parametrize(("more", "origins"), [
    ({}, None), ({"Identity": {"Pull": [{"Repository": "127.0.0.1/acme/shop"}]}}, ("127.0.0.1/acme/shop",)),
    ({"Identity": {}}, ()), ({"Identity": None}, ()),
])
def test_where_an_image_was_pulled_from_is_told_where_the_engine_tells_it(more: dict[str, Any], origins: object) -> None:
    assert facts.image_facts({"Id": "1", "Config": {}, **more}).origins == origins
