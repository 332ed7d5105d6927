"""Opening the ledger costs the same whatever it remembers; every page is looked at where something may have gone wrong."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deployctl.cli.daily_check import DailyCheck, verify_command
from deployctl.errors import LedgerUnusable
from deployctl.ledger.file import checked
from deployctl.ledger.sqlite_ledger import SqliteLedger
from tests.unit.cli_world import shop

NOW = "2026-01-01T00:00:00.000Z"
FORK = mp.get_context("fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of some megabytes that was closed cleanly."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    with ledger.transaction():
        for number in range(3000):
            ledger.event("test", f"event {number} " + "x" * 500, at=NOW, actor="test")
    ledger.close()
    return path


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def bytes_read(act: Callable[[], object]) -> int:
    """Return how many bytes this process reads while it acts, by proc(5)."""
    before = _read_so_far()
    act()
    return _read_so_far() - before


def _read_so_far() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


UNKNOWN_KIND = (0, b"\xa5")  # of page: SQLite stumbles over it
MISSING_CELLS = (3, b"\x00\x03")  # three where there are none: SQLite finds it only when it is asked to check


def scratch(path: Path, harm: tuple[int, bytes] = UNKNOWN_KIND) -> None:
    """Damage a page that only a look at a deployment's steps reads, and leave size and time as they were."""
    at, text = harm
    with sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True) as db:
        (page,) = db.execute("select rootpage from sqlite_master where type = 'index' and tbl_name = 'steps'").fetchone()
    db.close()
    before = path.stat()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + at)
        file.write(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def killed_with_the_ledger_open(path: Path) -> None:
    def work() -> None:
        opened(path).event("test", "the last one", at=NOW, actor="test")
        os.kill(os.getpid(), signal.SIGKILL)

    child = FORK.Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert path.with_name("ledger.db-wal").exists()


def test_opening_reads_little_of_a_ledger_that_was_closed_cleanly(path: Path) -> None:
    opened(path).close()
    read = bytes_read(lambda: opened(path).close())
    assert read < path.stat().st_size / 10


def test_opening_reads_little_while_another_process_has_it_open(path: Path) -> None:
    with_it = opened(path)
    with_it.event("test", "one more", at=NOW, actor="test")
    read = bytes_read(lambda: opened(path).close())
    with_it.close()
    assert read < path.stat().st_size / 10


def test_after_a_process_was_killed_every_page_is_looked_at_once(path: Path) -> None:
    killed_with_the_ledger_open(path)
    assert bytes_read(lambda: opened(path).close()) > path.stat().st_size / 2
    assert bytes_read(lambda: opened(path).close()) < path.stat().st_size / 10


def test_damage_that_a_killed_process_leaves_is_refused_and_stays_refused(path: Path) -> None:
    killed_with_the_ledger_open(path)
    scratch(path)
    for _ in range(2):
        with pytest.raises(LedgerUnusable, match="trustworthy") as refused:
            opened(path)
        assert refused.value.exit_code == 7
        assert "deployctl ledger rebuild" in refused.value.remedy


def test_a_file_that_looks_otherwise_than_it_was_left_is_looked_at_whole(path: Path) -> None:
    scratch(path)
    os.utime(path)
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        opened(path)


def test_a_file_that_was_put_in_its_place_is_looked_at_whole(path: Path, tmp_path: Path) -> None:
    beside = tmp_path / "another.db"
    beside.write_bytes(path.read_bytes())
    scratch(beside)
    before = path.stat()
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(path)
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        opened(path)


def test_a_damaged_page_that_is_read_is_told_and_whoever_opens_the_ledger_next_refuses_it(path: Path) -> None:
    first = opened(path)
    first.event("test", "one more", at=NOW, actor="test")
    scratch(path)
    second = opened(path)  # which reads nothing of that page
    with pytest.raises(LedgerUnusable, match="trustworthy") as refused:
        second.steps(1)
    assert refused.value.exit_code == 7
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        opened(path)
    second.close()
    first.close()
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        opened(path)


def test_damage_that_the_whole_check_finds_is_not_trusted_after_a_clean_end(path: Path) -> None:
    ledger = opened(path)
    scratch(path, MISSING_CELLS)
    assert ledger.damages()
    ledger.close()
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        opened(path)


def test_a_mark_that_is_nonsense_or_missing_means_a_look_at_every_page(path: Path) -> None:
    for spoil in (lambda mark: mark.write_bytes(b"\xff\xfe"), Path.unlink, lambda mark: mark.write_text("")):
        spoil(path.with_name("ledger.db.checked"))
        assert not checked.is_as_left(path)
        opened(path).close()
        assert checked.is_as_left(path)


# -- who looks at it whole ------------------------------------------------------------------------------------------
def said_by_daily_check(command: list[str]) -> list[str]:
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    check = DailyCheck(command, say, first=0.0)
    check.start()
    heard.wait(30)
    check.stop()
    return said


def test_serve_looks_at_the_whole_ledger_and_says_what_is_damaged(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config/server.toml").touch()
    (home / "state").mkdir()
    SqliteLedger.open(home / "state/ledger.db", home, now=NOW).close()
    scratch(home / "state/ledger.db", MISSING_CELLS)
    (said,) = said_by_daily_check(verify_command(home))
    assert "was altered" in said
    assert "deployctl status" in said


def test_a_daily_check_that_cannot_be_made_is_told_too(tmp_path: Path) -> None:
    (said,) = said_by_daily_check([str(tmp_path / "no such program")])
    assert "could not start" in said
    (said,) = said_by_daily_check([sys.executable, "-c", "raise SystemExit(3)"])
    assert "deployctl ledger verify" in said


def test_doctor_looks_at_every_page(tmp_path: Path) -> None:
    with shop(tmp_path, "v1", "v2") as home:
        assert home.deployctl("doctor").code == 0
        scratch(home.settings.ledger, MISSING_CELLS)
        assert home.deployctl("status").code == 0  # which reads nothing of that page
        said = home.deployctl("doctor")
        assert said.code == 1
        assert "deployctl ledger verify" in said.out
        assert home.deployctl("status").code == 7  # it is known now


def test_what_stands_in_the_file_calls_no_function_that_could_do_harm(path: Path) -> None:
    called: list[str] = []
    with closing(opened(path)) as ledger:
        ledger.db.raw.create_function("harm", 0, lambda: called.append("once"))
        ledger.db.execute("create trigger foreign_one after delete on users begin select harm(); end")
        ledger.db.execute("insert into users(name, roles, created_at, created_by) values ('mara', '{}', '', '')")
        with pytest.raises(LedgerUnusable, match="unsafe use of harm"):
            ledger.db.execute("delete from users")
    assert not called
