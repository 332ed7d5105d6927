"""Start, stop, hold, prune, abort and removal: each does what it says and leaves the traffic of others alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.domain.change.serving import find_previous
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import (
    AttentionNeeded,
    ConfirmationNeeded,
    DeployctlError,
    EngineUnavailable,
    LeaseHeld,
    NotFound,
    StateChanged,
)
from deployctl.usecases.change.abort import abort
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.prune import preview_prune, prune
from deployctl.usecases.change.start import preview_start, start
from deployctl.usecases.change.stop import preview_stop, stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.read_facts import observe
from deployctl.usecases.steps.options import ChangeOptions
from tests.unit.world import SHOP, V1, V2, V3, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


# -- start --------------------------------------------------------------------------------------------------------
def test_a_started_version_runs_proven_and_routed_without_traffic(w: World) -> None:
    w.upgraded("v1")
    done = w.use(start, V2)
    instance = w.ledger.find_instance(SHOP, InstanceId(2))
    assert instance is not None
    assert (instance.beside, instance.routed, w.containers(), w.serving) == (
        True, True, {"v1": "running", "v2": "running"}, "v1")
    assert w.release("v2").proven_at
    assert done.extra == {"version": "v2", "port": instance.host_port}
    assert w.ledger.apps()[0].revision == 1


def test_what_runs_beside_does_not_take_the_place_of_the_standby(w: World) -> None:
    w.upgraded("v1")
    w.use(start, Version("v9"))
    w.upgraded("v2", "v3")
    assert w.running() == {"v9", "v2", "v3"}
    assert w.rollback(confirmed=False).target == "v2"


def test_starting_twice_is_fine(w: World) -> None:
    w.upgraded("v1")
    w.use(start, V2)
    before = w.everything()
    assert not w.use(start, V2).changed
    assert w.everything() == before


def test_a_start_of_a_stopped_version_starts_its_own_container(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    before = w.ledger.find_instance(SHOP, InstanceId(1))
    assert w.use(start, V1).changed
    after = w.ledger.find_instance(SHOP, InstanceId(1))
    assert before is not None
    assert after is not None
    assert (after.container, w.containers()["v1"], w.serving) == (before.container, "running", "v3")


def test_a_start_of_what_serves_and_lost_its_container_does_not_put_it_beside(w: World) -> None:
    w.upgraded("v1", "v2")
    w.engine.ensure_removed(w.ledger.instances(SHOP)[0].container or "")
    w.use(start, V2)
    instance = w.ledger.find_instance(SHOP, InstanceId(2))
    assert instance is not None
    assert (instance.beside, w.containers()["v2"]) == (False, "running")


def test_the_first_start_of_an_app_makes_it_and_serves_nobody(w: World) -> None:
    w.use(start, V1)
    assert (w.serving, w.active, w.containers()) == (None, None, {"v1": "running"})
    assert w.upgrade("v1").target == "v1"


def test_a_bad_version_does_not_start(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(DeployctlError, match="v2 did not become healthy"):
        w.use(start, V2)
    assert w.running() == {"v1"}


def test_the_dry_run_of_a_start_is_what_a_start_does(w: World) -> None:
    w.upgraded("v1")
    shown = preview_start(SHOP, V2, w.s).plan
    w.use(start, V2)
    assert w.told.plans[-1] == shown
    w.use(stop, V2)
    shown = preview_start(SHOP, V2, w.s).plan
    w.use(start, V2)
    assert w.told.plans[-1] == shown


# -- stop ---------------------------------------------------------------------------------------------------------
def test_a_stopped_standby_keeps_its_container_and_its_place_in_the_history(w: World) -> None:
    w.upgraded("v1", "v2")
    done = w.use(stop, V1)
    assert (w.containers(), w.serving) == ({"v1": "stopped", "v2": "running"}, "v2")
    assert "v2 is still live" in done.sentence
    assert w.rollback().target == "v1"


def test_stopping_what_serves_asks_first_and_then_serves_nobody(w: World) -> None:
    w.upgraded("v1", "v2")
    before = w.everything()
    with pytest.raises(ConfirmationNeeded, match="clients get 503"):
        w.use(stop, V2, confirmed=False)
    assert w.everything() == before
    w.use(stop, V2)
    assert (w.serving, w.active, w.containers()) == (None, None, {"v1": "running", "v2": "stopped"})
    last = w.ledger.changes(SHOP)[0]
    assert (last.kind, last.source, last.target) == ("stop", 2, None)


def test_what_haproxy_serves_past_the_ledger_is_not_stopped(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    w.traffic.flip(SHOP, 1)
    monkeypatch.setattr("deployctl.usecases.change.stop.recover", lambda *_: None)  # as after a deployment that got stuck
    before = w.everything()
    with pytest.raises(AttentionNeeded, match="although the ledger says v2"):
        w.use(stop, V1)
    assert w.everything() == before


def test_stopping_what_does_not_run_does_nothing(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    before = w.everything()
    assert not w.use(stop, V1).changed
    assert w.everything() == before


def test_stopping_what_was_pruned_does_nothing(w: World) -> None:
    crowded(w)
    w.use(prune)
    before = w.everything()
    assert not w.use(stop, V1).changed
    assert w.everything() == before


def test_stopping_one_that_runs_beside_ends_being_beside(w: World) -> None:
    w.upgraded("v1")
    w.use(start, V2)
    w.use(stop, V2)
    instance = w.ledger.find_instance(SHOP, InstanceId(2))
    assert instance is not None
    assert (instance.beside, instance.routed) == (False, False)


def test_the_dry_run_of_a_stop_is_what_a_stop_does(w: World) -> None:
    w.upgraded("v1", "v2")
    for version in (V1, V2):
        shown = preview_stop(SHOP, version, w.s).plan
        w.use(stop, version)
        assert w.told.plans[-1] == shown


# -- hold ---------------------------------------------------------------------------------------------------------
def test_hold_and_unhold_touch_no_traffic_and_say_whether_anything_changed(w: World) -> None:
    w.upgraded("v1", "v2")
    assert [w.use(verb, V1, note="why").changed for verb in (hold, hold, unhold, unhold)] == [True, False, True, False]
    assert (w.serving, w.ledger.apps()[0].revision) == ("v2", 2)
    kinds = [event["kind"] for event in w.ledger.events(SHOP)]
    assert kinds == ["released", "released", "held", "held", "promoted", "promoted"]
    assert w.ledger.events(SHOP)[3]["data"] == {"note": "why", "version": "v1"}


def test_a_held_version_is_neither_deployed_nor_gone_back_to(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.use(hold, V2)
    assert w.rollback().target == "v1"
    with pytest.raises(DeployctlError, match="v2 is on hold"):
        w.upgrade("v2")
    w.use(unhold, V2)
    assert w.upgrade("v2").target == "v2"


def test_haproxy_is_told_of_a_hold(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1", "v2")
    told: list[bool] = []
    monkeypatch.setattr(w.traffic, "refresh_previews",
                        lambda: told.append(any(b.held for b in w.ledger.table(bridged=True).backends)))
    w.use(hold, V1)
    w.use(unhold, V1)
    assert told == [True, False]


def test_a_version_that_nobody_knows_cannot_be_held(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NotFound, match=r"Did you mean v1\?"):
        w.use(hold, Version("v11"))


# -- prune --------------------------------------------------------------------------------------------------------
def crowded(w: World) -> None:
    w.upgraded("v1", "v2", "v3", "v4")
    w.edit(keep_stopped=0)
    w.upgrade("v4")


def test_prune_asks_removes_what_is_not_kept_and_gives_images_back(w: World) -> None:
    crowded(w)
    before = w.everything()
    with pytest.raises(ConfirmationNeeded, match="Remove the container of v2") as asks:
        w.use(prune, confirmed=False)
    assert "v1" in asks.value.question
    assert w.everything() == before
    w.use(prune)
    assert w.containers() == {"v3": "running", "v4": "running"}
    image = w.engine.images.find("acme/shop:v1")
    assert image is not None
    assert image.tags == ("acme/shop:v1",)
    assert not w.use(prune).changed


def test_prune_never_takes_where_a_rollback_goes(w: World) -> None:
    crowded(w)
    w.use(hold, V3)
    facts = observe(SHOP, w.s)
    back = find_previous(facts)
    assert back is not None
    assert back.version == "v2"
    w.use(prune)
    assert w.containers() == {"v2": "stopped", "v3": "running", "v4": "running"}
    assert w.rollback().target == "v2"


def test_prune_removes_the_failed_one_that_was_kept_for_inspection(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v2")
    w.use(prune)
    assert w.containers() == {"v1": "running"}


def test_prune_touches_nothing_that_is_not_ours(w: World) -> None:
    crowded(w)
    stranger = w.engine.add_stranger("db", image=w.release("v1").digest)
    spoof = w.engine.add_stranger("spoof", image="sha256:" + "0" * 64, labels={"deployctl.app": "shop"})
    w.use(prune)
    assert {stranger.id, spoof.id} <= w.engine._containers.keys()


def test_the_dry_run_of_a_prune_is_what_a_prune_does(w: World) -> None:
    crowded(w)
    shown = preview_prune(SHOP, w.s).plan
    w.use(prune)
    assert w.told.plans[-1] == shown


# -- abort --------------------------------------------------------------------------------------------------------
def test_with_nothing_under_way_there_is_nothing_to_abort_and_that_is_fine(w: World) -> None:
    w.upgraded("v1")
    before = w.everything()
    assert not w.use(abort).changed
    assert w.everything() == before


def under_way(w: World) -> int:
    token = w.ledger.take_lease(SHOP, holder="ci (cli)", verb="upgrade", at=w.clock.utc())
    assert isinstance(token, int)
    w.ledger.open_deployment(Plan(SHOP, PlanKind.UPGRADE, 1, 2, (), ""), actor="ci (cli)", note="", at=w.clock.utc(),
                             token=token)
    return token


def test_an_abort_asks_the_holder_waits_for_it_and_says_who_serves(w: World) -> None:
    w.upgraded("v1")
    token = under_way(w)
    asked: list[str | None] = []

    def heed() -> None:
        opened = w.ledger.find_open(SHOP)
        assert opened is not None
        asked.append(w.ledger.abort_asked(opened.id))
        w.ledger.give_lease_back(SHOP, token)

    w.clock.after(2, heed)
    done = w.use(abort)
    assert asked == ["mara (cli)"]
    assert "v1 is live" in done.sentence
    assert w.ledger.open_deployments() == []


def test_an_abort_that_the_holder_does_not_heed_names_the_holder(w: World) -> None:
    w.upgraded("v1")
    under_way(w)
    with pytest.raises(LeaseHeld, match=r"ci \(cli\) \(pid .* was asked to stop"):
        w.use(abort)


def test_an_abort_of_an_unknown_app_is_not_found(w: World) -> None:
    with pytest.raises(NotFound):
        w.use(abort)


# -- removal ------------------------------------------------------------------------------------------------------
def test_removing_an_app_asks_for_its_name(w: World) -> None:
    w.upgraded("v1", "v2")
    before = w.everything()
    with pytest.raises(ConfirmationNeeded) as asks:
        w.use(remove_app, confirmed=False)
    assert asks.value.type_name == SHOP
    assert w.everything() == before


def test_removing_an_app_leaves_nothing_of_it_but_its_history(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.use(start, Version("v9"))
    w.use(remove_app, note="moved elsewhere")
    assert (w.engine.containers(), w.engine.networks(), w.guard.routes, w.traffic.routes()) == ([], [], set(), {})
    assert (w.ledger.apps(), w.ledger.releases(SHOP), w.ledger.instances()) == ([], [], [])
    assert len(w.ledger.changes(SHOP)) == 3
    for number in (1, 2, 3, 9):
        image = w.engine.images.find(f"acme/shop:v{number}")
        assert image is not None
        assert image.tags == (f"acme/shop:v{number}",)
    assert w.ledger.db.execute("select count(*) from port_leases")[0][0] == 0


def test_removing_one_app_leaves_the_others_as_they_are(w: World) -> None:
    blog = AppName("blog")
    w.add_file(blog)
    upgrade(blog, V1, w.s)
    w.upgraded("v1")
    w.use(remove_app)
    assert w.traffic.routes() == {blog: 1}
    assert [app.name for app in w.ledger.apps()] == [blog]
    assert len(w.engine.containers()) == 1


def test_removing_an_app_while_the_engine_is_away_does_not_cut_its_traffic(w: World) -> None:
    w.upgraded("v1")
    w.engine.away = "it was stopped"
    with pytest.raises(EngineUnavailable):
        w.use(remove_app)
    assert (w.serving, w.active) == ("v1", "v1")


def test_an_app_can_come_again_after_its_removal(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(remove_app)
    moved = w.upgrade("v1")
    assert (moved.source, moved.target, moved.revision, w.serving) == (None, "v1", 3, "v1")
    with pytest.raises(NotFound):
        w.rollback()


# -- all of them ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", [start, stop, hold, unhold])
def test_a_stale_revision_is_refused_by_every_verb(w: World, verb: object) -> None:
    w.upgraded("v1", "v2")
    before = w.everything()
    with pytest.raises(StateChanged):
        w.use(verb, V1, if_revision=1)
    assert w.everything() == before


@pytest.mark.parametrize("verb", [stop, hold, unhold])
def test_every_verb_tells_an_unknown_app_and_an_unknown_version(w: World, verb: object) -> None:
    with pytest.raises(NotFound, match='no app "shop"'):
        w.use(verb, V1)
    w.upgraded("v1")
    with pytest.raises(NotFound, match='no version "other"'):
        w.use(verb, Version("other"))


def test_a_wish_is_plain_by_default() -> None:
    assert ChangeOptions() == ChangeOptions(note="", if_revision=None, lock_wait=0.0, confirmed=False)
