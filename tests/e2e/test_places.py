"""What somebody took meanwhile, on a real server: subnet, port, address. The app goes on at another place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
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
    endpoints: Any = {name: town.api.create_endpoint_config(ipv4_address=address)}
    made = town.api.create_container(
        town.inspect("houses", "v2")["Image"], name="e2e-takes-address",
        host_config=town.api.create_host_config(network_mode=name),
        networking_config=town.api.create_networking_config(endpoints))
    try:
        town.api.start(made["Id"])
        town.do("rollback", "houses", "-y")
        assert (town.get("houses").version, network_of(town, "houses", "v1") != (name, address)) == ("v1", True)
    finally:
        town.api.remove_container(made["Id"], force=True)


@pytest.fixture(scope="module")
def town(cli: Cli) -> Cli:
    return cli
