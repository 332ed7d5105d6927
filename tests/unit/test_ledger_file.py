"""Only a sound ledger of this very home is ever opened; whatever else lies there is refused and left as it is."""

from __future__ import annotations

import multiprocessing as mp
import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotPermitted
from deployctl.ledger.file import connection as connections
from deployctl.ledger.file import schema
from deployctl.ledger.sqlite_ledger import SqliteLedger

NOW = "2026-01-01T00:00:00.000Z"
FORK = mp.get_context("fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def filled(path: Path, events: int = 200) -> None:
    ledger = opened(path)
    for number in range(events):
        ledger.event("test", f"event {number} " + "x" * 200, at=NOW, actor="test")
    ledger.close()


def edit(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


# -- files that are refused ---------------------------------------------------------------------------------------
def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("not a database, but somebody's notes\n" * 100)


def somebody_elses(path: Path) -> None:
    edit(path, "create table notes(text)", "insert into notes values ('mine')")


def somebody_elses_with_a_table_of_that_name(path: Path) -> None:
    edit(path, "create table identity(id integer primary key, product, home)",
         f"insert into identity values (1, 'another product', '{path.parent}')")


def without_identity(path: Path) -> None:
    filled(path)
    edit(path, "delete from identity")


def of_another_home(path: Path) -> None:
    elsewhere = path.parent / "other"
    elsewhere.mkdir()
    filled(elsewhere / "ledger.db")
    shutil.copy(elsewhere / "ledger.db", path)


def newer(path: Path) -> None:
    filled(path)
    edit(path, f"pragma user_version = {schema.SCHEMA_VERSION + 1}")


def overwritten(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 64)


def scratched(path: Path) -> None:
    """Damage that SQLite does not stumble over, but finds when it is asked to check."""
    filled(path)
    with sqlite3.connect(path) as db:
        (page,) = db.execute("select rootpage from sqlite_master where name = 'steps'").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + 3)
        file.write(b"\x00\x03")  # three cells where there are none


def cut(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def cut_to_nothing(path: Path) -> None:
    filled(path)
    os.truncate(path, 0)


def link(path: Path) -> None:
    real = path.with_name("real.db")
    filled(real)
    path.symlink_to(real)


UNFIT = [empty, text, somebody_elses, somebody_elses_with_a_table_of_that_name, without_identity, of_another_home,
         newer, overwritten, scratched, cut, cut_to_nothing, link]  # fmt: skip


@pytest.mark.parametrize("spoil", UNFIT, ids=lambda spoil: spoil.__name__)
def test_a_file_that_is_no_sound_ledger_of_this_home_is_refused_and_left_as_it_is(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="was not changed") as refused:
        opened(path)
    assert path.read_bytes() == before
    assert "are not affected" in refused.value.message
    assert refused.value.remedy
    assert refused.value.exit_code == 7


def test_a_ledger_that_is_gone_is_not_taken_for_a_home_without_apps(path: Path) -> None:
    filled(path)
    path.unlink()
    with pytest.raises(LedgerUnusable, match="is gone"):
        opened(path)
    assert not path.exists()


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DeployctlError):
        opened(path)


def test_a_ledger_that_may_not_be_written_is_told_as_that(path: Path) -> None:
    ledger = opened(path)
    ledger.db.raw.execute("pragma query_only = on")
    with pytest.raises(NotPermitted, match="cannot be written"):
        ledger.event("test", "text", at=NOW, actor="test")
    ledger.close()


# -- files that are made ------------------------------------------------------------------------------------------
def test_where_none_ever_was_one_is_made_for_its_owner_alone(path: Path) -> None:
    former = os.umask(0)
    try:
        opened(path).close()
    finally:
        os.umask(former)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not path.with_name("ledger.new").exists()


def test_readers_do_not_wait_for_a_writer(path: Path) -> None:
    writer, reader = opened(path), opened(path)
    with writer.transaction():
        writer.event("test", "not yet", at=NOW, actor="test")
        assert reader.events() == []
    assert len(reader.events()) == 1
    writer.close()
    reader.close()


def test_a_half_made_ledger_of_a_dead_process_is_made_anew(path: Path) -> None:
    path.with_name("ledger.new").write_bytes(b"half of one")
    opened(path).close()
    opened(path).close()


def test_the_version_that_is_checked_is_the_version_that_is_written(path: Path) -> None:
    assert schema.SCHEMA_VERSION == connections.SCHEMA_VERSION
    ledger = opened(path)
    assert ledger.db.execute("pragma user_version")[0][0] == schema.SCHEMA_VERSION
    ledger.close()


def test_every_migration_counts_in_the_version() -> None:
    assert len(schema.schema._migrations) == schema.SCHEMA_VERSION


def test_each_home_has_a_secret_of_its_own_that_stays(path: Path) -> None:
    other = path.parent / "other" / "ledger.db"
    other.parent.mkdir()
    ledgers = [opened(path), opened(path), opened(other)]
    first, again, elsewhere = (ledger.identity.secret for ledger in ledgers)
    assert first == again != elsewhere
    assert len(first) == 32
    for ledger in ledgers:
        ledger.close()


def _open_and_tell(path: Path, start: threading.Barrier, told: mp.SimpleQueue[bytes | str]) -> None:
    start.wait(30)
    try:
        ledger = opened(path)
        told.put(ledger.identity.secret)
    except BaseException as e:
        told.put(repr(e))
        raise


def test_processes_that_create_it_at_once_make_one_ledger(path: Path) -> None:
    for turn in range(5):
        folder = path.parent / f"home{turn}"
        folder.mkdir()
        start, told = FORK.Barrier(4), FORK.SimpleQueue()
        crowd = [FORK.Process(target=_open_and_tell, args=(folder / "ledger.db", start, told)) for _ in range(4)]
        for one in crowd:
            one.start()
        secrets = {told.get() for _ in crowd}
        for one in crowd:
            one.join(30)
        assert [type(secret) for secret in secrets] == [bytes], secrets


# -- transactions -------------------------------------------------------------------------------------------------
def test_what_fails_inside_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    ledger = opened(path)

    def write_and_fail() -> None:
        with ledger.transaction():
            ledger.event("test", "first", at=NOW, actor="test")
            with ledger.transaction():
                ledger.event("test", "second", at=NOW, actor="test")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert ledger.events() == []
    ledger.close()


def test_a_ledger_that_is_locked_for_long_is_told_as_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.05)
    one, other = opened(path), opened(path)
    with one.transaction(), pytest.raises(LeaseHeld, match="locked by another process") as busy, other.transaction():
        pytest.fail("two writers at once")
    assert busy.value.exit_code == 6
    one.close()
    other.close()


