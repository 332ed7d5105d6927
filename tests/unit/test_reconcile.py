"""What `reconcile` repairs, in which order, and what it leaves alone. Doing it twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_start
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Resources, Restart
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import EngineUnavailable, NotFound
from deployctl.execution.labels import common_labels, keep_tag, seal
from deployctl.ports import NetworkSpec
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.reconcile import Reconciled, preview_reconcile, reconcile
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.read_facts import observe
from tests.unit.world import SHOP, V1, V2, V3, YES, World, runnable, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby."""
    with world(tmp_path) as made:
        made.clock.sleep(1)
        yield made.upgraded("v1", "v2")


def container(w: World, version: str) -> str:
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release(version).number))
    assert instance is not None
    assert instance.container is not None
    return instance.container


def state(w: World) -> dict[str, object]:
    """Return everything but the ids that Docker gives and the times of starts."""
    known = w.everything()
    known["instances"] = [replace(i, container="") for i in w.ledger.instances()]
    known["containers"] = sorted((c.name, c.status, tuple(c.addresses.values())) for c in w.engine.containers())
    return known


HARM: dict[str, Callable[[World], object]] = {
    "the active one ends": lambda w: w.engine.die(container(w, "v2")),
    "the standby ends": lambda w: w.engine.die(container(w, "v1")),
    "both end": lambda w: all_end(w),
    "the active one is removed": lambda w: w.engine.lose(container(w, "v2")),
    "the standby is removed": lambda w: w.engine.lose(container(w, "v1")),
    "the active one is paused": lambda w: w.engine.pause(container(w, "v2")),
    "the active one is renamed": lambda w: w.engine.meddle(container(w, "v2"), name="mine"),
    "the active one is limited": lambda w: w.engine.meddle(container(w, "v2"), limits=Resources(memory=2**20)),
    "the active one is not restarted": lambda w: w.engine.meddle(container(w, "v2"), restart=Restart.NEVER),
    "the active one moves": lambda w: w.engine.meddle(container(w, "v2"), addresses={"other": "172.29.9.9"}),
    "the guard route goes": lambda w: w.guard.routes.clear(),
    "the id is lost": lambda w: w.ledger.set_instance(SHOP, InstanceId(2), container=None),
    "the id is another": lambda w: w.ledger.set_instance(SHOP, InstanceId(2), container="f" * 64),
    "HAProxy dies": lambda w: w.traffic.die(),
    "a file of HAProxy is edited": lambda w: w.traffic.edit("haproxy.cfg differs from the ledger"),
    "an image loses its tag": lambda w: w.engine.release_image(keep_tag(w.ledger.identity, SHOP, InstanceId(1))),
    "the route is lost": lambda w: w.traffic.flip(SHOP, None),
}


def all_end(w: World) -> None:
    for version in ("v1", "v2"):
        w.engine.die(container(w, version))


@pytest.mark.parametrize("harm", HARM)
def test_whatever_was_done_is_told_first_then_mended_and_then_there_is_nothing_more(w: World, harm: str) -> None:
    before = state(w)
    HARM[harm](w)
    calls = list(w.engine.calls)
    foreseen = preview_reconcile(w.s)
    assert foreseen.lines
    assert (w.engine.calls, w.traffic.pid() is None) == (calls, harm == "HAProxy dies")
    done = reconcile(w.s)
    assert {(line.kind, line.summary) for line in foreseen.lines} <= {(line.kind, line.summary) for line in done.lines}
    assert done.left == ()
    assert done.changed
    assert state(w) == before
    repaired, calls = w.everything(), list(w.engine.calls)
    again = reconcile(w.s)
    assert (again.lines, w.everything(), w.engine.calls) == ((), repaired, calls)
    assert (w.serving, w.active) == ("v2", "v2")
    assert w.ledger.find_lease(SHOP) is None
    assert w.traffic.drift() == []


def test_a_home_as_it_should_be_is_left_alone(w: World) -> None:
    before, calls = w.everything(), list(w.engine.calls)
    assert reconcile(w.s) == Reconciled()
    assert preview_reconcile(w.s).lines == ()
    assert (w.everything(), w.engine.calls) == (before, calls)


