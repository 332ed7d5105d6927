"""Opens the ledger file and refuses every file that is not, surely, this home's ledger.

sqlite-utils is imported only to create or migrate tables: its import is a third of what
a whole rollback may take (docs/adr/0002-start-time.md). Everything else is bound SQL through `execute`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotPermitted

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 1  # equals schema.VERSION; a test compares them
BUSY_SECONDS = 5.0
TRAFFIC_GOES_ON = "Running apps keep serving; HAProxy does not need the ledger."


class Connection:
    """One connection, used by one thread. Statements outside `transaction()` commit by themselves."""

    def __init__(self, path: Path) -> None:
        with sqlite_errors(path):
            self.raw = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self.raw.row_factory = sqlite3.Row
            self.raw.execute("pragma foreign_keys = on")
        self.path = path
        self._durable: bool | None = None  # what the connection was told last
        self._utils: Database | None = None

    @property
    def utils(self) -> Database:
        """Return sqlite-utils' view of this very connection."""
        if self._utils is None:
            from sqlite_utils import Database

            self._utils = Database(self.raw, execute_plugins=False)
        return self._utils

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        with sqlite_errors(self.path):
            return self.raw.execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        return next(iter(self.execute(sql, values)), None)

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert into a table of ours, whose name and columns come from our own code."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self.execute(f"insert into {table}({columns}) values ({marks})", list(row.values()))  # noqa: S608

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All or nothing. `begin immediate`, so that reading first cannot lose to a faster writer;
        `durable` survives a power cut, the others only the death of this process. Nests."""
        if self.raw.in_transaction:
            yield
            return
        self._flush_at_commit(durable)
        self.execute("begin immediate")
        try:
            yield
            self.execute("commit")
        except BaseException:
            if self.raw.in_transaction:
                self.raw.execute("rollback")
            raise

    def _flush_at_commit(self, durable: bool) -> None:
        if durable is not self._durable:
            self.execute("pragma synchronous = full" if durable else "pragma synchronous = normal")
            self._durable = durable

    def close(self) -> None:
        self.raw.close()


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors once; IntegrityError goes through, because callers ask for it."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as e:
        raise _translated(path, e) from e


def _translated(path: Path, e: sqlite3.DatabaseError) -> DeployctlError:
    text = str(e)
    if "locked" in text:
        return LeaseHeld(f"the ledger {path} was locked by another process for {BUSY_SECONDS:.0f} s. Nothing was done.",
                         remedy=["deployctl status", "try again"])
    if "disk is full" in text:
        return DeployctlError(f"no space left for the ledger {path}. {TRAFFIC_GOES_ON}",
                              remedy=[f"df -h {path.parent}"], code="disk_full")
    if "readonly" in text or "unable to open" in text:
        return NotPermitted(f"the ledger {path} cannot be written ({text}). {TRAFFIC_GOES_ON}",
                            remedy=[f"ls -ld {path.parent} {path}", "run as the user that owns the home"])
    return unusable(path, text)


def unusable(path: Path, why: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"{path} is not a ledger that can be trusted: {why}. It was not changed. {TRAFFIC_GOES_ON}",
        remedy=[f"put a good copy of {path.name} back in place", "deployctl doctor"],
    )


def open_ledger(path: Path, home: Path, *, now: str) -> Connection:
    """Return a checked, migrated connection; make the file when this home never had one.

    Raises LedgerUnusable for an empty, foreign, corrupt or newer file, and for a missing file where
    a ledger once was (its marker is still there): never taken for "no apps yet".
    """
    marker = path.with_name("ledger.id")
    if not path.exists():
        if marker.exists() and not path.exists():  # it comes after the file: both may have come just now
            raise unusable(path, "the file is gone, but this home had a ledger")
        _create(path, home, marker, now=now)
    if path.is_symlink() or path.stat().st_size == 0:
        raise unusable(path, "it is a link" if path.is_symlink() else "it is empty (0 bytes)")
    connection = Connection(path)
    try:
        _check(connection, home, now=now)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: Connection, home: Path, *, now: str) -> None:
    path = connection.path
    found = connection.one("pragma quick_check(1)")
    if found is None or found[0] != "ok":
        raise unusable(path, f"SQLite finds it damaged ({found[0] if found else 'no answer'})")
    if not connection.one("select 1 from sqlite_master where name = 'identity'"):
        raise unusable(path, "its tables are not ours")
    version = connection.execute("pragma user_version")[0][0]
    if version > SCHEMA_VERSION:
        raise unusable(path, f"it was written by a newer deployctl (schema {version}, this one knows {SCHEMA_VERSION})")
    me = connection.one("select product, home from identity where id = 1")
    if me is None or me["product"] != "deployctl":
        raise unusable(path, "it has no identity row of deployctl")
    if me["home"] != str(home):
        raise unusable(path, f"it belongs to the home {me['home']}, not to {home}")
    if version < SCHEMA_VERSION:
        _migrate(connection)


def _create(path: Path, home: Path, marker: Path, *, now: str) -> None:
    """Build the file beside and rename it, under a lock: two first commands make one ledger."""
    with _creation_lock(path):
        if path.exists():
            return
        part = path.with_name("ledger.new")
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = Connection(part)
        _migrate(connection)
        secret = secrets.token_hex(32)
        connection.execute(
            "insert into identity(id, product, home, host, secret, created_at) values (1, 'deployctl', ?, ?, ?, ?)",
            [str(home), socket.gethostname(), secret, now],
        )
        connection.execute("pragma journal_mode = wal")
        connection.close()
        part.rename(path)
        marker.write_text(now + "\n")


@contextmanager
def _creation_lock(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name("ledger.lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _migrate(connection: Connection) -> None:
    from deployctl.ledger.schema import VERSION, schema

    with sqlite_errors(connection.path):
        schema.apply(connection.utils)
    connection.execute(f"pragma user_version = {VERSION:d}")
