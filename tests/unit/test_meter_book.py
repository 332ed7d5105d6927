"""The file of points: made late, small, put aside when it is spoilt; nothing about it ever stops anything."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deployctl import stdlib
from deployctl.domain.inputs.names import AppName
from deployctl.ledger import metrics_store
from deployctl.ledger.metrics_store import KEPT_SECONDS, SqliteMetricsStore
from deployctl.ports.metrics import Point

SHOP = AppName("shop")
NOW = 1_800_000_000


class Home:
    def __init__(self, folder: Path) -> None:
        self.file, self.warnings = folder / "metrics.db", list[str]()
        self.book = self.open()

    def open(self) -> SqliteMetricsStore:
        return SqliteMetricsStore(self.file, warn=self.warnings.append)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.book.close()


def point(at: int, *, release: int = 1, requests: int = 300, app: AppName = SHOP) -> Point:
    return Point(app, release, at, 10, requests, answers_2xx=requests - 1, answers_5xx=1, response_ms=17.5)


def files(home: Home) -> set[str]:
    return {path.name for path in home.file.parent.iterdir()}


def test_reading_makes_no_file(home: Home) -> None:
    home.book.points(SHOP)
    home.book.busy(SHOP, 1, until=NOW, seconds=300)
    home.book.forget(before=NOW)
    home.book.forget_app(SHOP)
    assert files(home) == set()


def test_reading_without_the_file_is_one_stat(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, stat = list[object](), os.stat

    def counted(path: object, **more: object) -> os.stat_result:
        asked.append(path)
        return stat(path, **more)  # type: ignore[arg-type]  # whatever it was asked for

    monkeypatch.setattr(os, "stat", counted)
    monkeypatch.setattr(stdlib.sqlite3, "connect", lambda *words, **more: pytest.fail("nothing is opened"))
    assert home.book.points(SHOP) == []
    assert asked == [home.file]


def test_only_its_owner_may_read_the_file(home: Home) -> None:
    home.book.add([point(NOW)])
    assert home.file.stat().st_mode & 0o777 == 0o600


def test_another_process_reads_while_one_writes(home: Home) -> None:
    home.book.add([point(NOW)])
    reader = home.open()
    home.book.add([point(NOW + 10)])
    assert [p.at for p in reader.points(SHOP)] == [NOW, NOW + 10]
    reader.close()


def test_after_the_writer_has_ended_the_file_is_read_as_before(home: Home) -> None:
    home.book.add([point(NOW)])
    home.book.close()
    assert files(home) == {"metrics.db"}
    reader = home.open()
    assert len(reader.points(SHOP)) == 1
    reader.close()
    assert files(home) == {"metrics.db"}


def test_a_day_is_kept_and_what_is_older_goes(home: Home) -> None:
    home.book.add([point(NOW - KEPT_SECONDS - 10), point(NOW - KEPT_SECONDS), point(NOW - KEPT_SECONDS + 60)])
    home.book.add([point(NOW)])
    assert [p.at for p in home.book.points(SHOP)] == [NOW - KEPT_SECONDS + 60, NOW]


def test_what_a_wrong_clock_put_into_the_future_goes_when_the_clock_is_right(home: Home) -> None:
    home.book.add([point(NOW + 10**7)])
    home.book.add([point(NOW)])
    assert [p.at for p in home.book.points(SHOP)] == [NOW]


def test_after_two_hours_there_is_one_point_for_each_minute_with_the_same_sums(home: Home) -> None:
    minute = NOW // 60 * 60 - 7200
    slow = Point(SHOP, 1, minute, 10, 100, answers_2xx=90, answers_5xx=10, response_ms=100.0)
    idle = Point(SHOP, 1, minute - 10, 10)
    home.book.add([point(minute - 50), point(minute - 40), idle, slow, point(minute + 10)])
    home.book.add([point(NOW)])
    coarse, *fine = home.book.points(SHOP)
    assert coarse == Point(SHOP, 1, minute, 40, 700, 688, 0, 0, 12, 0, response_ms=29.3)
    assert [(p.at, p.seconds) for p in fine] == [(minute + 10, 10), (NOW, 10)]


def test_a_minute_that_is_coarse_stays_as_it_is(home: Home) -> None:
    minute = NOW // 60 * 60 - 7200
    home.book.add([point(minute - 10), point(minute)])
    home.book.add([point(NOW)])
    again = home.open()  # another process does not know what was made coarse already
    again.add([point(NOW + 600)])
    assert home.book.points(SHOP)[0].requests == 600
    again.close()


def test_a_day_of_one_release_is_small(home: Home) -> None:
    """A release that serves from morning to morning, and one beside it that is asked now and then."""
    begun = NOW // 600 * 600
    for at in range(begun, begun + KEPT_SECONDS + 7200, 600):
        home.book.add([point(at + second, requests=300 + second) for second in range(10, 610, 10)])
    rows = home.book.points(SHOP)
    assert 1900 < len(rows) < 2200
    assert home.file.with_name("metrics.db-wal").stat().st_size < 400_000
    home.book.close()
    assert home.file.stat().st_size < 170_000


@pytest.mark.parametrize("text", [b"this is no database, " * 300, b"short"], ids=["prose", "short"])
def test_a_file_that_is_no_database_is_put_aside_and_begun_anew(home: Home, text: bytes) -> None:
    home.file.write_bytes(text)
    assert home.book.points(SHOP) == []
    assert home.file.read_bytes() == text
    home.book.add([point(NOW)])
    assert [p.at for p in home.book.points(SHOP)] == [NOW]
    assert home.file.with_name("metrics.db.aside").read_bytes() == text
    assert len(home.warnings) == 1
    assert "metrics.db.aside" in home.warnings[0]


def test_a_database_of_others_is_put_aside_whole(home: Home) -> None:
    with closing(sqlite3.connect(home.file)) as db:
        db.execute("create table points (app text)")
        db.commit()
    assert home.book.points(SHOP) == []
    home.book.add([point(NOW)])
    assert len(home.book.points(SHOP)) == 1
    with closing(sqlite3.connect(home.file.with_name("metrics.db.aside"))) as db:
        assert db.execute("select count(*) from points").fetchone() == (0,)


def test_a_file_that_is_damaged_inside_is_begun_anew(home: Home) -> None:
    home.book.add([point(NOW + at) for at in range(0, 20_000, 10)])
    home.book.close()
    whole = bytearray(home.file.read_bytes())
    whole[4096:] = b"\xa5" * (len(whole) - 4096)
    home.file.write_bytes(whole)
    assert home.book.points(SHOP) == []
    home.book.add([point(NOW)])
    assert len(home.book.points(SHOP)) == 1
    assert len(home.warnings) == 1


def test_a_file_that_was_taken_away_or_replaced_is_not_written_to_any_more(home: Home, tmp_path: Path) -> None:
    home.book.add([point(NOW)])
    reader = home.open()
    assert len(reader.points(SHOP)) == 1
    home.file.unlink()
    assert reader.points(SHOP) == []
    home.book.add([point(NOW + 10)])
    assert [p.at for p in reader.points(SHOP)] == [NOW + 10]
    reader.close()


def test_a_full_disk_loses_points_and_says_so_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.book.add([point(NOW)])
    monkeypatch.setattr(metrics_store, "disk_is_full", lambda folder: True)
    home.book.add([point(NOW + 10)])
    home.book.add([point(NOW + 20)])
    assert [p.at for p in home.book.points(SHOP)] == [NOW]
    assert len(home.warnings) == 1
    monkeypatch.undo()
    home.book.add([point(NOW + 30)])
    assert [p.at for p in home.book.points(SHOP)] == [NOW, NOW + 30]


def test_what_the_disk_refuses_in_the_midst_of_it_is_lost_whole(home: Home) -> None:
    home.book.add([point(NOW)])
    assert home.book._db is not None
    home.book._db.execute("pragma max_page_count = 3")
    many = [point(NOW + 10 * n) for n in range(1, 700)]
    home.book.add(many)
    assert [p.at for p in home.book.points(SHOP)] == [NOW]
    assert len(home.warnings) == 1
    assert "full" in home.warnings[0]
    home.book.add(many)
    assert len(home.book.points(SHOP)) == 700


def _no_folder(home: Home) -> None:
    shutil.rmtree(home.file.parent)


def _a_folder(home: Home) -> None:
    home.file.mkdir()


def _locked(home: Home) -> None:
    home.book.add([point(NOW - 10)])
    db = sqlite3.connect(home.file, isolation_level=None, check_same_thread=False)
    db.execute("begin immediate")
    home.keeper = db  # type: ignore[attr-defined]  # it must live as long as the test


@pytest.mark.parametrize("spoil", [_no_folder, _a_folder, _locked])
def test_what_cannot_be_written_is_lost_and_stops_nothing(home: Home, spoil: Callable[[Home], None],
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_store, "METRICS_BUSY_SECONDS", 0.05)
    spoil(home)
    home.book.add([point(NOW)])
    home.book.forget(before=NOW)
    assert NOW not in [p.at for p in home.book.points(SHOP)]
    assert len(home.warnings) == 1
    if keeper := getattr(home, "keeper", None):
        keeper.close()


def test_the_mark_of_a_file_that_is_not_whole_is_not_trusted(home: Home) -> None:
    home.file.touch()
    home.book.add([point(NOW)])
    assert len(home.book.points(SHOP)) == 1
    assert home.warnings == []