def test_what_serves_is_started_before_anything_else_over_all_apps(w: World) -> None:
    other = AppName("other")
    w.add_file(other)
    for version in ("v1", "v2"):
        upgrade(other, Version(version), w.s)
    for one in w.engine.containers():
        w.engine.die(one.id)
    calls = len(w.engine.calls)
    assert reconcile(w.s).left == ()
    started = [call.split()[1].rpartition("--r")[0] for call in w.engine.calls[calls:] if call.startswith("start ")]
    assert started == ["other--v2", "shop--v2", "other--v1", "shop--v1"]


def test_what_a_frozen_upgrade_made_for_a_removed_app_goes(w: World) -> None:
    app = w.ledger.find_app(SHOP)
    assert app is not None
    remove_app(SHOP, w.s, options=YES)
    w.engine.ensure_network(NetworkSpec(app.network, app.bridge, app.subnet, app.gateway, common_labels(w.s, SHOP)))
    [line] = preview_reconcile(w.s).lines
    assert (line.kind, line.repair) == ("empty", "remove its network and guard route")
    assert [line.done for line in reconcile(w.s).lines] == [True]
    assert app.network not in {network.name for network in w.engine.networks()}
    assert reconcile(w.s) == Reconciled()


def test_a_network_that_is_gone_comes_back_with_all_that_stood_in_it(w: World) -> None:
    before = state(w)
    for version in ("v1", "v2"):
        w.engine.die(container(w, version))
    w.engine.networks_here.facts.clear()
    assert reconcile(w.s).left == ()
    assert state(w) == before


def test_what_a_recovery_left_open_is_settled_first(w: World) -> None:
    token = w.ledger.take_lease(SHOP, holder="dead (cli)", verb="start", at=w.clock.utc())
    assert isinstance(token, int)
    facts = observe(SHOP, w.s)
    w.ledger.open_deployment(plan_start(facts, facts.releases[1]), actor="dead (cli)", note="", at="now", token=token)
    w.ledger.give_lease_back(SHOP, token)
    [line] = preview_reconcile(w.s).lines
    assert line.kind == "interrupted"
    assert [line.kind for line in reconcile(w.s).lines] == ["interrupted"]
    assert w.ledger.open_deployments() == []


def test_a_reconcile_that_was_cut_short_takes_nothing_back(w: World) -> None:
    w.engine.die(container(w, "v2"))
    token = w.ledger.take_lease(SHOP, holder="dead (watcher)", verb="reconcile", at=w.clock.utc())
    assert isinstance(token, int)
    plan = replace(plan_start(observe(SHOP, w.s), w.release("v2")), kind=PlanKind.RECONCILE)
    opened = w.ledger.open_deployment(plan, actor="dead (watcher)", note="", at="now", token=token)
    start_step = next(step for step in plan.steps if step.kind == "start")
    w.ledger.begin_step(opened.id, 0, start_step, phase=opened.phase, at="now", durable=False)
    w.engine.ensure_started(container(w, "v2"))
    w.ledger.give_lease_back(SHOP, token)
    calls = len(w.engine.calls)
    reconcile(w.s)
    assert (w.serving, w.running()) == ("v2", {"v1", "v2"})
    assert not [call for call in w.engine.calls[calls:] if call.startswith("stop")]


def test_an_app_that_somebody_changes_right_now_is_left_alone_and_told(w: World) -> None:
    w.engine.die(container(w, "v2"))
    w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at=w.clock.utc())
    before = w.everything()
    done = reconcile(w.s)
    assert [(line.kind, line.done) for line in done.lines] == [("busy", False)]
    assert "jonas (cli) has been running upgrade" in done.lines[0].summary
    assert w.everything() == before


def test_nothing_that_is_not_ours_is_touched(w: World) -> None:
    plain = w.engine.add_stranger("db", image="sha256:" + "0" * 64)
    labels = {"deployctl.home": str(w.home), "deployctl.app": "shop", "deployctl.release": "9"}
    spoof = w.engine.add_stranger("spoof", image="sha256:" + "0" * 64, labels=labels)
    left = reconcile(w.s).left
    assert [(line.kind, line.repair) for line in left] == [("stranger", None)]
    assert w.engine.find_container(plain.id) == plain
    assert w.engine.find_container(spoof.id) == spoof


