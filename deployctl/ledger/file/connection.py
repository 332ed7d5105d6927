"""One connection to the ledger file, with SQLite's errors translated into ours.

sqlite-utils is imported only to create or migrate tables: its import is a third of what a whole rollback may take
(docs/adr/0002-start-time.md). Everything else is bound SQL through `execute`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count

from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotPermitted
from deployctl.ledger.file import checked
from deployctl.ledger.file.reserve import disk_is_full, free_reserve
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any, TypeVar

    from sqlite_utils import Database

    T = TypeVar("T")

SCHEMA_VERSION = 23  # equals schema.VERSION; a test compares them
BUSY_SECONDS = 5.0
FULL = "disk_full"
_PRIMARY = 0xFF  # of an extended result code of SQLite
TRAFFIC_GOES_ON = "Running apps are not affected; HAProxy does not need the ledger."



_serials = count(1)  # of the connections of this process, so that they are never confused


class LedgerConnection:
    """One connection, used by one thread. Statements outside `transaction()` commit by themselves.

    If another file has replaced the open one, it switches to that, once `check` finds it sound: writing to an unlinked
    file would be lost.
    """

    raw: sqlite3.Connection

    def __init__(self, path: Path) -> None:
        self.path = path
        self.check: Callable[[LedgerConnection], None] = lambda _connection: None
        self.at_close: Callable[[], None] = lambda: None
        self.on_reserve = False  # the disk is full: only essential writes are allowed
        self._connect()

    def _connect(self) -> None:
        with sqlite_errors(self.path):
            self._file = self._look()
            self.raw = sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS,
                                       isolation_level=None, check_same_thread=False)
            self.raw.row_factory = sqlite3.Row
            self.raw.execute("pragma foreign_keys = on")
            self.raw.execute("pragma trusted_schema = off")  # nothing in the file may call code that could do harm
        self.serial = next(_serials)
        self._durable: bool | None = None  # the connection's present setting
        self._utils: Database | None = None

    def _look(self) -> tuple[int, int]:
        """Return which file has the ledger's name now."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  before every statement: Path.stat takes twice as long
        except FileNotFoundError:
            raise gone(self.path) from None
        return found.st_dev, found.st_ino

    def file(self) -> tuple[int, int]:
        """Return which file is open, by device and inode."""
        self._follow()
        return self._file

    def _follow(self) -> None:
        if self._look() != self._file:
            self.raw.close()
            self._connect()
            self.check(self)

    @property
    def utils(self) -> Database:
        """Return sqlite-utils' view of this very connection."""
        if self._utils is None:
            from sqlite_utils import Database

            self._utils = Database(self.raw, execute_plugins=False)
        return self._utils

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        if not self.raw.in_transaction:
            self._follow()
        try:  # as `sqlite_errors` does: a context manager takes longer than many a statement
            return self.raw.execute(sql, values).fetchall()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as e:
            raise _translated(self.path, e) from e

    def stream(self, sql: str) -> Iterator[sqlite3.Row]:
        """Yield the rows one by one, inside a snapshot: for results that may be too large to hold."""
        with sqlite_errors(self.path):
            yield from self.raw.execute(sql)

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        return next(iter(self.execute(sql, values)), None)

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert into a table of ours, whose name and columns come from our own code."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self.execute(f"insert into {table}({columns}) values ({marks})", list(row.values()))  # noqa: S608

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """All or nothing. `begin immediate`, so that a read followed by a write cannot lose to another writer;
        `durable` survives a power cut, the others only the death of this process. Nests."""
        if self.raw.in_transaction:
            return nullcontext()
        self._flush_at_commit(durable)
        return _Transaction(self, "begin immediate", "commit")

    def snapshot(self) -> AbstractContextManager[None]:
        """Let every read inside see the same moment. Nobody waits for it."""
        return _Transaction(self, "begin", "rollback")

    def require_room(self) -> None:
        """Raise the error for what would make a full disk fuller."""
        if self.on_reserve:
            raise no_space(self.path)

    def insist(self, write: Callable[[], T]) -> T:
        """Write it, on a full disk with the space of the reserve. Inside a transaction there is only one attempt:
        SQLite ends that on failure, so the space is freed before."""
        nested = self.raw.in_transaction
        if disk_is_full(self.path.parent):
            free_reserve(self.path)
        try:
            return write()
        except DeployctlError as e:
            if nested or e.code != FULL or not free_reserve(self.path):
                raise
        return write()

    def _flush_at_commit(self, durable: bool) -> None:
        if durable is not self._durable:
            self.execute("pragma synchronous = full" if durable else "pragma synchronous = normal")
            self._durable = durable

    def close(self) -> None:
        self.raw.close()
        self.at_close()


class _Transaction:
    """What `transaction` and `snapshot` return. Not a generator: one that Ctrl-C leaves suspended is finished when it is
    collected, after the connection was closed."""

    def __init__(self, db: LedgerConnection, begin: str, end: str) -> None:
        self._db, self._begin, self._end = db, begin, end

    def __enter__(self) -> None:
        try:
            self._db.execute(self._begin)
        except BaseException:
            self._roll_back()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._db.execute(self._end)
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._db.raw.in_transaction:
            self._db.raw.execute("rollback")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors once; IntegrityError passes through, because callers handle it."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as e:
        raise _translated(path, e) from e


def _translated(path: Path, e: sqlite3.DatabaseError) -> DeployctlError:
    code = getattr(e, "sqlite_errorcode", 0) & _PRIMARY  # the library's own errors have none
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LeaseHeld(f"the ledger {path} was locked by another process for {BUSY_SECONDS:.0f} s. Nothing was changed.",
                         remedy=["deployctl status", "try again"])
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and disk_is_full(path.parent)):
        return no_space(path)
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        return NotPermitted(f"the ledger {path} cannot be written ({e}). {TRAFFIC_GOES_ON}",
                            remedy=[f"ls -ld {path.parent} {path}", "run as the user that owns the home"])
    return unusable(path, str(e))


def no_space(path: Path) -> DeployctlError:
    return DeployctlError(f"no space left for the ledger {path}. Nothing was changed. {TRAFFIC_GOES_ON}",
                          remedy=[f"df -h {path.parent}", "docker image prune"], code=FULL)


def no_room(path: Path, place: Path, size: int) -> DeployctlError:
    return DeployctlError(f"rewriting the ledger {path} needs {size / 1e6:.1f} MB free in {place}. Nothing was changed. "
                          f"{TRAFFIC_GOES_ON}", remedy=[f"df -h {place}", "docker image prune"], code=FULL)


def gone(path: Path) -> LedgerUnusable:
    return unusable(path, "the file is gone, but this home had a ledger")


def unusable(path: Path, why: str, *, remedy: Sequence[str] | None = None) -> LedgerUnusable:
    """Return the error for an unusable file, with the two ways to get a ledger back unless another remedy is better.
    The next opening checks every page."""
    checked.forget(path)
    if remedy is None:
        from deployctl.ledger.file.copies import copies

        newest = [f"deployctl ledger restore {copy.path}" for copy in copies(path)[:1]]
        remedy = ["deployctl ledger rebuild", *newest, "deployctl doctor"]
    error = LedgerUnusable(f"{path} is not a trustworthy ledger: {why}. It was not changed. {TRAFFIC_GOES_ON}",
                           remedy=remedy)
    error.why = why
    return error
