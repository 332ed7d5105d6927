"""What Docker is asked for, and which names never reach it. Pure: no engine runs here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployctl.domain.host.home import HomeIdentity
from deployctl.domain.images.release import Bundle, LogCap, Probe, ProbeKind, Resources
from deployctl.effects.docker import requests as words
from deployctl.errors import Invalid
from deployctl.ports import ContainerSpec, Launch, NetworkSpec

DIGEST = f"sha256:{'ab' * 32}"
BUNDLE = Bundle(
    image="registry.example.com/acme/shop:v2", digest=DIGEST, port=8080, entrypoint=("/run",), command=("serve", "-v"),
    user="10001:10001", working_dir="/srv", env=(("A", "1"), ("B", "x=y\nz")), stop_signal="SIGINT", stop_grace=7.2,
    init=True, resources=Resources(memory=64 * 2**20, cpus=0.25, pids=32), log=LogCap(max_size=2**20, max_file=2),
)  # fmt: skip
SPEC = ContainerSpec(
    name="shop--v2--r7--3fa9c1", bundle=BUNDLE, network="deployctl-shop", address="172.30.0.11", publish=20001,
    hostname="shop", labels={"deployctl.app": "shop"},
)  # fmt: skip


def request(**bundle: Any) -> dict[str, Any]:
    return words.container_request(replace(SPEC, bundle=replace(BUNDLE, **bundle)), SPEC.labels, {})


def test_a_container_is_asked_for_exactly_as_its_bundle_says() -> None:
    assert request() == {
        "Image": DIGEST,
        "Hostname": "shop",
        "Entrypoint": ["/run"],
        "Cmd": ["serve", "-v"],
        "User": "10001:10001",
        "WorkingDir": "/srv",
        "Env": ["A=1", "B=x=y\nz"],
        "StopSignal": "SIGINT",
        "StopTimeout": 8,
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {"deployctl.app": "shop", "deployctl.address": "172.30.0.11"},
        "Healthcheck": {"Test": ["NONE"]},
        "MacAddress": "0a:dc:ac:1e:00:0b",
        "HostConfig": {
            "NetworkMode": "deployctl-shop",
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "20001"}]},
            "RestartPolicy": {"Name": "no"},
            "Init": True,
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1048576", "max-file": "2"}},
            "Memory": 64 * 2**20,
            "MemorySwap": 64 * 2**20,
            "NanoCpus": 250_000_000,
            "PidsLimit": 32,
        },
        "NetworkingConfig": {"EndpointsConfig": {"deployctl-shop": {
            "IPAMConfig": {"IPv4Address": "172.30.0.11"}, "MacAddress": "0a:dc:ac:1e:00:0b"}}},
    }


def test_what_a_bundle_leaves_open_is_left_to_the_image() -> None:
    asked = request(entrypoint=None, command=None, user=None, working_dir=None, stop_signal=None)
    assert not {"Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal"} & set(asked)


def test_an_empty_command_is_not_the_images_command() -> None:
    assert request(command=())["Cmd"] == []


@pytest.mark.parametrize("kind", list(ProbeKind))
def test_the_images_health_check_is_silenced_unless_it_is_the_probe(kind: ProbeKind) -> None:
    silenced = request(probe=Probe(kind=kind)).get("Healthcheck") == {"Test": ["NONE"]}
    assert silenced is (kind is not ProbeKind.DOCKER)


@pytest.mark.parametrize("limits", [Resources(memory=0), Resources(cpus=0), Resources(pids=-1), Resources(memory=-1)])
def test_zero_never_means_without_a_limit(limits: Resources) -> None:
    with pytest.raises(Invalid, match="limit"):
        request(resources=limits)


@pytest.mark.parametrize("digest", ["", "shop:v2", "sha256:abc", "ab" * 32, f"{DIGEST}\n", f"sha256:{'AB' * 32}"])
def test_a_container_is_made_of_an_image_id_and_nothing_else(digest: str) -> None:
    with pytest.raises(Invalid):
        request(digest=digest)


def test_labels_name_this_home_whatever_was_asked() -> None:
    labels = words.all_labels(
        {"deployctl.home": "/other", "deployctl.app": "shop"}, home=HomeIdentity("/srv", "5e" * 8),
        server={"team": "a", "deployctl.app": "x"}
    )
    assert labels == {"team": "a", "deployctl.app": "shop", "deployctl.managed": "1", "deployctl.home": "/srv",
                      "deployctl.home-id": "5e" * 8}


def test_labels_of_ours_in_an_image_are_silenced_and_others_left_alone() -> None:
    image = {"Config": {"Labels": {"deployctl.app": "victim", "deployctl.seal": "x", "maintainer": "me"}}}
    assert words.silenced(image) == {"deployctl.app": "", "deployctl.seal": ""}
    assert words.silenced({"Config": {"Labels": None}}) == words.silenced({}) == {}


def test_a_network_is_asked_for_with_its_bridge_and_addresses() -> None:
    spec = NetworkSpec("deployctl-shop", "dc-1234", "172.30.0.0/26", "172.30.0.1", {})
    assert words.network_options(spec) == (
        {"com.docker.network.bridge.name": "dc-1234"},
        {"Driver": "default", "Config": [{"Subnet": "172.30.0.0/26", "Gateway": "172.30.0.1"}]},
    )


@pytest.mark.parametrize(("entrypoint", "command", "program"), [
    (None, None, ["/entry", "default"]), (None, ("serve",), ["/entry", "serve"]),
    (("/run",), None, ["/run"]), (("/run",), ("serve",), ["/run", "serve"])])
def test_behind_the_launcher_stands_what_docker_would_start(entrypoint: tuple[str, ...] | None,
                                                            command: tuple[str, ...] | None, program: list[str]) -> None:
    launch = Launch("/srv/state/launcher/x", env=(("TOKEN", "/run/secrets/TOKEN"),))
    spec = replace(SPEC, bundle=replace(BUNDLE, entrypoint=entrypoint, command=command), launch=launch)
    asked = words.container_request(spec, SPEC.labels, {"Entrypoint": ["/entry"], "Cmd": ["default"]})
    assert asked["Entrypoint"] == ["/.deployctl/launch", "--env", "TOKEN=/run/secrets/TOKEN", "--"]
    assert asked["Cmd"] == program
    laid = [(one["Source"], one["Target"], one["ReadOnly"]) for one in asked["HostConfig"]["Mounts"]]
    assert laid == [("/srv/state/launcher/x", "/.deployctl/launch", True)]
