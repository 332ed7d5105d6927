"""The metrics samples of a home in state/metrics.db: a file of its own, so that the ledger is not written every ten
seconds.

Losing samples is always acceptable, so nothing here raises. What cannot be written is lost and reported once; a file
that is damaged or not ours is renamed and replaced by an empty one. Reading creates nothing: without the file it is one
stat. It stays small: ten-second samples for two hours, then one a minute, for a day: about 2,000 rows and 115 KB for
each live release (tests/unit/test_meter_book.py), and a write-ahead log of less than 1 MB.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from deployctl.dataclass import astuple
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Point
from deployctl.ledger.file.reserve import disk_is_full
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT_SECONDS = 24 * 3600  # seconds
FINE = 2 * 3600  # seconds that ten-second samples are kept
MINUTE_SECONDS = 60
TIDY = 600  # seconds between two clean-ups
METRICS_BUSY_SECONDS = 1.0
APPLICATION_ID = 0x64636D74  # application_id, "dcmt"
METRICS_SCHEMA_VERSION = 1
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_COLUMNS = ("app, release, at, seconds, requests, answers_2xx, answers_3xx, answers_4xx, answers_5xx, failed,"
            " response_ms")
_SCHEMA = f"""
create table points (app text, release int, at int, seconds int, requests int, answers_2xx int, answers_3xx int,
  answers_4xx int, answers_5xx int, failed int, response_ms real, primary key (at, app, release)) without rowid;
