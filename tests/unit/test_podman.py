"""Podman answers like Docker and leaves things out. These are answers of Podman 5.4.2."""

from __future__ import annotations

from typing import Any

import pytest

from deployctl.domain.images.release import ProbeKind
from deployctl.effects.docker import facts, podman
from deployctl.errors import DeployctlError
from deployctl.ports import Lack
from deployctl.usecases.steps.prepare import require_able

ID = "sha256:ba2c56379d4cb5af28c717fc4ea3dc17b1e52caf34b88b706f69383449a2ab6e"
MANIFEST = "sha256:9527bde075dbc2d65c895f6534f8b8023937dc1048263e102a7987a87c4923bd"
IMAGE: dict[str, Any] = {
    "Id": ID, "RepoTags": ["localhost/dctl-test/web:v1", "docker.io/deployctl/shop:r1", "registry.test/acme/shop:v1"],
    "RepoDigests": [f"localhost/dctl-test/web@{MANIFEST}", f"registry.test/acme/shop@{MANIFEST}"],
    "Config": {"Cmd": ["/app", "web"]}, "Architecture": "amd64", "Os": "linux",
}  # fmt: skip
HEALTHCHECK = {"Test": ["CMD", "/app", "ask"], "Interval": 1_000_000_000}
NETWORK = {"Name": "shop", "Id": "368f273ea90f", "Driver": "bridge", "Options": {}, "Labels": {"a": "b"},
           "IPAM": {"Driver": "default", "Options": {"driver": "host-local"}, "Config": [{"Subnet": "172.29.77.0/26"}]}}
INFO = {"Driver": "overlay", "DriverStatus": [["Backing Filesystem", "extfs"]], "DockerRootDir": "/var/lib/containers/storage",
        "IPv4Forwarding": True}


def version(text: str = "5.4.2") -> dict[str, Any]:
    return {"Version": text, "ApiVersion": "1.41", "Arch": "amd64", "Components": [
        {"Name": "Podman Engine", "Version": text}, {"Name": "Conmon"}, {"Name": "OCI Runtime (runc)"}]}


def stopped(**labels: str) -> dict[str, Any]:
    networks = {"shop": {"IPAMConfig": None, "IPAddress": ""}}
    return {"Id": "c" * 64, "Name": "/shop--r1", "Image": ID, "Config": {"Labels": labels}, "HostConfig": {},
            "NetworkSettings": {"Networks": networks}, "State": {"Status": "stopped", "ExitCode": 7}}


def test_it_is_called_by_its_name_and_version() -> None:
    seen = facts.engine_info(INFO, version(), local=True)
    assert (seen.product, seen.version, seen.store, seen.lacks) == ("Podman", "5.4.2", "podman overlay", ())


def test_docker_is_not_taken_for_it() -> None:
    docker = {"Version": "28.5.2", "ApiVersion": "1.51", "Arch": "amd64", "Components": [{"Name": "Engine"}]}
    seen = facts.engine_info({"Driver": "overlay2"}, docker, local=True, timers=False)
    assert (seen.product, seen.store, seen.lacks) == ("Docker", "overlay2", ())


def test_what_it_cannot_do_is_known() -> None:
    assert facts.engine_info(INFO, version("4.3.1"), local=True).lacks == (Lack.UPDATE,)
    assert facts.engine_info(INFO, version(), local=True, timers=False).lacks == (Lack.HEALTHCHECKS,)


@pytest.mark.parametrize(("number", "probe", "code"), [
    ("4.3.1", ProbeKind.HTTP, "container_update"), ("5.4.2", ProbeKind.DOCKER, "healthchecks")])
def test_what_it_cannot_do_is_refused_in_words(number: str, probe: ProbeKind, code: str) -> None:
    engine = facts.engine_info(INFO, version(number), local=True, timers=False)
    with pytest.raises(DeployctlError, match="Nothing was changed") as refused:
        require_able(engine, probe)
    assert (refused.value.code, bool(refused.value.remedy)) == (code, True)


def test_all_else_is_not_refused() -> None:
    require_able(facts.engine_info(INFO, version(), local=True, timers=False), ProbeKind.HTTP)
    require_able(facts.engine_info(INFO, version(), local=True), ProbeKind.DOCKER)


def test_an_image_bears_its_names_as_docker_writes_them_and_its_digests_prove_no_registry() -> None:
    seen = facts.image_facts(IMAGE, podman=True)
    assert seen.tags == ("dctl-test/web:v1", "deployctl/shop:r1", "registry.test/acme/shop:v1")
    assert seen.repo_digests == (f"dctl-test/web@{MANIFEST}", f"registry.test/acme/shop@{MANIFEST}")
    assert (seen.origins, seen.digests_of_tags) == (None, True)


def test_the_healthcheck_of_an_image_comes_from_its_own_api() -> None:
    asked: list[str] = []

    def get(path: str) -> Any:
        asked.append(path)
        return {"Healthcheck": HEALTHCHECK}

    seen = facts.image_facts(podman.with_healthcheck(IMAGE, get), podman=True)
    assert seen.healthcheck == ("CMD", "/app", "ask")
    assert seen.command == ("/app", "web")
    assert asked == [f"/v4.0.0/libpod/images/{ID}/json"]
    assert facts.image_facts(podman.with_healthcheck(IMAGE, lambda path: None), podman=True).healthcheck is None


def test_the_bridge_of_a_network_comes_from_its_own_api() -> None:
    (told,) = podman.with_bridges([NETWORK], lambda path: [{"name": "shop", "network_interface": "dc-a00a650f7d"}])
    assert facts.network_facts(told).bridge == "dc-a00a650f7d"


def test_a_container_that_has_stopped_has_ended_and_tells_its_exit_code() -> None:
    seen = facts.container_facts(stopped())
    assert (seen.status, seen.running, seen.exit_code) == ("exited", False, 7)


def test_the_address_that_a_stopped_one_was_made_with_is_in_its_label() -> None:
    assert facts.container_facts(stopped(**{"deployctl.address": "172.29.77.9"})).asked == {"shop": "172.29.77.9"}
    assert facts.container_facts(stopped()).asked == {}


def test_limits_are_a_quota_of_time() -> None:
    assert podman.limits_in_quota({"Memory": 5, "NanoCpus": 250_000_000}) == {
        "Memory": 5, "CpuPeriod": 100_000, "CpuQuota": 25_000}
