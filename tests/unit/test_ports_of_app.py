"""Further ports: an address of the app's own for a component's port, which moves with the release in the one switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.config.clashes import clashes
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName
from deployctl.errors import ConfirmationNeeded, DeployctlError, Invalid
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.view.config_state import config_state
from deployctl.usecases.view.diff import compare_releases
from tests.unit.world import SHOP, World, world

BASE: dict[str, Any] = {"image": "acme/shop", "port": 8080, "listen": 8000, "components": {"api": {"port": 9000}}}
METRICS: dict[str, Any] = {"metrics": {"component": "api", "port": 9458, "listen": "127.0.0.1:9458"}}


def spec(**keys: Any) -> AppSpec:
    return parse_app_spec({**BASE, **keys}, where="config/shop.toml")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(components={"api": {"port": 9000}}, ports=METRICS)
        yield made


# -- the file --------------------------------------------------------------------------------------------------------
def test_a_port_belongs_to_its_component_and_its_address_to_the_app() -> None:
    found = spec(ports={**METRICS, "admin": {"port": 8081, "listen": 9081}})
    assert [dict(one.ports) for one in found.templates()] == [{"admin": 8081}, {"metrics": 9458}]
    assert found.judged(ServerSpec()).ports == (("admin", ("127.0.0.1", 9081)), ("metrics", ("127.0.0.1", 9458)))


def test_a_file_with_ports_is_read_back_as_it_was() -> None:
    file = spec(ports=METRICS).judged(ServerSpec())
    assert AppFile.from_json(file.to_json()) == file
    assert AppFile.from_deployed(file.file).ports == file.ports


@pytest.mark.parametrize(("ports", "why"), [
    ({"one": {"component": "apy", "port": 1, "listen": 9001}}, r"ports\.one\.component names \"apy\", which is no component"),
    ({"one": {"port": 1, "listen": 8000}}, r"ports\.one\.listen is the address of listen already"),
    ({"one": {"port": 1, "listen": "0.0.0.0:8000"}}, "is the address of listen already"),
    ({"one": {"port": 1, "listen": 9001}, "two": {"port": 2, "listen": 9001}}, r"is the address of ports\.one\.listen already"),
    ({"one": {"port": 1}}, r"ports\.one\.listen is missing\. Write listen ="),
    ({"one": {"listen": 9001}}, r"ports\.one\.port is missing\. Write port ="),
    ({"one": {"port": 1, "listen": 9001, "kind": "tcp"}}, r"ports\.one\.kind is not a known key"),
    ({"X": {"port": 1, "listen": 9001}}, "X"),
])
def test_a_port_that_leads_nowhere_or_is_taken_is_an_error_of_the_file(ports: Mapping[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        spec(ports=ports)


def test_two_apps_cannot_have_one_address_whichever_key_says_it() -> None:
    blog = parse_app_spec({"image": "acme/blog", "port": 80, "listen": 9458}, where="config/blog.toml")
    found = clashes({SHOP: spec(ports=METRICS), AppName("blog"): blog}, ServerSpec())
    assert [one.sentence for one in found] == [
        "config/shop.toml: ports.metrics.listen = 127.0.0.1:9458 is taken: config/blog.toml has listen = 127.0.0.1:9458."]


def test_an_address_of_the_server_is_no_port_of_an_app() -> None:
    low, _ = ServerSpec().ports
    inside = spec(ports={"one": {"port": 1, "listen": low}})
    (found,) = clashes({SHOP: inside}, ServerSpec())
    assert found.sentence.startswith(f"config/shop.toml: ports.one.listen = 127.0.0.1:{low} is inside ports.range")


# -- deployed ----------------------------------------------------------------------------------------------------------
def test_haproxy_listens_there_and_each_release_has_a_server_for_it(w: World) -> None:
    w.upgraded("v1", "v2")
    table = w.ledger.table(bridged=True)
    assert table.ports == {"shop.metrics": ("127.0.0.1", 9458)}
    assert {one.name: (one.port, one.ports) for one in table.backends} == {
        "shop.1": (8080, ()), "shop.1.api.9458": (9458, ("metrics",)),
        "shop.2": (8080, ()), "shop.2.api.9458": (9458, ("metrics",))}
    assert len({one.server_id for one in table.backends}) == 4
    assert [one.sentence for one in look_at_home(w.s).every] == []


def test_a_port_of_replicas_has_a_pool_of_its_own(w: World) -> None:
    w.edit(components={"api": {"port": 9000, "replicas": 2}})
    w.upgraded("v1")
    table = w.ledger.table(bridged=True)
    assert {one.name: one.way for one in table.backends} == {
        "shop.1": "shop.1", "shop.1.api.9458.1": "shop.1.api.9458", "shop.1.api.9458.2": "shop.1.api.9458"}
    assert table.replicated == 1


def test_another_address_is_taken_at_the_upgrade_and_given_up_only_when_that_is_wanted(w: World) -> None:
    w.upgraded("v1")
    w.edit(ports={"metrics": {**METRICS["metrics"], "listen": 9999}})
    row = w.ledger.find_app(SHOP)
    assert row is not None
    assert [(line.group, line.name, line.after) for line in config_state(row, w.s).lines] == [
        ("address", "ports.metrics", "127.0.0.1:9999")]
    with pytest.raises(ConfirmationNeeded, match=r"127\.0\.0\.1:9458 closes"):
        w.upgrade("v2")
    w.upgrade("v2", confirmed=True)
    assert w.ledger.table(bridged=True).ports == {"shop.metrics": ("127.0.0.1", 9999)}


def test_an_address_of_another_program_is_told_before_anything_is_begun(w: World) -> None:
    w.upgraded("v1")
    w.edit(ports={**METRICS, "admin": {"port": 8081, "listen": 9081}})
    w.guard.taken.add(("127.0.0.1", 9081))
    with pytest.raises(DeployctlError) as taken:
        w.upgrade("v2")
    assert taken.value.code == "address_taken"
    assert w.serving == "v1"


def test_a_failed_upgrade_leaves_the_addresses_as_they_were(w: World) -> None:
    w.upgraded("v1")
    w.edit(ports={**METRICS, "admin": {"port": 8081, "listen": 9081}})
    w.sick["v2"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v2")
    assert set(w.ledger.table(bridged=True).ports) == {"shop.metrics"}
    assert [one.sentence for one in look_at_home(w.s).every] == []


def test_a_diff_names_ports_and_replicas(w: World) -> None:
    w.upgraded("v1")
    w.edit(replicas=2, ports={"metrics": {**METRICS["metrics"], "port": 9500}})
    w.upgraded("v2")
    lines = compare_releases(w.release("v1"), w.release("v2"))
    told = {(one.group, one.name, one.after) for one in lines}
    assert told >= {("replicas", "replicas", "2"), ("api ports", "metrics", "9500")}
