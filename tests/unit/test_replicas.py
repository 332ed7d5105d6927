"""Replicas: one release, several containers of a component, one switch; a missing one is no reason to stop anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.cli.rendering.status import status_text
from deployctl.cli.terminal import TerminalStyle
from deployctl.config.app import parse_app_spec
from deployctl.domain.change.readiness import Code, How
from deployctl.domain.images.component import WEB, InstanceId
from deployctl.domain.inputs.names import ComponentName
from deployctl.domain.proxy.rejections import Cause
from deployctl.errors import EngineUnavailable, Invalid, NotFound, NotHealthy, Refused
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.scale import preview_scale, scale
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.results import Done, StatusView
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.readiness import find_readiness
from deployctl.usecases.view.status import status
from tests.unit.test_crashes import die_in
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


@pytest.mark.parametrize("table", [
    {"kind": "exclusive", "replicas": 2}, {"components": {"db": {"kind": "exclusive", "replicas": 1}}},
    {"components": {"migrate": {"kind": "job", "replicas": 2}}},
])
def test_what_may_run_once_only_has_no_replicas(table: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"replicas is (for components of which several may run|not for a job)"):
        parse_app_spec({"image": "a/b", "port": 80, "listen": 8000, **table}, where="config/shop.toml")


def test_replicas_share_a_volume_only_where_the_file_says_so() -> None:
    worker = {"mounts": ["data:/data"], "overlap": False}
    text = {"image": "a/b", "port": 80, "listen": 8000, "components": {"worker": worker}}
    assert parse_app_spec(text, where="config/shop.toml").templates()[1].replicas is None
    with pytest.raises(Invalid, match="which the replicas of worker would write to at once"):
        parse_app_spec({**text, "components": {"worker": {**worker, "replicas": 2}}}, where="config/shop.toml")


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


# -- scale ---------------------------------------------------------------------------------------------------------------
def scaled(w: World, count: int, component: str | None = None, **options: Any) -> Done:
    return scale(SHOP, count, w.s, component=ComponentName(component) if component else None, options=ChangeOptions(**options))


def test_more_replicas_are_healthy_before_they_are_counted_and_get_requests(w: World) -> None:
    w.upgraded("v1")
    done = scaled(w, 5)
    assert [str(step.kind) for step in w.told.plans[-1].steps] == [
        "image", "network", "create", "create", "start", "health", "start", "health", "route", "gate", "scale"]
    assert (done.changed, done.sentence) == (True, "shop runs with 5 replicas (its file says 3)")
    assert servers(w)["shop.1"] == [f"shop.1.web.8080.{n}" for n in range(1, 6)]
    assert set(containers(w).values()) == {"running"}
    assert w.serving == "v1"
    assert drift(w) == []


def test_fewer_replicas_are_drained_and_removed(w: World) -> None:
    w.upgraded("v1")
    w.traffic.hold_open(SHOP, 1, 4, replica="web.8080.3")
    assert scaled(w, 1).sentence == "shop runs with 1 replica (its file says 3)"
    assert [(str(step.kind), step.replica) for step in w.told.plans[-1].steps] == [("scale", 1), ("shrink", 3), ("shrink", 2)]
    assert containers(w) == {"v1 web 1": "running"}
    assert {i.id for i in w.ledger.instances(SHOP)} == {InstanceId(1)}
    assert drift(w) == []


def test_a_standby_has_as_many_so_that_a_rollback_is_as_fast_and_as_strong(w: World) -> None:
    w.upgraded("v1", "v2")
    scaled(w, 4)
    assert {key.split()[0] for key, state in containers(w).items() if state == "running"} == {"v1", "v2"}
    assert len(servers(w)["shop.1"]) == len(servers(w)["shop.2"]) == 4
    w.rollback()
    assert "start" not in [str(step.kind) for step in w.told.plans[-1].steps]
    assert len(servers(w)["shop.1"]) == 4


def test_the_number_stays_through_upgrades_and_rollbacks_until_the_file_says_another(w: World) -> None:
    w.upgraded("v1")
    scaled(w, 5)
    w.upgraded("v2")
    assert len(servers(w)["shop.2"]) == 5
    w.rollback()
    assert len(servers(w)["shop.1"]) == 5
    w.edit(replicas=2)
    w.upgraded("v3")
    assert len(servers(w)["shop.3"]) == 2
    w.upgraded("v4")
    assert len(servers(w)["shop.4"]) == 2
    w.edit(replicas=3)
    w.upgraded("v5")
    assert len(servers(w)["shop.5"]) == 3, "the number was set against a file that is history"
    assert drift(w) == []


def test_a_stopped_version_gets_its_replicas_when_it_is_started(w: World) -> None:
    w.edit(keep_warm=0)
    w.upgraded("v1", "v2")
    scaled(w, 4)
    assert len([key for key in containers(w) if key.startswith("v1")]) == 3
    w.rollback()
    assert len(servers(w)["shop.1"]) == 4
    scaled(w, 1)
    assert {key for key in containers(w) if key.startswith("v2")} == {"v2 web 1"}
    assert drift(w) == []


def test_what_cannot_be_scaled_is_said_with_the_way_out(w: World) -> None:
    w.engine.behaviours["migrate",] = Behaviour(exits=0)
    w.edit(components={"api": {"port": 9000}, "migrate": {"kind": "job", "command": ["migrate"]}})
    w.upgraded("v1")
    with pytest.raises(Invalid) as unwritten:
        scaled(w, 2, "api")
    assert unwritten.value.code == "replicas_not_written"
    assert "write replicas = 1 at [components.api] of config/shop.toml" in unwritten.value.remedy
    with pytest.raises(Refused) as job:
        scaled(w, 2, "migrate")
    assert job.value.code == "not_scalable"
    with pytest.raises(NotFound, match="it has api, migrate, web"):
        scaled(w, 2, "apy")
    assert scaled(w, 1, "api").changed is False
    assert [plan.kind for plan in w.told.plans] == ["upgrade"]


def test_workers_of_a_standby_stay_stopped(w: World) -> None:
    w.edit(components={"worker": {"command": ["work"], "replicas": 2, "health": {"uptime": "1s"}}})
    w.upgraded("v1", "v2")
    scaled(w, 3, "worker")
    states = {key: state for key, state in containers(w).items() if "worker" in key}
    assert {key for key, state in states.items() if state == "running"} == {f"v2 worker {n}" for n in (1, 2, 3)}
    w.rollback()
    running = {key for key, state in containers(w).items() if "worker" in key and state == "running"}
    assert running == {f"v1 worker {n}" for n in (1, 2, 3)}
    assert drift(w) == []


def test_a_replica_that_does_not_become_healthy_leaves_everything_as_it_was(w: World) -> None:
    w.upgraded("v1", "v2")
    before = containers(w), servers(w), w.release("v2").proven_at
    w.traffic.spoil(SHOP, 2, Cause.UNREACHABLE, replica="web.8080.4")
    with pytest.raises(NotHealthy, match="replica 4 of v2"):
        scaled(w, 4)
    assert (containers(w), servers(w), w.release("v2").proven_at) == before
    assert w.release("v2").failure is None, "the version that is live has not failed"
    assert (w.serving, w.release("v2").scale) == ("v2", ())
    assert drift(w) == []


def test_a_dry_run_of_it_shows_the_plan_and_changes_nothing(w: World) -> None:
    w.upgraded("v1")
    before = w.everything()
    shown = preview_scale(SHOP, 4, w.s)
    assert [str(step.kind) for step in shown.plan.steps][-3:] == ["route", "gate", "scale"]
    assert preview_scale(SHOP, 3, w.s).plan.steps == ()
    assert w.everything() == before


def test_one_too_many_is_found_and_removed(w: World) -> None:
    w.upgraded("v1")
    w.ledger.db.execute("update releases set scale = '{\"web\": 2}'")
    assert drift(w) == ["shop: the container of replica 3 of v1, which is live, is one more than there are to be"]
    reconcile(w.s)
    assert containers(w) == {"v1 web 1": "running", "v1 web 2": "running"}
    assert drift(w) == []


def test_one_that_could_not_be_removed_is_removed_when_the_same_number_is_typed_again(w: World) -> None:
    w.upgraded("v1")
    for _ in range(2):
        w.engine.fail_next("remove", EngineUnavailable("Docker is not responding"))
    (left,) = scaled(w, 2).details
    assert left == "could not drain and remove replica 3 of v1: Docker is not responding"
    assert len(containers(w)) == 3
    assert preview_scale(SHOP, 2, w.s).plan.steps
    assert scaled(w, 2).changed
    assert containers(w) == {"v1 web 1": "running", "v1 web 2": "running"}
    assert not scaled(w, 2).changed


@pytest.mark.parametrize("count", [4, 2])
def test_a_scale_that_was_killed_anywhere_is_finished_or_reverted_and_leaves_nothing(w: World, count: int) -> None:
    w.upgraded("v1")
    ends = [{f"v1 web {n}": "running" for n in range(1, some + 1)} for some in (3, count)]
    for acts in range(60):
        died = die_in(w, lambda s: scale(SHOP, count, s), acts)
        reconcile(w.s)
        found = containers(w)
        assert found in ends, acts
        assert len(servers(w)["shop.1"]) == len(found)
        assert drift(w) == []
        assert w.serving == w.active == "v1"
        if not died:
            assert found == ends[1]
            return
        scaled(w, 3)
    raise AssertionError("it never ran to its end")


def test_status_shows_how_many_there_are_and_how_many_the_file_says(w: World) -> None:
    w.edit(components={"api": {"port": 9000}})
    w.upgraded("v1")
    scaled(w, 4)
    view = status(w.s, app=SHOP).apps[0]
    assert [(one.name, one.replicas, one.replicas_written, one.health) for one in view.components] == [
        ("web", 4, 3, "passing"), ("api", 1, None, "passing")]
    assert [one.replica for one in view.every_instance if one.component == "web"] == [1, 2, 3, 4]
    text = status_text(StatusView((view,), engine=None, proxy=None), TerminalStyle(), one=True)
    assert any("web 4/4" in line for line in text)
    assert "  Scaled: web 4 (the file says 3)" in text
    w.engine.ensure_stopped(find(w, "v1", 3), grace=0)
    assert {one.name: one.health for one in status(w.s).apps[0].components} == {"web": "failing", "api": "passing"}
