"""What is long past is folded into checkpoints: the chain goes on over them, and none of them hides anything."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.folding import BATCH, FOLDABLE, PLANS_AFTER, REFUSALS_AFTER, REFUSALS_KEPT, REFUSALS_SLACK
from deployctl.errors import AttentionNeeded
from deployctl.ledger.file import own_schema
from deployctl.ledger.file.connection import SCHEMA_VERSION
from deployctl.ledger.file.copies import keep_copy_of
from deployctl.ledger.file.vault import Vault
from deployctl.usecases import views
from deployctl.usecases.ledger.fold import fold
from deployctl.usecases.ledger.verify import verify_ledger
from deployctl.usecases.view.audit import audit
from deployctl.usecases.view.status import status
from deployctl.watch.watch import Watch
from tests.unit.world import SHOP, World, world

DAY = 86_400.0
ROLES = ("active", "standby")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """Three upgrades and a rollback, and refused changes before, between and after them."""
    with world(tmp_path) as made:
        refuse(made, 2)
        for version in ("v1", "v2", "v3"):
            made.upgrade(version)
            refuse(made, 3)
        made.rollback()
        refuse(made, 4)
        yield made


def refuse(w: World, count: int) -> None:
    for _ in range(count):
        w.clock.sleep(60)
        w.ledger.event("refused", "hold was refused", at=w.clock.utc(), actor="reader (web)", data={"count": 10})


def rows(w: World, sql: str) -> list[Any]:
    return [tuple(row) if len(row) > 1 else row[0] for row in w.ledger.db.execute(sql)]


def forge(w: World, *statements: str) -> None:
    """Edit the file as somebody would who knows SQLite and not deployctl."""
    with closing(sqlite3.connect(w.home / "ledger.db")) as db, db:
        for verb in ("update", "delete"):
            db.execute(f"drop trigger events_no_{verb}")
        for statement in statements:
            db.execute(statement)


def vault(w: World) -> Vault:
    return Vault(w.home / "ledger.db", w.home, now=w.clock.utc())


# -- what is folded ---------------------------------------------------------------------------------------------------
def test_old_refusals_become_one_line_that_tells_how_many_and_the_chain_verifies(w: World) -> None:
    before, told = w.ledger.count_events(), [line for line in audit(w.s, limit=500) if line.what != "denied"]
    w.clock.sleep(REFUSALS_AFTER + 2 * DAY)
    folded = fold(w.s)
    assert (folded.refusals, folded.plans) == (15, 0)
    assert w.ledger.count_events() == before - 15 + 1
    first, *others = audit(w.s, limit=500)
    assert (first.what, first.summary.partition(" from ")[0]) == ("checkpoint", "15 lines of denied changes, 150 attempts")
    assert others == told
    assert w.ledger.find_faults() == []
    verify_ledger(vault(w))


def test_what_is_told_after_a_checkpoint_is_linked_to_it_and_folded_in_turn(w: World) -> None:
    for _ in range(3):
        w.clock.sleep(REFUSALS_AFTER + 2 * DAY)
        fold(w.s)
        refuse(w, 2)
        w.undo()
        w.undo()
        refuse(w, 2)
    assert len([line for line in audit(w.s, kind="checkpoint") if "denied" in line.summary]) == 3
    assert w.ledger.find_faults() == []


def test_plans_and_befores_of_what_was_closed_long_ago_go_and_undo_still_works(w: World) -> None:
    before = views.as_json(status(w.s, app=SHOP))["apps"][0]
    assert "" not in rows(w, "select plan from deployments")
    w.clock.sleep(PLANS_AFTER + 2 * DAY)
    folded = fold(w.s)
    assert folded.plans == 4
    assert folded.bytes > 1000
    assert rows(w, "select distinct plan, before from deployments") == [("", None)]
    assert w.ledger.find_faults() == []
    after = views.as_json(status(w.s, app=SHOP))["apps"][0]
    assert [after[role]["version"] for role in ROLES] == [before[role]["version"] for role in ROLES] == ["v2", "v3"]
    assert w.undo().target == "v3"
    assert w.undo().target == "v2"
    assert w.rollback().target == "v1"
    assert w.ledger.find_faults() == []


def test_what_was_closed_lately_or_is_open_keeps_its_plan(w: World) -> None:
    w.clock.sleep(PLANS_AFTER - 2 * DAY)
    assert not fold(w.s).plans
    w.clock.sleep(4 * DAY)
    w.upgrade("v4")
    w.ledger.db.execute("update deployments set finished_at = null, outcome = null where id = 1")
    assert fold(w.s).plans == 3
    assert rows(w, "select id from deployments where plan != '' order by id") == [1, 5]


def test_there_are_never_many_more_refusals_than_are_kept_however_young(w: World) -> None:
    with w.ledger.transaction():
        refuse(w, REFUSALS_KEPT + REFUSALS_SLACK - 15)
        assert not w.ledger.fold_refusals(before="", at=w.clock.utc(), actor="x"), "not for a few"
        refuse(w, 1)
    newest = rows(w, "select max(id) from events where kind = 'refused'")
    assert fold(w.s).refusals == REFUSALS_SLACK + 1
    assert rows(w, "select count(*) from events where kind = 'refused'") == [REFUSALS_KEPT]
    assert rows(w, "select max(id) from events where kind = 'refused'") == newest
    assert w.ledger.find_faults() == []


def test_nobody_pushes_out_what_others_tried(w: World) -> None:
    """mara was tried at night; a reader then makes as many lines as they can, while somebody else is refused now and then."""
    with w.ledger.transaction():
        for n in range(3):
            w.clock.sleep(60)
            w.ledger.event("sign_in_refused", "an attempt to sign in as mara was refused", at=w.clock.utc(),
                           actor="nobody (web)", data={"count": 30 + n})
        for _ in range(20):
            refuse(w, REFUSALS_KEPT // 10)
            w.ledger.event("refused", "undo was refused", at=w.clock.utc(), actor="jonas (web)", data={"count": 1})
    assert fold(w.s).refusals
    assert rows(w, "select count(*) from events where kind = 'sign_in_refused'") == [3]
    assert rows(w, "select count(*) from events where actor = 'jonas (web)' and kind = 'refused'") == [20]
    assert len(rows(w, "select id from events where kind in ('refused', 'sign_in_refused')")) <= REFUSALS_KEPT + REFUSALS_SLACK
    refuse(w, REFUSALS_SLACK + REFUSALS_KEPT)
    assert fold(w.s).refusals
    assert rows(w, "select count(*) from events where kind = 'sign_in_refused'") == [3]
    assert w.ledger.find_faults() == []


def test_a_long_past_is_folded_in_batches(w: World) -> None:
    with w.ledger.transaction():
        refuse(w, 2 * BATCH)
    w.clock.sleep(REFUSALS_AFTER + 2 * DAY)
    assert fold(w.s).refusals == 2 * BATCH + 15
    assert len(audit(w.s, kind="checkpoint")) == 3
    assert w.ledger.find_faults() == []


def test_folding_twice_changes_nothing(w: World) -> None:
    w.clock.sleep(PLANS_AFTER + 2 * DAY)
    assert fold(w.s)
    events = w.ledger.count_events()
    assert not fold(w.s)
    assert w.ledger.count_events() == events


def test_the_watcher_folds(w: World) -> None:
    w.clock.sleep(PLANS_AFTER + 2 * DAY)
    Watch(w.s).tick(set())
    assert rows(w, "select count(*) from deployments where plan != ''") == [0]


def test_a_copy_whose_last_event_is_folded_now_is_no_sign_that_the_end_was_cut_off(w: World) -> None:
    keep_copy_of(w.home / "ledger.db", at=w.clock.utc())
    w.clock.sleep(REFUSALS_AFTER + 2 * DAY)
    fold(w.s)
    verify_ledger(vault(w))


# -- what must not be hidden ------------------------------------------------------------------------------------------
@pytest.fixture
def folded(w: World) -> World:
    w.clock.sleep(PLANS_AFTER + 2 * DAY)
    fold(w.s)
    return w


CHECKPOINTS = "(select max(id) from events where kind = 'checkpoint' and data like '%\"events\"%')"
FORGERIES = {
    f"update events set data = replace(data, '150', '1') where id = {CHECKPOINTS}": "(checkpoint, 2026",
    f"update events set data = '{{' where id = {CHECKPOINTS}": "are missing",
    f"update events set text = 'nothing' where id = {CHECKPOINTS}": "(checkpoint, 2026",
    f"delete from events where id = {CHECKPOINTS}": "are missing",
    "delete from events where kind = 'promoted' and id < 5": "has no event",
    "update events set text = 'x' where kind = 'promoted' and id < 5": "was altered",
    "update deployments set plan = '{}' where id = 2": "the plan of deployment 2 was replaced by a checkpoint, but another",
    "insert into deployments(app, kind, phase, plan, actor, started_at, token, finished_at) "
    "values ('shop', 'upgrade', 'x', '', 'x', 'x', 1, 'x')": "the plan of deployment 5 is missing, and no checkpoint",
}


@pytest.mark.parametrize(("forgery", "said"), FORGERIES.items(), ids=list(FORGERIES))
def test_an_altered_checkpoint_and_what_hides_behind_one_are_found(folded: World, forgery: str, said: str) -> None:
    assert folded.ledger.find_faults() == []
    forge(folded, forgery)
    faults = folded.ledger.find_faults()
    assert any(said in fault for fault in faults), faults
    with pytest.raises(AttentionNeeded):
        verify_ledger(vault(folded))


def test_a_checkpoint_that_claims_more_than_it_replaced_is_found(folded: World) -> None:
    """Who takes an event away and widens the gap beside it has to alter the checkpoint, which is in the chain."""
    event, data = rows(folded, f"select id, data from events where id = {CHECKPOINTS}")[0]
    told = json.loads(data)
    told["spans"][0][1] += 1
    forge(folded, f"delete from events where id = {told['spans'][0][1]}",
          f"update events set data = '{json.dumps(told)}' where id = {event}")
    assert folded.ledger.find_faults() != []


def test_a_refusal_that_was_altered_is_never_folded(w: World) -> None:
    forge(w, "update events set actor = 'somebody else (web)' where id = 1")
    w.clock.sleep(REFUSALS_AFTER + 2 * DAY)
    fold(w.s)
    assert rows(w, "select id from events where kind = 'refused'") == [1, 2], "nor what is linked to it"
    assert ["event 1 (refused" in fault for fault in w.ledger.find_faults()] == [True]


@pytest.mark.parametrize("kind", ["promoted", "checkpoint", "user_role", "ended"])
def test_nothing_that_moves_traffic_or_rights_can_be_taken_away(w: World, kind: str) -> None:
    w.ledger.event(kind, "x", at=w.clock.utc(), actor="x", data={"kind": "x"})
    with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        w.ledger.db.execute("delete from events where kind = ?", [kind])


def test_the_ledger_lets_exactly_those_kinds_be_taken_away_that_are_folded() -> None:
    words = next(words for _, name, _, words in own_schema.entries_at(SCHEMA_VERSION) if name == "events_no_delete")
    kinds = words[words.index("in") + 1:words.index("begin")]
    assert {word.strip("'") for word in kinds if word.startswith("'")} == set(FOLDABLE)
