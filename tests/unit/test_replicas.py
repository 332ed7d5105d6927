"""Replicas: one release, several containers of a component, one switch; a missing one is no reason to stop anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.domain.change.readiness import Code, How
from deployctl.domain.images.component import WEB
from deployctl.domain.inputs.names import ComponentName
from deployctl.domain.proxy.rejections import Cause
from deployctl.errors import Invalid, NotHealthy
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.view.readiness import find_readiness
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, World, world

API = ComponentName("api")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(replicas=3)
        yield made


def containers(w: World) -> dict[str, str]:
    """Return the state of each container of the shop by version, component and replica."""
    mine = [c for c in w.engine.containers() if c.labels.get("deployctl.app") == SHOP]
    return {f"{c.labels['deployctl.version']} {c.labels['deployctl.component']} {c.labels['deployctl.replica']}":
            "running" if c.running else "stopped" for c in mine}


def find(w: World, version: str, replica: int, component: str = WEB) -> str:
    """Return the id of that container."""
    return next(c.id for c in w.engine.containers() if c.labels.get("deployctl.version") == version
                and c.labels["deployctl.replica"] == str(replica) and c.labels["deployctl.component"] == component)


def servers(w: World) -> dict[str, list[str]]:
    """Return what HAProxy routes to, by release."""
    found: dict[str, list[str]] = {}
    for one in w.ledger.table(bridged=True).backends:
        found.setdefault(one.of, []).append(one.name)
    return found


def drift(w: World) -> list[str]:
    return [one.sentence for one in look_at_home(w.s).every]


# -- the file ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [0, -1, 100, 1.5, "2", True])
def test_a_number_of_replicas_is_from_1_to_99(value: object) -> None:
    with pytest.raises(Invalid, match="replicas"):
        parse_app_spec({"image": "a/b", "port": 80, "listen": 8000, "replicas": value}, where="config/shop.toml")


def test_a_release_with_one_written_replica_is_another_than_one_without() -> None:
    texts = [{"image": "a/b", "port": 80, "listen": 8000, **more} for more in ({}, {"replicas": 1}, {"replicas": 2})]
    specs = [parse_app_spec(one, where="config/shop.toml").templates() for one in texts]
    assert [one[0].replicas for one in specs] == [None, 1, 2]
    assert [one[0].may_scale for one in specs] == [False, True, True]


# -- a release with replicas ------------------------------------------------------------------------------------------
def test_an_upgrade_starts_every_replica_and_moves_the_traffic_once(w: World) -> None:
    w.upgraded("v1")
    assert containers(w) == {f"v1 web {n}": "running" for n in (1, 2, 3)}
    assert servers(w) == {"shop.1": [f"shop.1.web.8080.{n}" for n in (1, 2, 3)]}
    assert [str(step.kind) for step in w.told.plans[-1].steps].count("switch") == 1
    assert w.serving == w.active == "v1"
    assert len({i.address for i in w.ledger.instances(SHOP)}) == 3


def test_server_ids_are_unique_and_stay_those_of_their_replicas(w: World) -> None:
    w.upgraded("v1")
    w.upgraded("v2")
    backends = w.ledger.table(bridged=True).backends
    assert len({one.server_id for one in backends}) == len(backends) == 6


def test_replicas_share_one_alias_and_nobody_has_a_hosts_line_for_them(w: World) -> None:
    w.edit(components={"api": {"port": 9000, "replicas": 2}, "mail": {"port": 25, "health": {"kind": "tcp"}}})
    w.upgraded("v1")
    of = {(one.spec.labels["deployctl.component"], one.spec.labels["deployctl.replica"]): one.spec
          for one in w.engine._containers.values() if one.spec}
    assert of["api", "1"].aliases == of["api", "2"].aliases == ("api.r1.shop",)
    assert ("api", "api.r1.shop") in of["mail", "1"].links
    assert [name for name, _ in of["mail", "1"].hosts] == ["mail"]


def test_only_the_first_replica_publishes_a_port_where_haproxy_reaches_the_bridge(w: World) -> None:
    w.upgraded("v1")
    assert [i.host_port is not None for i in sorted(w.ledger.instances(SHOP), key=lambda i: i.id)] == [True, False, False]


def test_a_replica_that_fails_its_health_check_leaves_what_serves(w: World) -> None:
    w.upgraded("v1")
    w.traffic.spoil(SHOP, 2, Cause.UNREACHABLE, replica="web.8080.2")
    with pytest.raises(NotHealthy, match="replica 2 of v2"):
        w.upgrade("v2")
    assert w.serving == "v1"
    assert drift(w) == []


def test_a_rollback_to_a_version_of_which_one_replica_is_missing_does_not_wait_for_it(w: World) -> None:
    w.upgraded("v1")
    w.upgraded("v2")
    w.engine.ensure_stopped(find(w, "v1", 2), grace=0)
    w.rollback()
    kinds = [str(step.kind) for step in w.told.plans[-1].steps]
    assert kinds.index("switch") < kinds.index("work")
    assert "start" not in kinds
    assert w.serving == "v1"
    assert containers(w)["v1 web 2"] == "running", "it is started after the switch"


def test_a_replica_that_was_removed_is_created_again_and_known_to_haproxy(w: World) -> None:
    w.upgraded("v1")
    w.engine.ensure_removed(find(w, "v1", 2))
    reconcile(w.s)
    assert containers(w) == {f"v1 web {n}": "running" for n in (1, 2, 3)}
    assert drift(w) == []


def test_a_drain_counts_the_requests_of_all_replicas(w: World) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1")
    w.traffic.hold_open(SHOP, 1, 2, replica="web.8080.3")
    moved = w.upgrade("v2")
    assert [step.message for step in moved.steps if step.kind == "drain"] == ["2 still open after 30 s were closed"]


def test_a_pruned_release_leaves_nothing(w: World) -> None:
    w.edit(keep_warm=0, keep_stopped=0)
    for version in ("v1", "v2", "v3"):
        w.upgraded(version)
    assert {key.split()[0] for key in containers(w)} <= {"v2", "v3"}
    assert set(servers(w)) == {"shop.3"}
    assert drift(w) == []


# -- what people see ----------------------------------------------------------------------------------------------------
def test_a_standby_of_which_one_replica_is_missing_is_ready_and_told_by_a_code(w: World) -> None:
    w.upgraded("v1", "v2")
    assert [(one.ready, one.how, one.code) for one in find_readiness(SHOP, w.s)] == [(True, How.WARM, None)]
    for number in (1, 2):
        w.engine.ensure_stopped(find(w, "v1", number), grace=0)
        told = find_readiness(SHOP, w.s)[0]
        assert (told.ready, told.how, told.code) == (True, How.WARM, Code.REPLICAS_MISSING)
        assert told.why == f"only {3 - number} of its 3 replicas are healthy"
        view = status(w.s, app=SHOP).apps[0]
        assert view.standby is not None
        assert view.standby.readiness == told
    w.engine.ensure_stopped(find(w, "v1", 3), grace=0)
    assert find_readiness(SHOP, w.s)[0].how is How.BOOT


@pytest.mark.parametrize("dead", [1, 2])
def test_a_live_version_without_one_of_its_replicas_is_degraded_and_not_down(w: World, dead: int) -> None:
    w.upgraded("v1")
    assert status(w.s).apps[0].state == "healthy"
    w.engine.ensure_stopped(find(w, "v1", dead), grace=0)
    view = status(w.s).apps[0]
    assert view.state == "degraded"
    assert [(one.component, one.replica) for one in view.siblings] == [("web", 2), ("web", 3)]
    for number in {1, 2, 3} - {dead}:
        w.engine.ensure_stopped(find(w, "v1", number), grace=0)
    assert status(w.s).apps[0].state == "down"


def test_an_emergency_switch_to_a_release_with_replicas_is_followed_with_all_of_them(w: World) -> None:
    w.upgraded("v1", "v2")
    for one in w.release("v1").mains:
        w.ledger.set_instance(SHOP, one, routed=False)
    w.traffic.flip(SHOP, 1)
    reconcile(w.s)
    assert w.active == "v1"
    assert len(servers(w)["shop.1"]) == 3
