"""What was once recorded cannot change unnoticed: every edit of the history outside deployctl is found, and its row
named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.images.component import Component
from deployctl.domain.images.release import App, Bundle, Change
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import AttentionNeeded, LedgerUnusable, NotFound
from deployctl.ledger.chain import CHAIN_START, link, links
from deployctl.ledger.file import schema
from deployctl.ledger.file.copies import copies
from deployctl.ledger.file.vault import Vault
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.usecases.ledger.verify import verify_ledger

NOW = "2026-01-01T00:00:00.000Z"
SHOP = AppName("shop")
ROW = {"id": 1, "at": NOW, "app": None, "actor": "mara", "kind": "test", "text": "ä", "data": "{}"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two promotions and a hold: four events."""
    with closing(opened(tmp_path)) as ledger:
        ledger.add_app(App(SHOP, "172.30.0.0/26", "172.30.0.1", "n", "b"), at=NOW)
        token = ledger.take_lease(SHOP, holder="mara", verb="upgrade", at=NOW)
        assert isinstance(token, int)
        for number in (1, 2):
            ledger.ensure_release(SHOP, Version(f"v{number}"), (Component(Bundle("a", f"sha256:{number:064x}", 80)),), at=NOW)
            change = Change(0, SHOP, "upgrade", number - 1 or None, number, NOW, "mara", f"why {number}")
            ledger.promote(change, deployment=None, token=token)
            ledger.event("test", f"after {number}", at=NOW, actor="mara", app=SHOP, data={"n": number})
        ledger.give_lease_back(SHOP, token)
    return tmp_path


def opened(home: Path) -> SqliteLedger:
    return SqliteLedger.open(home / "ledger.db", home, now=NOW)


def faults(home: Path) -> list[str]:
    with closing(opened(home)) as ledger:
        return ledger.find_faults()


def forge(home: Path, *statements: str) -> None:
    """Edit the file as somebody would who knows SQLite and not deployctl."""
    with closing(sqlite3.connect(home / "ledger.db")) as db, db:
        for table in ("events", "changes"):
            for verb in ("update", "delete"):
                db.execute(f"drop trigger {table}_no_{verb}")
        for statement in statements:
            db.execute(statement)


def test_a_history_that_nobody_touched_has_no_faults(home: Path) -> None:
    assert faults(home) == []
    told = verify_ledger(Vault(home / "ledger.db", home, now=NOW))
    assert (told.extra["events"], len(str(told.extra["head"]))) == (4, 64)


def test_every_promotion_is_an_event_with_all_that_its_change_says(home: Path) -> None:
    with closing(opened(home)) as ledger:
        event = ledger.events(SHOP)[1]
    assert (event["kind"], event["actor"], event["text"]) == ("promoted", "mara", "upgrade: release 1 → release 2")
    assert event["data"] == {"revision": 2, "kind": "upgrade", "source": 1, "target": 2, "note": "why 2", "switch_ms": 0.0,
                             "held": None, "lifted": None, "deployment": None, "chain": "[1, 2]"}


FORGERIES = {
    "update events set text = 'nothing happened' where id = 2": "event 2 (test",
    "update events set actor = 'root' where id = 1": "event 1 (promoted",
    "update events set at = '2020' where id = 4": "event 4 (test, 2020)",
    "update events set data = '{}' where id = 4": "event 4",
    "update events set hash = null where id = 3": "event 3 (promoted, 2026-01-01T00:00:00.000Z) was added outside the chain",
    "delete from events where id = 2": "event 2 is missing",
    "delete from events where id < 4": "events 1 to 3 are missing",
    "update events set id = 9 where id = 4": "events 4 to 8 are missing",
    "insert into events(at, actor, kind, text, data) values ('x', 'x', 'x', 'x', '{}')": "event 5 (x, x) was added outside",
    "update changes set note = 'innocent' where revision = 2": "revision 2 of shop was altered: note",
    "update changes set target = 1, source = 2 where revision = 2": "was altered: source, target",
    "update changes set actor = 'root' where revision = 1": "revision 1 of shop was altered: actor",
    "delete from changes where revision = 1": "revision 1 of shop is missing from the traffic history",
    "insert into changes(app, revision, kind, at, actor) values ('shop', 3, 'rollback', 'x', 'x')": "has no event",
    "update apps set active = 1": "shop: release 1 is recorded as active, but its last switch was to release 2",
}


@pytest.mark.parametrize(("forgery", "said"), FORGERIES.items(), ids=list(FORGERIES))
def test_a_forgery_is_found_and_its_row_named(home: Path, forgery: str, said: str) -> None:
    forge(home, forgery)
    assert any(said in fault for fault in faults(home)), faults(home)
    with pytest.raises(AttentionNeeded, match="was altered") as told:
        verify_ledger(Vault(home / "ledger.db", home, now=NOW))
    assert any(said in line for line in told.value.details)
    assert told.value.exit_code == 4


def test_one_edited_event_is_one_fault_and_not_all_that_follow(home: Path) -> None:
    forge(home, "update events set text = 'x' where id = 2")
    assert len(faults(home)) == 1


def test_a_history_whose_end_was_cut_off_is_found_by_its_newest_copy(home: Path) -> None:
    with closing(opened(home)) as ledger:
        ledger.promoted = True
        ledger.keep_copy(at=NOW)
    forge(home, "delete from events where id = 4")
    assert faults(home) == []
    with pytest.raises(AttentionNeeded, match="event 4, which the copy"):
        verify_ledger(Vault(home / "ledger.db", home, now=NOW))