@pytest.mark.parametrize(("app", "release", "goes"), [("shop", 1, True), ("shop", 9, False), ("gone", 1, False)])
def test_a_container_of_ours_that_the_ledger_does_not_know_goes_only_when_that_is_sure(
    w: World, app: str, release: int, *, goes: bool
) -> None:
    labels = {"deployctl.home": str(w.home), "deployctl.app": app, "deployctl.release": str(release),
              "deployctl.seal": seal(w.ledger.identity, app, InstanceId(release))}
    stray = w.engine.add_stranger("stray", image="sha256:" + "0" * 64, labels=labels)
    first = reconcile(w.s)
    assert [line.kind for line in first.lines] == ["unknown"]
    assert (w.engine.find_container(stray.id) is None) is goes
    if not goes:
        w.engine.die(stray.id)
        assert [line.repair for line in reconcile(w.s).left] == [None]  # perhaps the ledger is a copy from before
        w.engine.meddle(stray.id, status="created")
        assert reconcile(w.s).left == ()
        assert w.engine.find_container(stray.id) is None
    assert (w.serving, w.running()) == ("v2", {"v1", "v2"})


def test_an_image_that_is_kept_for_nothing_is_given_back_and_one_of_an_unknown_release_stays(w: World) -> None:
    mark = next(iter(w.engine.containers())).name.rpartition("--")[2]
    w.use(stop, V1)
    w.ledger.remove_instance(SHOP, InstanceId(1))
    w.engine.lose(next(c.id for c in w.engine.containers() if c.labels["deployctl.version"] == "v1"))
    unknown, foreign = f"deployctl/shop:r7-{mark}", "deployctl/shop:r1-ffffff"
    for tag in (unknown, foreign):
        w.engine.images.keep(w.release("v2").digest, tag)
    assert [(line.kind, line.done) for line in reconcile(w.s).lines] == [("image", True)]
    assert set(w.engine.kept_tags()) == {unknown, foreign, f"deployctl/shop:r2-{mark}"}
    assert reconcile(w.s).lines == ()


def test_a_standby_beyond_keep_warm_is_stopped_and_its_container_is_kept(w: World) -> None:
    row = w.ledger.find_app(SHOP)
    assert row is not None
    w.ledger.set_wishes(replace(row, policy=replace(row.policy, keep_warm=0)))
    assert [line.kind for line in reconcile(w.s).lines] == ["expired"]
    assert w.containers() == {"v1": "stopped", "v2": "running"}
    assert reconcile(w.s).lines == ()


def test_one_that_runs_beside_is_kept_running_and_comes_back(w: World) -> None:
    w.use(start, V3)
    assert reconcile(w.s).lines == ()
    w.engine.lose(container(w, "v3"))
    assert reconcile(w.s).left == ()
    assert w.running() == {"v1", "v2", "v3"}
    instance = w.ledger.find_instance(SHOP, InstanceId(3))
    assert instance is not None
    assert instance.beside


def test_what_a_person_stopped_stays_stopped(w: World) -> None:
    w.use(stop, V2)
    w.use(stop, V1)
    before = w.everything()
    assert reconcile(w.s).lines == ()
    assert w.everything() == before


def test_a_stopped_one_that_was_removed_is_made_again_without_being_started(w: World) -> None:
    w.use(stop, V1)
    w.engine.lose(container(w, "v1"))
    assert reconcile(w.s).left == ()
    assert w.containers() == {"v1": "stopped", "v2": "running"}
    assert w.rollback().target == "v1"


def test_where_a_person_moved_the_traffic_the_ledger_follows_and_nothing_moves_back(w: World) -> None:
    w.traffic.flip(SHOP, 1)
    assert [line.kind for line in preview_reconcile(w.s).lines] == ["traffic"]
    assert reconcile(w.s).left == ()
    assert (w.serving, w.active) == ("v1", "v1")
    assert reconcile(w.s).lines == ()


def test_what_cannot_be_mended_is_told_with_its_reason_and_keeps_nothing_waiting(w: World) -> None:
    for version in ("v1", "v2"):
        w.engine.die(container(w, version))
    w.engine.behaviours[w.release("v2").digest] = Behaviour(refused="no such program")
    [left] = reconcile(w.s).left
    assert left.app == "shop"
    assert "no such program" in left.why
    assert w.running() == {"v1"}
    assert w.serving == "v2"


