"""A subnet, a port or a bridge that somebody took meanwhile, and a network that is full, never block an app for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.loader import load_server
from deployctl.domain.change.drift import DriftKind
from deployctl.domain.change.readiness import Code
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import App, Instance
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import Invalid, NetworkTaken, PlaceTaken
from deployctl.execution import networks as execution_networks
from deployctl.execution.labels import bridge_name, network_name
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import ContainerFacts, NetworkFacts
from deployctl.testing.fake_engine import Behaviour
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.view.readiness import find_readiness
from tests.unit.cli_world import shop
from tests.unit.world import SHOP, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(keep_stopped=9)
        yield made


@pytest.fixture
def small(w: World) -> World:
    """The shop has a network with 5 addresses, without a part for the engine, as an earlier build made it; 4 are leased."""
    app = App(SHOP, "172.30.0.0/29", "172.30.0.1", network_name(w.ledger.identity, SHOP), bridge_name(w.ledger.identity, SHOP))
    w.ledger.add_app(app, at=w.clock.utc())
    return w.upgraded("v1", "v2", "v3", "v4")


def test_an_app_that_gains_components_gets_a_wide_network_for_what_comes(small: World) -> None:
    small.edit(components={"api": {"port": 9000}})
    small.upgraded("v5")
    first, second = (network for network in small.ledger.networks(SHOP))
    assert {i.network.name for i in small.ledger.instances(SHOP) if i.network and i.release < 5} == {first.name}
    assert {i.network.name for i in small.ledger.instances(SHOP) if i.network and i.release == 5} == {second.name}
    assert (second.is_wide, first.is_wide) == (True, False)
    assert small.rollback("v4").target == "v4"
    small.upgraded("v6")
    assert len(small.ledger.networks(SHOP)) == 2, "what is wide stays"


def test_where_no_wide_network_is_free_components_share_what_there_is(w: World) -> None:
    w.spec = replace(w.spec, pool="172.30.0.0/26")
    w.edit(components={"api": {"port": 9000}})
    w.upgraded("v1", "v2")
    assert len(w.ledger.networks(SHOP)) == 1


def instance(w: World, version: str) -> Instance:
    found = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert found is not None
    return found


def networks(w: World) -> dict[str, str]:
    return {version: found.network.name for version in ("v1", "v2", "v3", "v4", "v5", "v6", "v7") for found in [
        next((i for i in w.ledger.instances(SHOP) if w.version(i.release) == version), None)] if found and found.network}


def somebodys(w: World, subnet: str) -> None:
    w.engine.networks_here.facts["theirs"] = NetworkFacts("theirs", (subnet,), {}, "br-theirs")


def lose_network(w: World, name: str) -> None:
    """Let a person remove it: what stands in it ends."""
    for seen in w.engine.containers():
        if seen.running and name in seen.addresses:
            w.engine.die(seen.id)
    del w.engine.networks_here.facts[name]


def own(w: World) -> App:
    found = w.ledger.find_app(SHOP)
    assert found is not None
    return found


# -- new networks --------------------------------------------------------------------------------------------------
def test_an_app_gets_a_24_and_the_engine_a_part_of_it_for_its_own_picks(w: World) -> None:
    w.upgrade("v1")
    [made] = w.engine.networks()
    assert IPv4Network(made.subnets[0]).prefixlen == 24
    assert made.engines_own is not None
    assert IPv4Address(instance(w, "v1").address) not in IPv4Network(made.engines_own)


def test_the_next_subnet_is_taken_when_another_home_was_faster(w: World) -> None:
    w.engine.fail_next("network", NetworkTaken("Pool overlaps"))
    w.upgrade("v1")
    assert (own(w).subnet, own(w).network) == ("172.28.1.0/24", network_name(w.ledger.identity, SHOP, 2))
    assert w.serving == "v1"
    assert {one.name for one in w.ledger.networks()} == {network_name(w.ledger.identity, SHOP, 2)}
    assert w.guard.routes == {"172.28.1.0/24"}


def test_a_bridge_whose_name_somebody_has_is_left_alone(w: World) -> None:
    w.guard.interfaces.add(bridge_name(w.ledger.identity, SHOP))
    w.upgrade("v1")
    assert own(w).bridge == bridge_name(w.ledger.identity, SHOP, 2)


def test_two_processes_never_take_the_same_subnet(w: World) -> None:
    w.upgrade("v1")
    with closing(SqliteLedger.open(w.home / "ledger.db", w.home, now=w.clock.utc())) as other:
        s = replace(w.s, ledger=other)
        mine, theirs = execution_networks.move_on(w.s, own(w)), execution_networks.move_on(s, own(w))
    assert mine.subnet != theirs.subnet


# -- a network that is full ----------------------------------------------------------------------------------------
def test_what_comes_goes_to_another_network_when_the_own_one_is_full_and_what_runs_stays(small: World) -> None:
    w = small.upgraded("v5")
    before = {seen.id: seen.addresses for seen in w.engine.containers()}
    moved = w.upgrade("v6")
    assert w.serving == "v6"
    assert "no free address left in 172.30.0.0/29" in moved.warnings[0]
    first, second = network_name(w.ledger.identity, SHOP), network_name(w.ledger.identity, SHOP, 2)
    assert networks(w) == {**dict.fromkeys(("v1", "v2", "v3", "v4", "v5"), first), "v6": second}
    after = {seen.id: seen.addresses for seen in w.engine.containers()}
    assert {one: after[one] for one in before if before[one] and one != instance(w, "v4").container} == {
        one: addresses for one, addresses in before.items() if addresses and one != instance(w, "v4").container}
    assert {b.release: b.bridge for b in w.ledger.table(bridged=True).backends} == {
        5: bridge_name(w.ledger.identity, SHOP), 6: bridge_name(w.ledger.identity, SHOP, 2)}
    assert w.rollback().target == "v5"
    assert look_at_home(w.s).every == []


def test_a_stopped_version_of_the_former_network_boots_where_it_stood(small: World) -> None:
    w = small.upgraded("v5", "v6")
    before = instance(w, "v2")
    w.rollback("v2")
    assert (w.serving, instance(w, "v2").address, instance(w, "v2").host_port) == ("v2", before.address, before.host_port)


def test_a_network_in_which_nothing_stands_any_more_is_taken_apart(small: World) -> None:
    w = small.upgraded("v5", "v6", "v7")
    assert len(w.engine.networks()) == 2
    w.edit(keep_stopped=0)
    w.upgrade("v8")
    w.use(prune)
    assert [one.name for one in w.engine.networks()] == [network_name(w.ledger.identity, SHOP, 2)]
    assert w.guard.routes == {own(w).subnet}
    assert [one.name for one in w.ledger.networks()] == [network_name(w.ledger.identity, SHOP, 2)]


def test_both_networks_are_guarded_mended_and_removed_with_the_app(small: World) -> None:
    w = small.upgraded("v5", "v6")
    w.guard.routes.clear()
    assert {line.kind for line in reconcile(w.s).lines} == {DriftKind.GUARD}
    assert w.guard.routes == {"172.30.0.0/29", own(w).subnet}
    w.use(remove_app)
    assert (w.engine.networks(), w.guard.routes, w.ledger.networks()) == ([], set(), [])


def test_a_rebuilt_ledger_knows_both_networks(tmp_path: Path) -> None:
    with shop(tmp_path, "v1") as made:
        with closing(SqliteLedger.open(made.settings.ledger, made.home, now=made.clock.utc())) as ledger:
            row = ledger.find_app(SHOP)
            assert row is not None
            execution_networks.move_on(made.services_over(ledger, made.settings, SilentReporter()), row)
        assert made.deployctl("upgrade", "shop", "v2").code == 0
        for path in made.settings.state_dir.glob("ledger.db*"):
            path.unlink()
        assert made.deployctl("ledger", "rebuild").code == 0
        with closing(SqliteLedger.open(made.settings.ledger, made.home, now=made.clock.utc())) as ledger:
            found = {i.release: i.network.name for i in ledger.instances(SHOP) if i.network}
            assert found == {1: network_name(ledger.identity, SHOP), 2: network_name(ledger.identity, SHOP, 2)}
            assert len(ledger.networks(SHOP)) == 2
        assert made.deployctl("rollback", "shop", "-y").code == 0


def test_more_kept_versions_than_addresses_are_refused_in_the_file(tmp_path: Path) -> None:
    with shop(tmp_path, "v1") as made:
        file = made.settings.app_file(SHOP)
        text = file.read_text()
        file.write_text(f"keep_stopped = 234\n{text}")
        assert made.deployctl("upgrade", "shop", "v2").code == 0
        file.write_text(f"keep_stopped = 235\n{text}")
        said = made.deployctl("upgrade", "shop", "v3", "-o", "json")
        assert said.code == 2
        assert "keep_warm = 1 and keep_stopped = 235 keep 236 versions" in said.json["error"]["message"]
        assert "235 of them" in said.json["error"]["message"]
        made.settings.server_file.write_text("[retention]\nkeep_warm = 50\nkeep_stopped = 200\n")
        with pytest.raises(Invalid, match="addresses for 235"):
            load_server(made.settings.server_file)


# -- what somebody took meanwhile ----------------------------------------------------------------------------------
def test_a_subnet_that_somebody_took_does_not_block_the_next_version(w: World) -> None:
    w.upgraded("v1", "v2")
    subnet, former = own(w).subnet, own(w).network
    lose_network(w, former)
    somebodys(w, subnet)
    w.upgrade("v3")
    assert w.serving == "v3"
    assert own(w).subnet != subnet
    assert networks(w)["v3"] == network_name(w.ledger.identity, SHOP, 2)


def test_the_guard_of_a_subnet_stays_when_another_home_has_it(w: World) -> None:
    w.upgraded("v1")
    subnet = own(w).subnet
    lose_network(w, own(w).network)
    w.engine.networks_here.facts["theirs"] = NetworkFacts("theirs", (subnet,), {"deployctl.home": "/srv/other"}, "br-theirs")
    w.upgrade("v2")
    w.upgrade("v3")
    assert own(w).subnet != subnet
    assert w.guard.guarded([subnet])


def test_reconcile_makes_what_stood_in_it_anew_in_another_network(w: World) -> None:
    w.upgraded("v1", "v2")
    subnet, former = own(w).subnet, own(w).network
    lose_network(w, former)
    somebodys(w, subnet)
    reconcile(w.s)
    assert (w.serving, w.running()) == ("v2", {"v1", "v2"})
    assert set(networks(w).values()) == {network_name(w.ledger.identity, SHOP, 2)}
    assert reconcile(w.s).lines == ()
    assert w.engine.networks_here.facts["theirs"].subnets == (subnet,)
    assert w.guard.routes == {own(w).subnet}


def test_a_stopped_version_whose_network_is_gone_comes_back_in_another_one(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    subnet, former = own(w).subnet, own(w).network
    w.edit(keep_stopped=9)
    lose_network(w, former)
    somebodys(w, subnet)
    w.rollback("v1")
    assert w.serving == "v1"


@pytest.mark.parametrize("taken", ["port", "address"])
def test_a_version_whose_port_or_address_somebody_took_starts_at_another_place(w: World, taken: str) -> None:
    w.upgraded("v1", "v2", "v3")
    before = instance(w, "v1")
    w.guard.taken.add(("127.0.0.1", before.host_port or 0))
    w.engine.fail_next("start", PlaceTaken(f"start v1: its {taken} is already taken"))
    [found] = [one for one in find_readiness(SHOP, w.s) if one.version == "v1"]
    assert (found.ready, found.code) == (True, Code.PORT_TAKEN)
    moved = w.rollback("v1")
    after = instance(w, "v1")
    assert (w.serving, moved.target) == ("v1", "v1")
    assert after.host_port != before.host_port
    assert after.address != before.address
    assert "elsewhere" in moved.warnings[0]


# -- several components: each was created knowing where the others are -------------------------------------------------
SEVERAL: dict[str, Any] = {"api": {"port": 9000}, "worker": {"health": {"uptime": "0s"}},
                           "migrate": {"kind": "job", "command": ["migrate"], "needs": {"api": "healthy"}}}


def several(w: World) -> None:
    w.engine.behaviours["migrate",] = Behaviour(exits=0)
    w.edit(components=SEVERAL, needs={"api": "healthy"})


def taken_once(w: World, component: str) -> list[str]:
    """Have a stranger hold the place of that component when it is first started; return what is started, in order."""
    real, started = w.engine.ensure_started, list[str]()

    def start(container: str) -> ContainerFacts:
        seen = w.engine.find_container(container)
        assert seen is not None
        started.append(name := seen.labels["deployctl.component"])
        if name == component and started.count(component) == 1:
            raise PlaceTaken(f"start {name}: the address for this container is used by another one")
        return real(container)

    w.engine.ensure_started = start  # type: ignore[method-assign]
    return started


def addresses(w: World, version: str) -> dict[str, str]:
    number = w.release(version).number
    return {i.component: i.address for i in w.ledger.instances(SHOP) if i.release == number}


def knows(w: World, version: str, component: str) -> dict[str, str]:
    """Return the addresses that the container of that component was created with, by the names of the others."""
    found = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number, ComponentName(component)))
    assert found is not None
    spec = w.engine._containers[found.container or ""].spec
    assert spec is not None
    return dict(spec.hosts)


@pytest.mark.parametrize("component", ["api", "web", "worker"])
def test_all_components_of_a_version_move_when_one_of_them_finds_its_place_taken(w: World, component: str) -> None:
    several(w)
    w.upgraded("v1")
    started = taken_once(w, component)
    moved = w.upgrade("v2")
    assert w.serving == w.active == "v2"
    assert "v2 is created again elsewhere" in moved.warnings[0]
    assert started.count("migrate") == 1, "a job that has ended does not run again"
    assert started.count(component) == 2
    now = addresses(w, "v2")
    for one in ("web", "api", "worker"):
        assert knows(w, "v2", one) == {name: now[name] for name in ("web", "api", "worker")}
    assert look_at_home(w.s).every == []
    assert w.rollback("v1").target == "v1"


def test_a_stopped_version_of_several_components_comes_back_at_another_place(w: World) -> None:
    several(w)
    w.upgraded("v1", "v2", "v3")
    before = addresses(w, "v1")
    taken_once(w, "web")
    w.rollback("v1")
    after = addresses(w, "v1")
    assert w.serving == w.active == "v1"
    assert {name for name in after if name != "migrate" and after[name] == before[name]} == set()
    assert knows(w, "v1", "api")["web"] == after["web"]
    assert look_at_home(w.s).every == []


def test_a_live_version_of_several_components_is_not_moved_for_one_of_them(w: World) -> None:
    several(w)
    w.upgraded("v1")
    before, api = addresses(w, "v1"), w.ledger.find_instance(SHOP, InstanceId(1, ComponentName("api")))
    assert api is not None
    w.engine.die(api.container or "")
    w.engine.fail_next("start", PlaceTaken("start api: the address for this container is used by another one"))
    assert reconcile(w.s).left
    assert addresses(w, "v1") == before


def test_what_serves_is_started_at_another_place_when_its_own_was_taken(w: World) -> None:
    w.upgraded("v1", "v2")
    w.engine.die(instance(w, "v2").container or "")
    w.guard.taken.add(("127.0.0.1", instance(w, "v2").host_port or 0))
    w.engine.fail_next("start", PlaceTaken("start v2: port 127.0.0.1:20001 is already taken by another program"))
    assert not reconcile(w.s).left
    assert (w.serving, w.running()) == ("v2", {"v1", "v2"})