def test_verifying_makes_no_ledger_where_none_ever_was_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no ledger yet"):
        verify_ledger(Vault(tmp_path / "ledger.db", tmp_path, now=NOW))
    assert list(tmp_path.iterdir()) == []


def test_each_hash_depends_on_every_field_and_on_the_hash_before() -> None:
    hashes = {link(CHAIN_START, ROW), link("other", ROW), *(link(CHAIN_START, {**ROW, name: "x"}) for name in ROW)}
    assert len(hashes) == len(ROW) + 2


# -- the migration ------------------------------------------------------------------------------------------------
@pytest.fixture
def former_schema(home: Path) -> Path:
    """The same ledger as a deployctl without the chain had it: with events, without those of promotions."""
    forge(home, "delete from events where kind = 'promoted'", "update events set id = id / 2",
          "alter table events drop column hash", "alter table leases drop column beat",
          "alter table releases drop column hold_revision",
          "delete from _sqlite_migrations where name in ('m002_chain', 'm003_hold_revision')",
          "pragma user_version = 1")
    with closing(sqlite3.connect(home / "ledger.db")) as db, db:
        guard_history(db)
        db.execute("pragma user_version = 1")
    return home


def guard_history(db: sqlite3.Connection) -> None:
    """Give back the triggers that `forge` took away."""
    for table in ("events", "changes"):
        for verb in ("update", "delete"):
            db.execute(f"create trigger {table}_no_{verb} before {verb} on {table} begin select raise(abort, 'no'); end")


def test_a_ledger_without_the_chain_gets_one_over_all_that_it_knows_after_a_copy(former_schema: Path) -> None:
    with closing(opened(former_schema)) as ledger:
        kinds = [event["kind"] for event in ledger.events()]
        assert kinds == ["promoted", "promoted", "test", "test"]
        assert ledger.db.execute("pragma user_version")[0][0] == schema.SCHEMA_VERSION
        with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
            ledger.db.execute("update events set text = 'x'")
        ledger.event("test", "goes on", at=NOW, actor="mara")
        assert ledger.find_faults() == []
    (copy,) = copies(former_schema / "ledger.db")
    assert copy.path.name.endswith("-migration.db")
    with closing(sqlite3.connect(copy.path)) as db:
        assert db.execute("pragma user_version").fetchone() == (1,)
        assert db.execute("select count(*) from events").fetchone() == (2,)
    assert (former_schema / "secret").exists()


def test_a_hold_of_a_former_ledger_is_ordered_among_the_changes_by_its_time(home: Path) -> None:
    """Both changes were at the same moment; a hold of that moment was made by one of them."""
    forge(home, "alter table releases drop column hold_revision",
          f"update releases set hold_at = '{NOW}', hold_actor = 'mara', hold_reason = 'x' where number = 1",
          "update releases set hold_at = '2026-01-02T00:00:00.000Z', hold_actor = 'mara', hold_reason = 'y' where number = 2",
          "delete from _sqlite_migrations where name = 'm003_hold_revision'", "pragma user_version = 2")
    with closing(sqlite3.connect(home / "ledger.db")) as db, db:
        guard_history(db)
    with closing(opened(home)) as ledger:
        assert {r.number: r.hold.revision for r in ledger.releases(SHOP) if r.hold} == {1: 0, 2: 2}


def test_a_link_says_nothing_of_fields_that_are_not_linked() -> None:
    assert dict(links([{**ROW, "hash": "x"}])) == dict(links([ROW]))


def test_a_promotion_that_is_refused_leaves_no_event(home: Path) -> None:
    with closing(opened(home)) as ledger:
        before = ledger.count_events()
        lost = replace(ledger.changes(SHOP)[0], revision=0)
        with pytest.raises(Exception, match="taken over"):
            ledger.promote(lost, deployment=None, token=99)
        assert ledger.count_events() == before


def test_a_damaged_page_is_refused_before_anything_is_walked(home: Path) -> None:
    (home / "ledger.db").write_bytes((home / "ledger.db").read_bytes()[:4096])
    with pytest.raises(LedgerUnusable) as told:
        verify_ledger(Vault(home / "ledger.db", home, now=NOW))
    assert "deployctl ledger rebuild" in told.value.remedy


@pytest.mark.parametrize(("name", "kept"), [("deployctl/shop", False), ("img-tiny", False), ("registry.test/shop", True)])
def test_a_source_that_was_only_a_name_of_this_server_is_forgotten(home: Path, name: str, kept: bool) -> None:
    forge(home, f"update releases set bundle = json_set(bundle, '$.repo_digest', '{name}@' || digest)", "drop table pulls",
          "delete from _sqlite_migrations where name = 'm008_image_sources'", "pragma user_version = 7")
    with closing(sqlite3.connect(home / "ledger.db")) as db, db:
        guard_history(db)
    with closing(opened(home)) as ledger:
        for release in ledger.releases(SHOP):
            assert release.bundle.repo_digest == (f"{name}@{release.digest}" if kept else None)
            assert release.bundle.canonical() == ledger.db.execute(
                "select bundle from releases where number = ?", [release.number])[0][0]
