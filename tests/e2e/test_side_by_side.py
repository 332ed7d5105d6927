"""Any number of versions run side by side, each reached in three ways; one of them serves who asks for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.cli import Cli
from tests.images import ensure_images

VERSIONS = [f"v{number}" for number in range(1, 11)]
SERVES, HELD = "v7", "v4"


@pytest.fixture(scope="module")
def shop(cli: Cli, engine_url: str) -> Cli:
    """Ten versions run; v7 serves, v4 is on hold."""
    ensure_images(*(("web", version) for version in VERSIONS), base_url=engine_url)
    cli.serving("shop", SERVES)
    for version in VERSIONS:
        if version != SERVES:
            cli.do("start", "shop", version)
    cli.do("hold", "shop", HELD)
    return cli


def instances(cli: Cli) -> dict[str, dict[str, Any]]:
    return {instance["version"]: instance for instance in cli.app("shop")["instances"]}


def test_ten_versions_run_and_exactly_one_is_active(shop: Cli) -> None:
    found = instances(shop)
    assert sorted(found) == sorted(VERSIONS)
    assert {instance["health"] for instance in found.values()} == {"passing"}
    assert [v for v, instance in found.items() if instance["role"] == "active"] == [SERVES]
    assert {v: instance["weight"] for v, instance in found.items()} == {v: 100 * (v == SERVES) for v in VERSIONS}


def test_no_two_versions_share_a_port_an_address_or_a_container(shop: Cli) -> None:
    for what in ("port", "address", "container"):
        assert len({instance[what] for instance in instances(shop).values()}) == len(VERSIONS), what


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_answers_on_its_own_port(shop: Cli, version: str) -> None:
    assert shop.get("shop", port=instances(shop)[version]["port"]).version == version


@pytest.mark.parametrize("version", VERSIONS)
def test_the_header_reaches_any_version_through_the_stable_address(shop: Cli, version: str) -> None:
    answer = shop.get("shop", X_Deployctl_Version=version)
    assert (answer.status, answer.version, answer.routed) == (200, version, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cookie_reaches_any_version_but_one_on_hold(shop: Cli, version: str) -> None:
    answer = shop.get("shop", Cookie=f"a=b; dctl_v={version}; c=d")
    assert answer.version == (SERVES if version == HELD else version)


@pytest.mark.parametrize("name", ["v99", "", "V1", "shop.v1", "../v1", "1", "v" * 300, "%76%31", "v1 x"])
def test_a_version_that_is_none_is_ignored(shop: Cli, name: str) -> None:
    for answer in (shop.get("shop", X_Deployctl_Version=name), shop.get("shop", Cookie=f"dctl_v={name}")):
        assert answer.status == 200, name
        assert answer.version == SERVES, name


def test_who_asks_for_nothing_gets_the_active_version_only(shop: Cli) -> None:
    with shop.visitors("shop", 100) as visitors:
        assert shop.active("shop") == SERVES
    assert visitors.count.lost == 0
    assert set(visitors.count.by_version) == {SERVES}


def test_haproxy_and_status_name_the_same_servers(shop: Cli) -> None:
    lines = [line.split() for line in shop.haproxy("show servers state apps").splitlines()[2:] if line]
    in_haproxy = {words[3]: (words[4], int(words[18])) for words in lines}
    told = {f"shop.{i['release']}": (i["address"], 8080) for i in instances(shop).values()}
    assert in_haproxy == told
    known = {line.split()[1]: line.split()[2] for line in shop.haproxy("show map known.map").splitlines() if line}
    assert known == {f"shop.{v}": f"{i['release']}{':held' if v == HELD else ''}" for v, i in instances(shop).items()}


def test_the_traffic_moves_to_any_of_them_and_none_is_stopped_for_it(shop: Cli) -> None:
    with shop.visitors("shop", 100) as visitors:
        for version in ("v1", "v10", SERVES):
            assert shop.do("upgrade", "shop", version)["to"] == version
            assert shop.active("shop") == version
    assert visitors.count.lost == 0
    assert {"v1", "v10", SERVES} <= set(visitors.count.by_version)
    running = {v for v, i in instances(shop).items() if i["health"] == "passing"}
    assert {v for v in VERSIONS if v not in ("v1", "v10")} <= running