def test_a_promotion_is_on_the_disk_before_it_counts(path: Path) -> None:
    ledger = opened(path)
    with ledger.transaction(durable=True):
        assert ledger.db.execute("pragma synchronous")[0][0] == 2
    with ledger.transaction():
        assert ledger.db.execute("pragma synchronous")[0][0] == 1
    ledger.close()


def _fill_until_full(path: Path, told: mp.SimpleQueue[tuple[str, int]]) -> None:
    """Write in a process that may not make a file longer than this one is: what a full disk does."""
    ledger = opened(path)
    ledger.event("test", "there was room", at=NOW, actor="test")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    longest = max(p.stat().st_size for p in path.parent.glob("ledger.db*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))
    try:
        with ledger.transaction(durable=True):
            for _ in range(400):
                ledger.event("test", "x" * 1000, at=NOW, actor="test")
        told.put(("written", 0))
    except DeployctlError as e:
        told.put((e.message, len(ledger.events(limit=1000))))
    except BaseException as e:
        told.put((repr(e), -1))
        raise


def test_a_full_disk_leaves_the_rows_as_they_were(path: Path) -> None:
    opened(path).close()
    told: mp.SimpleQueue[tuple[str, int]] = FORK.SimpleQueue()
    one = FORK.Process(target=_fill_until_full, args=(path, told))
    one.start()
    message, rows = told.get()
    one.join(30)
    assert "are not affected" in message
    assert rows == 1
    ledger = opened(path)
    assert [event["text"] for event in ledger.events()] == ["there was room"]
    ledger.event("test", "there is room again", at=NOW, actor="test")
    ledger.close()