def test_on_another_server_one_reconcile_pulls_the_images_and_leaves_nothing(w: World) -> None:
    """Neither containers nor images came along: an image that is pulled for its container needs no repair of its own."""
    for version, digit in (("v77", "d"), ("v78", "e")):
        image = replace(runnable(f"acme/shop:{version}"), repo_digests=("acme/shop@sha256:" + digit * 64,))
        w.engine.images.publish(f"acme/shop:{version}", image)
        w.upgraded(version)
        w.engine.images.publish(image.repo_digests[0], image)
    for version in ("v77", "v78"):
        w.engine.lose(container(w, version))
        w.engine.images.drop(w.release(version).digest)
    done = reconcile(w.s)
    assert ([line.kind for line in done.lines], done.left) == (["removed", "removed"], ())
    assert (w.serving, reconcile(w.s).lines) == ("v78", ())


def test_what_could_not_be_made_again_is_not_removed(w: World) -> None:
    w.engine.meddle(container(w, "v2"), addresses={"other": "172.29.9.9"})
    w.engine.images.drop(w.release("v2").digest)
    [untagged, left] = sorted(reconcile(w.s).left, key=lambda line: line.kind != "image")
    assert "has lost the tag" in untagged.summary
    assert (left.kind, left.done) == ("moved", False)
    assert "no longer on this server" in left.why
    assert w.engine.find_container(container(w, "v2")) is not None


@pytest.mark.parametrize("pullable", [True, False])
def test_what_is_made_again_has_its_image_here_before_it_is_removed(w: World, pullable: bool) -> None:
    image = replace(runnable("acme/shop:v77"), repo_digests=("acme/shop@sha256:" + "d" * 64,))
    w.engine.images.publish("acme/shop:v77", image)
    w.upgraded("v77")
    w.engine.images.publish(image.repo_digests[0], image)
    w.engine.meddle(container(w, "v77"), addresses={"other": "172.29.9.9"})
    w.engine.images.drop(image.digest)
    w.engine.images.registry_away = None if pullable else "connection refused"
    before = container(w, "v77")
    left = reconcile(w.s).left
    assert (w.engine.find_container(before) is None) is pullable
    if not pullable:
        assert any("connection refused. The container was left unchanged" in line.why for line in left)


def test_what_was_started_and_does_not_answer_is_not_called_mended(w: World) -> None:
    w.engine.die(container(w, "v2"))
    w.sick["v2"] = 503
    [left] = reconcile(w.s).left
    assert "503" in left.why
    assert w.ledger.find_lease(SHOP) is None


def test_with_the_engine_away_only_haproxy_is_mended_and_that_is_said(w: World) -> None:
    w.traffic.die()
    w.engine.away = "connection refused"
    with pytest.raises(EngineUnavailable, match="Only HAProxy"):
        reconcile(w.s)
    assert w.serving == "v2"


def test_one_app_may_be_mended_alone_and_an_unknown_one_is_not_found(w: World) -> None:
    other = AppName("other")
    w.add_file(other)
    upgrade(other, V1, w.s)
    for one in w.engine.containers():
        w.engine.die(one.id)
    assert {line.app for line in reconcile(w.s, app=other).lines} == {"other"}
    assert w.running() == set()
    for verb in (reconcile, preview_reconcile):
        with pytest.raises(NotFound):
            verb(w.s, app=AppName("nowhere"))


def test_what_was_mended_is_written_down(w: World) -> None:
    w.engine.lose(container(w, "v2"))
    reconcile(w.s)
    told = [event["text"] for event in w.ledger.events(SHOP) if event["kind"] == "reconciled"]
    assert told == ["shop: the container of v2, which is live, was removed by someone: recreate it from its image"]
    assert w.active == V2


def test_network_and_guard_route_of_an_app_without_containers_go(w: World) -> None:
    for version in ("v1", "v2"):
        w.use(stop, Version(version))
    for instance in w.ledger.instances(SHOP):
        w.engine.lose(container(w, w.version(instance.release)))
        w.ledger.remove_instance(SHOP, instance.id)
    assert [line.kind for line in reconcile(w.s).lines if line.done] == ["empty", "image", "image"]
    assert (w.engine.networks(), w.guard.routes) == ([], set())
    assert reconcile(w.s).lines == ()
    assert w.upgrade("v2").target == w.serving == "v2"
