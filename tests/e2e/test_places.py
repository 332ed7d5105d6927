"""What somebody took meanwhile, on a real server: subnet, port, address. The app goes on at another place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest

from tests.e2e.cli import Cli


def network_of(town: Cli, app: str, version: str) -> tuple[str, str]:
    """Return name and address of the network that its container was made in."""
    ((name, joined),) = town.inspect(app, version)["NetworkSettings"]["Networks"].items()
    return str(name), str(joined["IPAMConfig"]["IPv4Address"])


def subnet_of(town: Cli, name: str) -> dict[str, Any]:
    found: dict[str, Any] = town.api.inspect_network(name)["IPAM"]["Config"][0]
    return found


@pytest.fixture
def stranger(town: Cli) -> Iterator[list[str]]:
    """Names of networks that a test makes as somebody else."""
    made: list[str] = []
    yield made
    for name in made:
        town.api.remove_network(name)


def test_a_network_is_a_24_with_a_part_for_the_engine(town: Cli) -> None:
    town.serving("wide")
    found = subnet_of(town, network_of(town, "wide", "v1")[0])
    assert found["Subnet"].endswith("/24")
    assert found["IPRange"].endswith(".240/28")


def test_an_app_whose_subnet_was_taken_while_it_was_stopped_goes_to_another_one(town: Cli, stranger: list[str]) -> None:
    town.serving("moves")
    town.do("upgrade", "moves", "v2")
    name, _ = network_of(town, "moves", "v1")
    subnet = subnet_of(town, name)["Subnet"]
    for version in ("v1", "v2"):
        town.do("stop", "moves", version, "-y")
    town.api.remove_network(name)
    pool = docker.types.IPAMPool(subnet=subnet)
    town.api.create_network("e2e-takes-it", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    stranger.append("e2e-takes-it")
    town.do("upgrade", "moves", "v3")
    assert (town.get("moves").version, network_of(town, "moves", "v3")[0]) == ("v3", f"{name}-2")
    town.do("rollback", "moves", "v1", "-y")
    assert (town.get("moves").version, network_of(town, "moves", "v1")[0]) == ("v1", f"{name}-2")
    town.do("reconcile", "moves")
    assert town.app("moves")["drift"] == []


def test_a_version_whose_port_was_taken_comes_back_with_another_one(town: Cli) -> None:
    town.serving("ports")
    town.do("upgrade", "ports", "v2")
    town.do("stop", "ports", "v1")
    port = next(i["port"] for i in town.app("ports")["instances"] if i["version"] == "v1")
    with socket.create_server(("127.0.0.1", port)):
        assert town.do("show", "ports", "v1")["readiness"]["code"] == "port_taken"
        town.do("rollback", "ports", "-y")
        assert town.get("ports").version == "v1"
        assert next(i["port"] for i in town.app("ports")["instances"] if i["version"] == "v1") != port


def test_a_version_whose_address_was_taken_comes_back_with_another_one(town: Cli) -> None:
    town.serving("houses")
    town.do("upgrade", "houses", "v2")
    town.do("stop", "houses", "v1")
    name, address = network_of(town, "houses", "v1")
    with holding(town, name, address, town.inspect("houses", "v2")["Image"]):
        town.do("rollback", "houses", "-y")
        assert (town.get("houses").version, network_of(town, "houses", "v1") != (name, address)) == ("v1", True)


@contextmanager
def holding(town: Cli, network: str, address: str, image: str) -> Iterator[None]:
    """Let a stranger's container have that address."""
    endpoints: Any = {network: town.api.create_endpoint_config(ipv4_address=address)}
    made = town.api.create_container(image, name="e2e-takes-address",
                                     host_config=town.api.create_host_config(network_mode=network),
                                     networking_config=town.api.create_networking_config(endpoints))
    try:
        town.api.start(made["Id"])
        yield
    finally:
        town.api.remove_container(made["Id"], force=True)


API: dict[str, Any] = {"api": {"port": 8080, "health": {"path": "/healthz"}}}


def parts(town: Cli, app: str, version: str) -> dict[str, dict[str, Any]]:
    return {one["component"]: one for one in town.app(app)["instances"] if one["version"] == version}


def hosts_of(town: Cli, container: str) -> set[str]:
    return {*town.api.inspect_container(container)["HostConfig"]["ExtraHosts"]}


@pytest.mark.parametrize("component", ["web", "api"])
def test_a_version_of_two_components_goes_elsewhere_when_the_address_of_one_was_taken(town: Cli, component: str) -> None:
    app = f"pair-{component}"
    town.serving(app, "v1", components=API)
    town.do("upgrade", app, "v2")
    town.do("stop", app, "v1")
    before = parts(town, app, "v1")
    seen = town.api.inspect_container(parts(town, app, "v2")[component]["container"])
    (network,) = seen["NetworkSettings"]["Networks"]
    with holding(town, network, before[component]["address"], seen["Image"]):
        answer = town.do("rollback", app, "-y")
        assert any("created again elsewhere" in warning for warning in answer["warnings"])
        assert town.get(app).version == "v1"
        after = parts(town, app, "v1")
        assert {name for name in after if after[name]["address"] == before[name]["address"]} == set()
        for one in after.values():
            assert {f"{name}:{other['address']}" for name, other in after.items()} <= hosts_of(town, one["container"])
    assert town.app(app)["drift"] == []


def test_a_version_of_two_components_whose_port_was_taken_comes_back_with_another_one(town: Cli) -> None:
    town.serving("twoports", "v1", components=API)
    town.do("upgrade", "twoports", "v2")
    town.do("stop", "twoports", "v1")
    port = parts(town, "twoports", "v1")["web"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        town.do("rollback", "twoports", "-y")
        assert town.get("twoports").version == "v1"
        assert parts(town, "twoports", "v1")["web"]["port"] != port


@pytest.fixture(scope="module")
def town(cli: Cli) -> Cli:
    return cli
