"""A copy is whole, checked and its owner's alone; putting one back loses nothing and takes nobody's lease."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.domain.images.release import App, Change
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotFound, Refused
from deployctl.ledger.file import schema
from deployctl.ledger.file.copies import (
    AGES,
    COPY_INTERVAL,
    DAY,
    HOUR,
    NEWEST_KEPT,
    CopyReason,
    copies,
    is_due,
    keep_copy,
    keep_copy_of,
    superfluous,
    write_copy,
)
from deployctl.ledger.file.vault import TOKENS_LOST, Vault
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.usecases.ledger.backup import backup_ledger
from deployctl.usecases.ledger.restore import restore_ledger

NOW = "2026-01-01T00:00:00.000Z"
SHOP, BLOG = AppName("shop"), AppName("blog")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A home's ledger with one app."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(opened(home / "ledger.db")) as ledger:
        ledger.add_app(App(SHOP, "172.30.0.0/26", "172.30.0.1", "n", "b"), at=NOW)
    return home / "ledger.db"


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def vault(path: Path) -> Vault:
    return Vault(path, path.parent, now=NOW)


def add_blog(path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.add_app(App(BLOG, "172.30.1.0/26", "172.30.1.1", "n2", "b2"), at=NOW)


def apps(path: Path) -> list[str]:
    with closing(opened(path)) as ledger:
        return [app.name for app in ledger.apps()]


def forge(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


# -- copies -------------------------------------------------------------------------------------------------------
def test_a_copy_is_one_whole_file_for_its_owner_alone(path: Path, tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        told = backup_ledger(vault(path), tmp_path / "copy.db")
    finally:
        os.umask(former)
    copy = tmp_path / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["copy.db"]
    assert told.extra["size"] == copy.stat().st_size
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("select name from apps").fetchall() == [("shop",)]


def test_a_copy_is_made_while_somebody_writes_and_has_only_what_was_committed(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as writer, closing(opened(path)) as reader, writer.transaction():
        writer.event("test", "not yet", at=NOW, actor="mara")
        write_copy(reader.db.raw, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("select count(*) from events").fetchone() == (0,)


def test_the_three_newest_copies_are_kept_the_oldest_of_an_hour_and_the_one_before_the_last_migration(path: Path) -> None:
    with closing(opened(path)) as ledger:
        first = keep_copy(ledger.db.raw, path, CopyReason.MIGRATION, at="2025-12-31T23:30:00.000Z")
        second = keep_copy(ledger.db.raw, path, CopyReason.MIGRATION, at="2025-12-31T23:40:00.000Z")
        made = [keep_copy(ledger.db.raw, path, CopyReason.PROMOTION, at=NOW) for _ in range(10)]
    assert [copy.path for copy in copies(path)] == [*reversed(made[-NEWEST_KEPT:]), second, first]


def kept_over(days: float, every: float) -> list[float]:
    """Return how old the copies are at the end, when one is made so often, in seconds."""
    ages: list[float] = []
    for _ in range(int(days * DAY / every)):
        ages = [0.0, *(age + every for age in ages)]
        gone = superfluous(ages)
        ages = [age for index, age in enumerate(ages) if index not in gone]
        assert len(ages) <= NEWEST_KEPT + len(AGES) + 1
    return ages


@pytest.mark.parametrize("every", [COPY_INTERVAL, HOUR / 2, 5 * HOUR, DAY, 3 * DAY])
def test_however_often_copies_are_made_some_are_old_and_there_are_few(every: float) -> None:
    ages = kept_over(120, every)
    assert ages[:NEWEST_KEPT] == [0.0, every, 2 * every]
    for young, old in zip((DAY, 7 * DAY), (7 * DAY, 30 * DAY), strict=True):
        assert any(young <= age < old for age in ages), ages
    assert [age for age in ages if age >= 30 * DAY], "one from before the month"
    assert max(ages) < 60 * DAY, "and none that nobody would go back to"


def moved(ledger: SqliteLedger, at: str) -> None:
    ledger.take_over(Change(0, SHOP, "rebuild", None, len(ledger.changes(SHOP)) + 1, at, "mara"), chain=[])


def test_a_copy_is_due_after_a_move_and_not_after_each(path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.keep_copy(at=NOW)
        assert copies(path) == [], "nothing was moved"
        moved(ledger, NOW)
        for second in range(0, 600, 5):
            at = f"2026-01-01T00:{second // 60:02}:{second % 60:02}.000Z"
            ledger.keep_copy(at=at)
            if second < 150:
                moved(ledger, at)
    made = [copy.stamp[9:15] for copy in reversed(copies(path))]
    assert made == ["000000", "000100", "000200", "000300"], "the last moves are in a last one, and then none is due"


def test_a_copy_of_a_time_that_is_yet_to_come_stands_in_nobodys_way(path: Path) -> None:
    with closing(opened(path)) as ledger:
        moved(ledger, NOW)
        keep_copy(ledger.db.raw, path, CopyReason.PROMOTION, at="2030-01-01T00:00:00.000Z")
        assert not is_due(ledger.db.raw, path, at=NOW)
        moved(ledger, NOW)
        assert is_due(ledger.db.raw, path, at=NOW)


def test_the_newest_copy_is_the_last_one_even_when_the_clock_was_set_back(path: Path) -> None:
    keep_copy_of(path, at="2030-01-01T00:00:00.000Z")
    last = keep_copy_of(path, at="2020-01-01T00:00:00.000Z")
    assert copies(path)[0].path == last


def test_what_a_killed_copier_left_is_cleared_away(path: Path) -> None:
    keep_copy_of(path, at=NOW)
    left = path.with_name("backups") / ".ledger-000009-x-promotion.db.1.part"
    left.write_bytes(b"half")
    keep_copy_of(path, at=NOW)
    assert not left.exists()


def test_a_ledger_that_moved_no_traffic_is_not_copied(path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.keep_copy(at=NOW)
    assert copies(path) == []


def test_a_copy_that_cannot_be_written_says_why_and_leaves_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_copy_of(path, at=NOW)
    before = copies(path)
    monkeypatch.setattr(os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DeployctlError, match="No space left"):
        keep_copy_of(path, at=NOW)
    assert copies(path) == before
    assert [p.name for p in path.with_name("backups").iterdir() if "part" in p.name] == []


def test_a_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("mine")
    with pytest.raises(Refused, match="already exists"):
        backup_ledger(vault(path), there)
    assert there.read_text() == "mine"
    with pytest.raises(NotFound, match="no directory"):
        backup_ledger(vault(path), tmp_path / "nowhere" / "copy.db")


# -- restore ------------------------------------------------------------------------------------------------------
@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """A backup of the ledger with one app; meanwhile there are two."""
    made = tmp_path / "copy.db"
    backup_ledger(vault(path), made)
    add_blog(path)
    return made


def restore(path: Path, source: Path, *, force: bool = False) -> dict[str, object]:
    return dict(restore_ledger(vault(path), source, actor="mara", force=force).extra)


def test_a_restored_ledger_is_the_copy_and_the_former_one_is_kept_whole(path: Path, copy: Path) -> None:
    former = Path(str(restore(path, copy)["former"]))
    assert apps(path) == ["shop"]
    assert former.parent == path.parent
    assert "restore-20260101T000000Z" in former.name
    with closing(sqlite3.connect(former)) as db:
        assert db.execute("select name from apps order by name").fetchall() == [("blog",), ("shop",)]
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(opened(path)) as ledger:
        assert ledger.events()[0]["kind"] == "restore"
        assert ledger.find_faults() == []


def test_a_restore_leaves_no_candidate_behind_and_does_not_touch_the_copy(path: Path, copy: Path) -> None:
    before = copy.read_bytes()
    restore(path, copy)
    assert copy.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if "candidate" in p.name] == ["ledger.candidate.lock"]
    assert [p.name for p in copy.parent.iterdir() if p.is_file()] == ["copy.db"]


@pytest.mark.parametrize("lost", ["ledger.db", "ledger.db ledger.id secret"])
def test_a_lost_ledger_is_restored_and_its_secret_with_it(path: Path, copy: Path, lost: str) -> None:
    with closing(opened(path)) as ledger:
        secret = ledger.identity.secret
    for name in lost.split():
        path.with_name(name).unlink()
    if "secret" in lost.split():
        with pytest.raises(Refused, match="a different key"):
            restore(path, copy)
    assert restore(path, copy, force="secret" in lost.split())["former"] is None
    with closing(opened(path)) as ledger:
        assert ledger.identity.secret == secret
    assert path.with_name("secret").read_text().splitlines()[0] == secret.hex()


def test_a_copy_made_by_hand_with_its_log_beside_is_whole(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.add_app(App(BLOG, "172.30.1.0/26", "172.30.1.1", "n2", "b2"), at=NOW)
        for end in ("", "-wal"):
            (tmp_path / f"by-hand.db{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    with closing(opened(path)) as ledger:
        ledger.remove_app(BLOG)
    with pytest.raises(Refused, match="has no checksum"):
        restore(path, tmp_path / "by-hand.db")
    restore(path, tmp_path / "by-hand.db", force=True)
    assert apps(path) == ["blog", "shop"]


def another_home(copy: Path) -> None:
    forge(copy, f"update identity set home = '/srv/other', secret = '{'0f' * 32}', home_id = '{'0f' * 8}'")


def another_host(copy: Path) -> None:
    forge(copy, "update identity set host = 'elsewhere'")


@pytest.mark.parametrize("move", [another_home, another_host])
def test_the_ledger_of_another_home_or_host_is_refused_unless_forced(
    path: Path, copy: Path, move: Callable[[Path], None]
) -> None:
    move(copy)
    with pytest.raises(Refused, match="Nothing was done") as told:
        restore(path, copy)
    assert apps(path) == ["blog", "shop"]
    assert told.value.remedy == [f"deployctl ledger restore {copy} --force"]
    restore(path, copy, force=True)
    assert apps(path) == ["shop"]
    with closing(opened(path)) as ledger:
        assert tuple(ledger.db.execute("select home, host from identity")[0]) == (str(path.parent), socket.gethostname())


def newer(copy: Path) -> None:
    forge(copy, f"pragma user_version = {schema.SCHEMA_VERSION + 1}")


def damaged(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:5000])


def no_ledger(copy: Path) -> None:
    copy.write_text("notes")


@pytest.mark.parametrize("spoil", [newer, damaged, no_ledger])
def test_what_is_no_sound_ledger_of_ours_is_refused_even_by_force(
    path: Path, copy: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(copy)
    with pytest.raises(LedgerUnusable) as told:
        restore(path, copy, force=True)
    assert str(copy) in told.value.message
    assert "candidate" not in told.value.message
    assert apps(path) == ["blog", "shop"]


def test_a_file_that_is_not_there_is_told_as_that(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        restore(path, tmp_path / "nothing.db")


def test_nobody_loses_the_lease_under_his_feet(path: Path, copy: Path) -> None:
    with closing(opened(path)) as ledger:
        token = ledger.take_lease(SHOP, holder="mara", verb="upgrade", at=NOW)
        assert isinstance(token, int)
        with pytest.raises(LeaseHeld, match=r"mara .* is changing shop: upgrade"):
            restore(path, copy)
        assert apps(path) == ["blog", "shop"]
        ledger.give_lease_back(SHOP, token)
    restore(path, copy)
    assert apps(path) == ["shop"]


def test_whoever_still_works_on_the_former_file_is_told_that_his_lease_is_gone(path: Path, copy: Path) -> None:
    with closing(opened(path)) as zombie:
        zombie.take_lease(BLOG, holder="mara", verb="upgrade", at=NOW)
        token = zombie.take_lease(SHOP, holder="mara", verb="upgrade", at=NOW)
        zombie.db.execute("update leases set pid_start = 0")  # it looks dead
        assert isinstance(token, int)
        restore(path, copy)
        assert zombie.lease_is_ours(SHOP, token) is False
        assert [app.name for app in zombie.apps()] == ["shop"], "it still reads the former file"
        other = zombie.take_lease(SHOP, holder="paul", verb="rollback", at=NOW)
        assert isinstance(other, int)
        assert other > token + TOKENS_LOST - 1


def test_what_was_under_way_when_the_copy_was_made_is_not_taken_for_open(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as ledger:
        plan = Plan(SHOP, PlanKind.UPGRADE, None, 1, (), "shop: v1")
        ledger.open_deployment(plan, actor="mara", note="", at=NOW, token=1)
    backup_ledger(vault(path), tmp_path / "open.db")
    restore(path, tmp_path / "open.db")
    with closing(opened(path)) as ledger:
        assert ledger.open_deployments() == []
        (ended,) = ledger.deployments(SHOP)
        assert (ended.phase, ended.error) == (Phase.STUCK, "how it ended is not known: ledger restore")


def test_two_restores_at_once_are_one_after_the_other(path: Path, copy: Path) -> None:
    with (vault(path).from_file(copy, force=False), pytest.raises(LeaseHeld, match="restoring, rebuilding or"),
          vault(path).from_file(copy, force=False)):
        pytest.fail("two candidates")


# -- a file that goes or comes while it is open -------------------------------------------------------------------
def test_a_process_that_has_the_ledger_open_notices_at_its_next_statement_that_it_is_gone(path: Path) -> None:
    with closing(opened(path)) as ledger:
        path.unlink()
        with pytest.raises(LedgerUnusable, match="is gone"):
            ledger.apps()
        with pytest.raises(LedgerUnusable, match="is gone"), ledger.transaction():
            pytest.fail("it began a transaction nowhere")
    assert not path.exists(), "an empty ledger was made in its place"


def test_a_ledger_without_its_marker_is_still_missed_where_there_are_copies_or_routes(path: Path) -> None:
    keep_copy_of(path, at=NOW)
    for name in ("ledger.db", "ledger.id"):
        path.with_name(name).unlink()
    with pytest.raises(LedgerUnusable, match="is gone") as told:
        opened(path)
    assert told.value.remedy[:2] == ["deployctl ledger rebuild", f"deployctl ledger restore {copies(path)[0].path}"]
    for left in path.with_name("backups").iterdir():
        left.unlink()
    path.with_name("backups").rmdir()
    path.with_name("haproxy").mkdir()
    path.with_name("haproxy").joinpath("route.map").write_text("shop 1\n")
    with pytest.raises(LedgerUnusable, match="is gone"):
        opened(path)
