"""If someone switched the traffic outside deployctl the ledger follows, and no client is switched by that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.emergency import FlipNote
from deployctl.errors import NothingToGoBackTo, StateChanged
from deployctl.usecases.change.hold import hold
from deployctl.usecases.change.start import start
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.adopt import take_over_flips
from deployctl.usecases.view.status import status
from tests.unit.mortal import Died, Life, mortal
from tests.unit.world import SHOP, World, world

FLIPPED_AT = "2026-02-03T04:05:06.000Z"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(keep_warm=2)
        yield made.upgraded("v1", "v2", "v3")


def flip(w: World, version: str, *, noted: bool = True, reason: str = "ledger is dead") -> None:
    """Switch the traffic as `emergency flip` does, or without a note."""
    number, was = w.release(version).number, w.traffic.routes().get(SHOP)
    note = FlipNote(FLIPPED_AT, SHOP, was, number, version, "jo (emergency)", reason)
    w.traffic.flip(SHOP, number, note if noted else None)


def last(w: World) -> Change:
    return w.ledger.changes(SHOP)[0]


def touch(w: World) -> None:
    """Type a changing verb that moves nothing."""
    w.use(hold, Version("v1"))


# -- taken over ---------------------------------------------------------------------------------------------------
def test_a_noted_flip_becomes_a_change_by_the_person_who_made_it(w: World) -> None:
    flip(w, "v2")
    touch(w)
    change = last(w)
    assert (change.kind, change.actor, change.at, change.note) == (
        "emergency", "jo (emergency)", FLIPPED_AT, "ledger is dead")
    assert (w.version(change.source or 0), w.version(change.target or 0), change.revision) == ("v3", "v2", 4)
    assert w.active == w.serving == "v2"
    assert w.traffic.notes() == []
    assert any("switched by jo (emergency)" in text and "deployctl undo shop" in text for text in w.told.warnings)


def test_a_move_without_a_note_is_drift_by_someone(w: World) -> None:
    flip(w, "v2", noted=False)
    touch(w)
    assert (last(w).kind, w.active, w.serving) == ("drift", "v2", "v2")
    assert "someone" in last(w).actor


def test_taking_over_moves_no_traffic_and_twice_changes_nothing(w: World) -> None:
    flip(w, "v2")
    switches = list(w.traffic.switches)
    touch(w)
    after = w.everything()
    touch(w)
    assert w.traffic.switches == switches
    assert w.everything() == after


def test_the_last_of_several_flips_counts_and_each_is_kept(w: World) -> None:
    flip(w, "v2", reason="first")
    flip(w, "v1", reason="second")
    touch(w)
    assert (w.active, last(w).note) == ("v1", "second")
    kept = [event["data"]["note"] for event in w.ledger.events(SHOP) if "in an emergency" in event["text"]]
    assert sorted(kept) == ["first", "second"]


def test_a_flip_that_was_taken_back_by_hand_leaves_only_events(w: World) -> None:
    flip(w, "v2")
    flip(w, "v3")
    touch(w)
    assert (last(w).kind, w.active) == ("upgrade", "v3")
    assert w.traffic.notes() == []
    assert len([event for event in w.ledger.events(SHOP) if event["kind"] == "emergency"]) == 2


# -- what works afterwards ------------------------------------------------------------------------------------------
def test_undo_after_a_flip_takes_the_flip_back(w: World) -> None:
    flip(w, "v2")
    assert (w.undo().target, w.serving, w.active) == ("v3", "v3", "v3")
    assert w.held() == set()


def test_rollback_after_a_flip_goes_to_what_served_before_the_version_that_serves(w: World) -> None:
    flip(w, "v2")
    assert (w.rollback().target, w.serving) == ("v1", "v1")
    assert w.held() == {"v2"}


def test_rollback_never_comes_forward_again_after_a_flip_to_the_first_version(w: World) -> None:
    flip(w, "v1")
    with pytest.raises(NothingToGoBackTo):
        w.rollback()
    assert w.serving == w.active == "v1"


def test_an_upgrade_after_a_flip_goes_on_from_what_serves(w: World) -> None:
    flip(w, "v2")
    moved = w.upgrade("v4")
    assert (moved.source, moved.target, w.serving) == ("v2", "v4", "v4")


def test_who_looked_before_the_flip_is_refused_by_the_revision(w: World) -> None:
    flip(w, "v2")
    with pytest.raises(StateChanged):
        w.rollback(if_revision=3)
    assert w.serving == "v2"


def test_a_release_started_beside_becomes_an_ordinary_active_one(w: World) -> None:
    w.use(start, Version("v9"))
    flip(w, "v9")
    touch(w)
    instance = w.ledger.find_instance(SHOP, InstanceId(w.release("v9").number))
    assert (w.active, instance and instance.beside) == ("v9", False)


# -- left alone -------------------------------------------------------------------------------------------------------
def test_a_release_that_the_ledger_does_not_know_is_reported_and_not_touched(w: World) -> None:
    w.traffic.flip(SHOP, 77)
    before = {k: v for k, v in w.everything().items() if k != "releases"}
    touch(w)
    assert {k: v for k, v in w.everything().items() if k != "releases"} == before
    assert any("release 77" in text and "Nothing was changed" in text for text in w.told.warnings)


def test_traffic_that_goes_to_nobody_is_not_called_someones_wish(w: World) -> None:
    w.traffic.flip(SHOP, None)
    touch(w)
    assert (w.active, last(w).kind) == ("v3", "upgrade")


# -- while a deployment was open ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("to", ["v1", "v4"])
def test_a_flip_after_a_crash_at_any_act_decides_and_recovery_does_not_move_it(tmp_path: Path, to: str) -> None:
    acts = 0
    while True:
        (tmp_path / str(acts)).mkdir()
        with world(tmp_path / str(acts)) as w:
            w.edit(keep_warm=3)
            w.upgraded("v1", "v2", "v3")
            if not _dies_upgrading(w, acts):
                break
            _flip_and_look(w, to)
        acts += 1
    assert acts > 20, "the upgrade was never cut short"


def _flip_and_look(w: World, to: str) -> None:
    found = next((r for r in w.ledger.releases(SHOP) if r.version == to), None)
    instance = w.ledger.find_instance(SHOP, InstanceId(found.number)) if found else None
    if instance is None or not instance.routed:
        return  # HAProxy does not know it yet
    flip(w, to)
    switches = len(w.traffic.switches)
    touch(w)
    assert w.serving == w.active == to
    assert to in w.running()
    assert all(one.was == one.now for _, one in w.traffic.switches[switches:])
    assert w.ledger.find_open(SHOP) is None


def _dies_upgrading(w: World, acts: int) -> bool:
    life = Life(acts)
    with suppress(Died):
        upgrade(SHOP, Version("v4"), mortal(w.s, life))
    w.ledger.db.execute("update leases set pid_start = -1")  # its holder is gone
    return life.dead


# -- status ---------------------------------------------------------------------------------------------------------
def test_a_look_at_the_status_takes_a_noted_flip_over(w: World) -> None:
    flip(w, "v2")
    take_over_flips(w.s)
    assert (w.active, last(w).kind) == ("v2", "emergency")
    assert status(w.s, app=SHOP).apps[0].notes == ()


def test_a_look_at_the_status_leaves_an_app_alone_that_someone_changes(w: World) -> None:
    flip(w, "v2")
    held = w.ledger.take_lease(SHOP, holder="x", verb="upgrade", at=w.clock.utc())
    assert isinstance(held, int)
    take_over_flips(w.s)
    assert w.active == "v3"
    assert len(w.traffic.notes()) == 1


def test_a_note_about_an_app_that_is_unknown_harms_nothing(w: World) -> None:
    w.traffic.flip(AppName("other"), None, FlipNote(FLIPPED_AT, AppName("other"), None, 1, "v1", "jo (emergency)"))
    touch(w)
    take_over_flips(w.s)
    assert w.active == "v3"