pragma application_id = {APPLICATION_ID};
pragma user_version = {METRICS_SCHEMA_VERSION};
"""
_TO_MINUTES = f"""insert or replace into points({_COLUMNS})
  select app, release, (at + 59) / 60 * 60, sum(seconds), sum(requests), sum(answers_2xx), sum(answers_3xx),
    sum(answers_4xx), sum(answers_5xx), sum(failed),
    round(sum(response_ms * requests) / sum(case when response_ms is not null then requests end), 1)
  from points where at > ? and at <= ? group by app, release, (at + 59) / 60"""  # noqa: S608 - our own words


class _Foreign(Exception):
    """The file is intact, and not ours."""


class SqliteMetricsStore:
    """One connection, used by one thread at a time; any number of processes may read while one writes."""

    def __init__(self, path: Path, *, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file is open
        self._troubled = False  # reported already
        self._tidied = 0  # up to when samples were merged, unix seconds

    # -- reading --------------------------------------------------------------------------------------------------
    def points(self, app: AppName, *, since: float = 0) -> list[Point]:
        return self._read("at > ? and app = ? order by at, release", since, app)

    def busy(self, app: AppName, release: int, *, until: float, seconds: int) -> list[Point]:
        condition = "at <= ? and app = ? and release = ? and requests > 0 order by at desc limit ?"
        found, covered = [], 0
        for point in self._read(condition, until, app, release, seconds // 10):
            if covered < seconds:
                found.append(point)
            covered += point.seconds
        return found[::-1]

    def _read(self, condition: str, *values: Any) -> list[Point]:
        try:
            db = self._open()
            if db is None:
                return []
            rows = db.execute(f"select {_COLUMNS} from points where {condition}", values)  # noqa: S608 - our own words
            return [Point(AppName(app), *counts) for app, *counts in rows]
        except (sqlite3.Error, OSError, _Foreign):
            self.close()
            return []

    # -- writing --------------------------------------------------------------------------------------------------
    def add(self, points: Sequence[Point]) -> None:
        if points:
            self._try(lambda db: self._write(db, points))

    def forget(self, *, before: float) -> None:
        if self._path.exists():
            self._try(lambda db: db.execute("delete from points where at < ?", [before]))

    def forget_app(self, app: AppName) -> None:
        if self._path.exists():
            self._try(lambda db: db.execute("delete from points where app = ?", [app]))

    def _write(self, db: sqlite3.Connection, points: Sequence[Point]) -> None:
        marks = ", ".join("?" * len(_COLUMNS.split(",")))
        db.executemany(f"insert or replace into points({_COLUMNS}) values ({marks})", map(astuple, points))  # noqa: S608
        newest = max(point.at for point in points)
        if not 0 <= newest - FINE - self._tidied < TIDY:
            self._tidy(db, newest)

    def _tidy(self, db: sqlite3.Connection, newest: int) -> None:
        """Delete what is a day old, and what a wrong clock has put into the future; merge earlier samples."""
        db.execute("delete from points where at <= ? or at > ?", [newest - KEPT_SECONDS, newest + TIDY])
        until = (newest - FINE) // MINUTE_SECONDS * MINUTE_SECONDS
        span = [self._tidied if self._tidied < until else 0, until]
        db.execute(_TO_MINUTES, span)
        db.execute("delete from points where at > ? and at <= ? and at % 60 <> 0", span)
        self._tidied = until

    def _try(self, write: Callable[[sqlite3.Connection], object]) -> None:
        """Write in one transaction, to a new file if this one is unusable. What fails then is lost."""
        try:
            try:
                self._commit(write)
            except (sqlite3.DatabaseError, _Foreign) as e:
                if not _is_spoilt(e):
                    raise
                self._put_aside()
                self._commit(write)
            self._troubled = False
        except (sqlite3.Error, OSError, _Foreign) as e:
            self.close()
            self._say(f"cannot store metrics in {self._path} ({e}): charts have a gap. Nothing else is affected.")

    def _commit(self, write: Callable[[sqlite3.Connection], object]) -> None:
        if disk_is_full(self._path.parent):
            raise OSError("the disk is full")
        db = self._open(make=True)
        if db is not None:
            db.execute("begin immediate")
            try:
                write(db)
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("rollback")
                raise
            db.execute("commit")

    def _say(self, text: str) -> None:
        if not self._troubled:
            self._warn(text)
        self._troubled = True

    # -- the file -------------------------------------------------------------------------------------------------
    def _open(self, *, make: bool = False) -> sqlite3.Connection | None:
        """Return the connection to the file that has the name now; None if there is none and none is to be created."""
        try:
            found = os.stat(self._path)  # noqa: PTH116  at every reading: Path.stat takes twice as long
        except FileNotFoundError:
            self.close()
            if not make:
                return None
            self._path.touch(mode=0o600)
            found = self._path.stat()
        if self._db is None or self._file != (found.st_dev, found.st_ino):
            self.close()
            self._db, self._file = self._connect(make=make), (found.st_dev, found.st_ino)
        return self._db

    def _connect(self, *, make: bool) -> sqlite3.Connection:
        db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=METRICS_BUSY_SECONDS,
                             isolation_level=None, check_same_thread=False)
        try:
            if make and self._path.stat().st_size == 0:
                db.execute("pragma journal_mode = wal")
                db.executescript(f"begin immediate;{_SCHEMA}commit;")
            db.execute("pragma synchronous = normal")
            db.execute("pragma wal_autocheckpoint = 64")
            if _mark(db) != (APPLICATION_ID, METRICS_SCHEMA_VERSION):
                raise _Foreign("it is not deployctl's")
        except BaseException:
            db.close()
            raise
        return db

    def _put_aside(self) -> None:
        self.close()
        aside = self._path.with_name(f"{self._path.name}.aside")
        self._path.replace(aside)
        for tail in ("-wal", "-shm"):
            self._path.with_name(self._path.name + tail).unlink(missing_ok=True)
        self._tidied = 0
        self._warn(f"{self._path} is damaged or not deployctl's: it was renamed to {aside.name}, and metrics start over.")

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._file = None


def _mark(db: sqlite3.Connection) -> tuple[int, int]:
    return db.execute("pragma application_id").fetchone()[0], db.execute("pragma user_version").fetchone()[0]


def _is_spoilt(e: Exception) -> bool:
    return isinstance(e, _Foreign) or getattr(e, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
