"""An app joins existing networks: only those that exist, and what is lost or added manually is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.readiness import Code
from deployctl.errors import Invalid, NotFound
from deployctl.execution.labels import app_of_network
from deployctl.ports import NetworkFacts
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.readiness import find_readiness
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, V1, V2, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        here(made, "warehouse", "cache")
        yield made


def here(w: World, *names: str, **more: object) -> None:
    for number, name in enumerate(names):
        made = NetworkFacts(name, (f"10.{len(w.engine.networks_here.facts)}.{number}.0/24",), {})
        w.engine.networks_here.facts[name] = replace(made, **more)  # type: ignore[arg-type]  # fields, by name


def networks(w: World, version: str) -> tuple[str, ...]:
    """Return what the container of that version is connected to beside its own network."""
    seen = next(c for c in w.engine.containers() if c.labels["deployctl.version"] == version)
    app = w.ledger.find_app(SHOP)
    assert app is not None
    return tuple(name for name in seen.networks if name != app.network)


def container(w: World, version: str) -> str:
    return next(c.id for c in w.engine.containers() if c.labels["deployctl.version"] == version)


def test_a_release_joins_its_networks_and_a_rollback_gives_it_its_own_again(w: World) -> None:
    w.upgraded("v1")
    w.edit(networks=["warehouse", "cache"])
    w.upgraded("v2")
    assert (networks(w, "v1"), networks(w, "v2")) == ((), ("cache", "warehouse"))
    w.rollback()
    w.engine.lose(container(w, "v2"))
    w.undo()
    assert networks(w, "v2") == ("cache", "warehouse")
    assert {line.name for line in diff(SHOP, V1, V2, w.s).lines if line.group == "networks"} == {"warehouse", "cache"}


def test_a_network_that_is_not_there_refuses_the_upgrade_before_anything_is_made(w: World) -> None:
    w.edit(networks=["nowhere"])
    before = w.everything()
    for refused in (lambda: w.upgrade("v1"), lambda: preview_upgrade(SHOP, V1, w.s)):
        with pytest.raises(NotFound, match="network nowhere") as caught:
            refused()
        assert caught.value.code == "network_missing"
        assert caught.value.remedy[0] == "docker network create nowhere"
    assert (w.everything(), w.engine.calls) == (before, [])


def test_a_network_of_deployctl_is_never_joined(w: World) -> None:
    here(w, "deployctl-other", labels={"deployctl.managed": "1"})
    w.edit(networks=["deployctl-other"])
    with pytest.raises(Invalid, match="belongs to an app of deployctl"):
        w.upgrade("v1")


def test_a_release_whose_network_is_gone_is_not_ready(w: World) -> None:
    w.edit(networks=["warehouse"])
    w.upgraded("v1", "v2")
    del w.engine.networks_here.facts["warehouse"]
    [ready] = find_readiness(SHOP, w.s)
    assert (ready.ready, ready.code) == (False, Code.NETWORK_MISSING)
    assert "warehouse" in (ready.why or "")


def test_a_rollback_to_a_release_whose_network_is_gone_names_it_and_changes_nothing(w: World) -> None:
    w.edit(networks=["warehouse"])
    w.upgraded("v1")
    w.edit(networks=[], keep_warm=0)
    w.upgraded("v2")
    gone = w.engine.networks_here.facts.pop("warehouse")
    with pytest.raises(NotFound, match="v1 cannot be started: the network warehouse") as refused:
        w.rollback("v1")
    assert refused.value.code == "network_missing"
    assert (w.serving, w.active) == ("v2", "v2")
    w.engine.networks_here.facts["warehouse"] = gone
    w.rollback("v1")
    assert (w.serving, networks(w, "v1")) == ("v1", ("warehouse",))


def test_reconcile_joins_a_lost_network_again(w: World) -> None:
    w.edit(networks=["warehouse"])
    w.upgraded("v1")
    w.engine.meddle(container(w, "v1"), networks=w.engine.containers()[0].networks[:1])
    assert networks(w, "v1") == ()
    [line] = reconcile(w.s).lines
    assert (line.kind, line.done) == ("disconnected", True)
    assert networks(w, "v1") == ("warehouse",)
    assert reconcile(w.s).lines == ()


def test_what_was_connected_by_hand_is_told_and_left(w: World) -> None:
    w.upgraded("v1")
    w.engine.ensure_connected(container(w, "v1"), "warehouse")
    [app] = status(w.s).apps
    assert any('networks = ["warehouse"] to config/shop.toml' in line for line in app.drift)
    reconcile(w.s)
    assert networks(w, "v1") == ("warehouse",)
    assert any('networks = ["warehouse"]' in line for line in w.upgrade("v2").warnings), "no version loses it without a word"
    assert not any("manually" in line for line in w.upgrade("v3").warnings)


DOCKER_27, DOCKER_28 = "1.47", "1.48"
CASES = [("cache", DOCKER_27, False, True), ("warehouse", DOCKER_27, False, False), ("cache", DOCKER_28, False, False),
         ("cache", DOCKER_27, True, False)]


@pytest.mark.parametrize(("name", "api", "internal", "first"), CASES)
def test_before_docker_28_a_network_of_ours_gets_a_name_that_comes_first(
    w: World, name: str, api: str, internal: bool, first: bool,
) -> None:
    here(w, name, internal=internal)
    w.engine.engine_info = replace(w.engine.engine_info, api=api)
    w.edit(networks=[name])
    assert not any("default gateway" in line for line in w.upgrade("v1").warnings)
    app = w.ledger.find_app(SHOP)
    assert app is not None
    assert app.network.startswith("0--deployctl-shop-") is first
    assert (app.network < name) is (first or name == "warehouse")
    assert app_of_network(w.ledger.identity, app.network) == SHOP


@pytest.mark.parametrize(("name", "api", "internal", "told"), CASES)
def test_where_an_app_that_has_its_network_already_sends_what_goes_out_is_told(
    w: World, name: str, api: str, internal: bool, told: bool,
) -> None:
    w.upgraded("v1")
    here(w, name, internal=internal)
    w.engine.engine_info = replace(w.engine.engine_info, api=api)
    w.edit(networks=[name])
    assert any("uses cache" in line for line in preview_upgrade(SHOP, V2, w.s).warnings) is told
