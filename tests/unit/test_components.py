"""Several components a release: one switch, one rollback, and workers that follow the traffic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.domain.change.plan import Step
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.component import (
    WEB,
    Component,
    ComponentKind,
    Condition,
    InstanceId,
    in_order,
    release_hash,
)
from deployctl.domain.images.release import Bundle, ProbeKind
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import Invalid, NotHealthy
from deployctl.ports import LogLine
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.start import start
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.diff import compare_releases
from deployctl.usecases.view.logs import logs
from deployctl.usecases.view.status import status
from deployctl.usecases.views import as_json
from tests.unit.world import SHOP, V2, YES, World, runnable, world

API, WORKER = ComponentName("api"), ComponentName("worker")
COMPONENTS: dict[str, Any] = {
    "api": {"port": 9000, "command": ["api"]},
    "worker": {"command": ["work"], "needs": {"api": "healthy"}, "health": {"uptime": "1s"}, "stop_grace": "60s"},
}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(components=COMPONENTS)
        yield made


def states(w: World) -> dict[str, str]:
    """Return the state of each container of the shop by release and component."""
    mine = [c for c in w.engine.containers() if c.labels.get("deployctl.app") == SHOP]
    return {f"{c.labels['deployctl.version']} {c.labels['deployctl.component']}": "running" if c.running else "stopped"
            for c in mine}


def kinds(w: World) -> list[str]:
    """Return the steps of the last plan, with the component that they are about."""
    return [f"{step.kind} {step.component}" if step.component else str(step.kind) for step in w.told.plans[-1].steps]


# -- a release is its components ---------------------------------------------------------------------------------------
def test_an_upgrade_starts_all_in_the_order_of_their_needs_and_moves_the_traffic_once(w: World) -> None:
    w.upgraded("v1")
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "running"}
    assert kinds(w) == [
        "image web", "image api", "image worker", "network",
        "create web", "create api", "create worker", "start web", "health web", "start api", "health api",
        "start worker", "health worker", "route", "gate", "switch", "promote", "work"]
    assert w.serving == w.active == "v1"


def test_one_release_one_hash(w: World) -> None:
    w.upgraded("v1")
    release = w.release("v1")
    assert [one.name for one in release.components] == [WEB, API, WORKER]
    assert w.ledger.find_built(SHOP, release.version, release.components) == release
    w.edit(components={**COMPONENTS, "api": {"port": 9000, "command": ["api", "-v"]}})
    again = w.upgrade("v1")
    assert again.changed
    assert again.target_release == 2


def test_a_standby_keeps_what_answers_and_its_workers_rest(w: World) -> None:
    w.upgraded("v1", "v2")
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "stopped",
                         "v2 web": "running", "v2 api": "running", "v2 worker": "running"}
    assert kinds(w)[-3:] == ["promote", "work", "rest"]


def test_a_rollback_switches_first_and_changes_the_workers_after(w: World) -> None:
    w.upgraded("v1", "v2")
    moved = w.rollback()
    assert (moved.target, w.serving) == ("v1", "v1")
    assert kinds(w) == ["health web", "health api", "switch", "promote", "work", "rest"]
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "running",
                         "v2 web": "running", "v2 api": "running", "v2 worker": "stopped"}
    assert not moved.warnings


def test_where_two_workers_must_not_meet_the_former_one_ends_first(w: World) -> None:
    w.edit(components={"worker": {"overlap": False, "health": {"uptime": "1s"}}})
    w.upgraded("v1")
    met: list[set[str]] = []

    def look(step: Step) -> None:
        met.append({name for name, state in states(w).items() if state == "running" and name.endswith("worker")})

    w.told.begin = look  # type: ignore[method-assign]
    w.upgraded("v2")
    w.rollback()
    assert all(len(running) <= 1 for running in met)
    assert kinds(w)[-2:] == ["rest", "work"]
    assert states(w)["v1 worker"] == "running"


def test_a_component_that_fails_leaves_what_serves_and_its_containers_stay_for_inspection(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2 api"] = 503
    with pytest.raises(NotHealthy, match=r"api of v2"):
        w.upgrade("v2")
    assert w.serving == "v1"
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "running",
                         "v2 web": "stopped", "v2 api": "stopped"}
    assert {i.id for i in w.ledger.instances(SHOP) if i.release == 2} == {InstanceId(2), InstanceId(2, API)}
    del w.sick["v2 api"]
    assert w.upgrade("v2").target == "v2"
    assert states(w)["v2 worker"] == "running"


def test_what_is_started_beside_takes_no_work(w: World) -> None:
    w.upgraded("v1")
    start(SHOP, V2, w.s, options=YES)
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "running",
                         "v2 web": "running", "v2 api": "running"}


# -- names ----------------------------------------------------------------------------------------------------------------
def test_components_find_those_of_their_own_release_and_no_others(w: World) -> None:
    w.upgraded("v1", "v2")
    specs = {one.hostname: one for one in (c.spec for c in w.engine._containers.values()) if one}
    web, worker = specs["shop-r2"], specs["shop-r2-worker"]
    assert web.aliases == ("web.r2.shop",)
    assert web.links == worker.links == (("web", "web.r2.shop"), ("api", "api.r2.shop"), ("worker", "worker.r2.shop"))
    placed = {i.component: i.address for i in w.ledger.instances(SHOP) if i.release == 2}
    assert dict(web.hosts) == dict(worker.hosts) == placed
    assert len({one.address for one in specs.values()}) == 6
    assert [one.publish is not None for one in (web, worker)] == [True, False], "only what HAProxy may need is published"


def test_an_app_of_one_component_is_created_as_before(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1")
        made = next(c.spec for c in w.engine._containers.values() if c.spec)
        assert (made.aliases, made.links, made.hosts, made.hostname) == ((), (), (), "shop-r1")


# -- drift ------------------------------------------------------------------------------------------------------------------
def container(w: World, which: InstanceId) -> str:
    instance = w.ledger.find_instance(SHOP, which)
    assert instance is not None
    return instance.container or instance.name


def repaired(w: World) -> list[str]:
    return [line.summary for line in reconcile(w.s, options=ChangeOptions(confirmed=True)).lines if line.done]


def test_a_dead_worker_of_the_live_version_is_started_again(w: World) -> None:
    w.upgraded("v1")
    w.engine.die(container(w, InstanceId(1, WORKER)))
    assert any("worker of v1" in line for line in repaired(w))
    assert states(w)["v1 worker"] == "running"
    assert repaired(w) == []


def test_a_worker_of_a_standby_that_somebody_started_is_stopped_and_the_standby_stays_warm(w: World) -> None:
    w.upgraded("v1", "v2")
    w.engine.ensure_started(container(w, InstanceId(1, WORKER)))
    assert any("it takes work" in line for line in repaired(w))
    assert states(w)["v1 worker"] == "stopped"
    assert states(w)["v1 web"] == states(w)["v1 api"] == "running"
    assert repaired(w) == []


def test_what_was_removed_is_created_again_each_at_its_own_place(w: World) -> None:
    w.upgraded("v1", "v2")
    before = {i.id: i.address for i in w.ledger.instances(SHOP)}
    for which in (InstanceId(1, WORKER), InstanceId(2, API), InstanceId(2, WORKER)):
        w.engine.ensure_removed(container(w, which))
    assert len(repaired(w)) == 3
    assert states(w) == {"v1 web": "running", "v1 api": "running", "v1 worker": "stopped",
                         "v2 web": "running", "v2 api": "running", "v2 worker": "running"}
    assert {i.id: i.address for i in w.ledger.instances(SHOP)} == before
    assert repaired(w) == []


def test_pruned_it_leaves_no_container_no_lease_and_no_image(w: World) -> None:
    w.edit(keep_warm=0, keep_stopped=0)
    w.upgraded("v1", "v2", "v3", "v4")
    assert {i.release for i in w.ledger.instances(SHOP)} == {3, 4}
    assert {name.split("-")[0] for name in w.engine.kept_tags()} == {"deployctl/shop:r3", "deployctl/shop:r4"}
    for table in ("port_leases", "address_leases"):
        assert {row[0] for row in w.ledger.db.execute(f"select release from {table}")} == {3, 4}


# -- the file ---------------------------------------------------------------------------------------------------------------
def templates(**keys: Any) -> tuple[Component, ...]:
    raw = {"image": "acme/shop", "port": 8080, "listen": 8000, **keys}
    return parse_app_spec(raw, where="config/shop.toml").judged(ServerSpec()).templates


def test_a_component_without_an_image_runs_as_the_app_does_and_one_with_its_own_inherits_nothing() -> None:
    web, worker, cache = templates(env={"A": "1"}, user="1:1", networks=["back"], components={
        "worker": {"env": {"B": "2"}}, "cache": {"image": "redis:7", "port": 6379, "health": {"kind": "tcp"}}})
    assert (web.name, worker.bundle.env, worker.bundle.user, worker.bundle.networks) == (
        WEB, (("A", "1"), ("B", "2")), "1:1", ("back",))
    assert (cache.bundle.env, cache.bundle.user, cache.bundle.networks, cache.bundle.image) == ((), None, (), "redis:7")
    assert (worker.bundle.probe.kind, worker.bundle.probe.uptime, worker.is_worker) == (ProbeKind.PROCESS, 5.0, True)
    assert (cache.bundle.probe.kind, cache.is_worker) == (ProbeKind.TCP, False)


def test_a_file_with_components_survives_being_kept() -> None:
    spec = parse_app_spec({"image": "acme/shop", "port": 8080, "listen": 8000, "name": "front", "components": COMPONENTS},
                          where="config/shop.toml").judged(ServerSpec())
    assert type(spec).from_json(spec.to_json()) == spec
    assert type(spec).from_deployed(spec.file).templates == spec.templates
    assert [one.name for one in spec.templates] == ["front", "api", "worker"]


@pytest.mark.parametrize(("keys", "says"), [
    ({"components": {"web": {}}}, "components.web is what the keys above the first table describe already"),
    ({"components": {"a_b": {}}}, "a component's name"),
    ({"components": {"worker": {"needs": {"db": "healthy"}}}}, 'components.worker.needs names "db", which is no component'),
    ({"components": {"worker": {"needs": {"web": "soon"}}}}, "Write one of: started, healthy"),
    ({"components": {"aa": {"needs": {"bb": "started"}}, "bb": {"needs": {"aa": "started"}}}}, "makes aa, bb need each other"),
    ({"components": {"worker": {"health": {"kind": "http"}}}}, "asks a port, and components.worker has none"),
    ({"components": {"api": {"port": 1, "overlap": False}}}, "is for workers"),
    ({"components": {"worker": {"kind": "other"}}}, "Write one of: side-by-side"),
    ({"components": {"worker": {"health": {"path": "/"}}}}, 'requires kind = "http"'),
    ({"health": {"uptime": "1s"}}, 'requires kind = "process"'),
])
def test_what_cannot_be_is_refused_with_what_to_write(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as refused:
        templates(**keys)
    assert says in " ".join([refused.value.message, *refused.value.remedy])


def test_components_stand_after_those_they_need() -> None:
    bundle = Bundle("a", "b", 1)
    a, b, c = (Component(bundle, ComponentName(name)) for name in "abc")
    needy = Component(bundle, ComponentName("a"), needs=((ComponentName("c"), Condition.STARTED),))
    assert [one.name for one in in_order([needy, b, c])] == ["b", "c", "a"]
    assert in_order([a, b, c]) == (a, b, c)


def test_a_name_alone_makes_no_other_release_and_a_relation_does() -> None:
    bundle = Bundle("a", "b", 1)
    assert release_hash([Component(bundle)]) == release_hash([Component(bundle, ComponentName("front"))]) == bundle.hash()
    two = [Component(bundle), Component(bundle, WORKER)]
    assert release_hash(two) != release_hash([Component(bundle), Component(bundle, API)])
    assert release_hash(two) != release_hash([Component(bundle), Component(bundle, WORKER, overlap=False)])
    assert ComponentKind.SIDE_BY_SIDE not in {str(value) for value in two[1].relations().values()}


def test_a_component_may_run_an_image_of_its_own(w: World) -> None:
    w.engine.images.add("redis:7", image=runnable("redis:7"))
    w.edit(components={"cache": {"image": "redis:7", "port": 6379, "health": {"kind": "tcp"}}})
    w.upgraded("v1")
    digests = {str(one.name): one.bundle.digest for one in w.release("v1").components}
    assert digests["cache"] == runnable("redis:7").digest != digests["web"]
    assert {c.labels["deployctl.component"]: c.image for c in w.engine.containers()} == digests


# -- what people see --------------------------------------------------------------------------------------------------------
def test_status_lists_each_component_and_what_is_wrong_with_one(w: World) -> None:
    w.upgraded("v1", "v2")
    view = status(w.s, app=SHOP).apps[0]
    assert [one.version for one in view.instances] == ["v2", "v1"], "versions are listed once"
    assert {(one.version, one.component): one.health for one in view.every_instance} == {
        ("v2", "web"): "passing", ("v2", "api"): "passing", ("v2", "worker"): "passing",
        ("v1", "web"): "passing", ("v1", "api"): "passing", ("v1", "worker"): "stopped"}
    assert [one.name for one in view.components] == ["web", "api", "worker"]
    assert {one.health for one in view.components} == {"passing"}
    assert view.state == "healthy"
    w.engine.die(container(w, InstanceId(2, WORKER)))
    ill = status(w.s, app=SHOP).apps[0]
    assert ill.state == "degraded"
    assert [note.code for note in ill.notes] == [NoteCode.COMPONENT_NOT_PASSING]
    assert "worker of v2" in ill.notes[0].message
    assert as_json(ill)["components"][2]["health"] == "failing"


def test_the_same_upgrade_again_starts_a_worker_that_died_and_moves_nothing_once_all_is_well(w: World) -> None:
    w.upgraded("v1")
    w.engine.die(container(w, InstanceId(1, WORKER)))
    w.upgrade("v1")
    assert states(w)["v1 worker"] == "running"
    assert not w.upgrade("v1").changed


# -- logs -------------------------------------------------------------------------------------------------------------------
def write(w: World, which: InstanceId, text: str) -> None:
    w.engine._require(container(w, which)).log.append(LogLine(w.clock.utc(), "stdout", text))


def test_logs_are_those_of_all_components_and_say_which_one_wrote(w: World) -> None:
    w.upgraded("v1", "v2")
    for which in (InstanceId(1), InstanceId(2), InstanceId(2, API), InstanceId(2, WORKER)):
        write(w, which, f"line of {which.component} {which.release}")
    assert {(one.name, one.line.text) for one in logs(SHOP, V2, w.s)} == {
        ("v2 web", "line of web 2"), ("v2 api", "line of api 2"), ("v2 worker", "line of worker 2")}
    assert ("v1 web", "line of web 1") in {(one.name, one.line.text) for one in logs(SHOP, None, w.s)}


def test_the_log_of_each_removed_container_is_kept(w: World) -> None:
    w.edit(keep_warm=0, keep_stopped=0)
    w.upgraded("v1")
    for which in (InstanceId(1), InstanceId(1, WORKER)):
        write(w, which, f"last words of {which.component}")
    w.upgraded("v2", "v3")
    assert {one.line.text for one in logs(SHOP, None, w.s, release=1)} == {"last words of web", "last words of worker"}


def test_a_diff_names_the_component_that_differs(w: World) -> None:
    w.upgraded("v1")
    w.edit(components={"api": {**COMPONENTS["api"], "env": {"A": "1"}}, "cron": {"command": ["tick"]}})
    w.upgrade("v1")
    lines = compare_releases(*(w.ledger.find_release(SHOP, number) for number in (1, 2)))  # type: ignore[arg-type]
    assert {(line.group, line.sign, line.name) for line in lines} == {
        ("api env", "+", "A"), ("components", "-", "worker"), ("components", "+", "cron")}
