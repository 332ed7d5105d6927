"""Opens the ledger file and rejects every file that is not certainly this home's ledger."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deployctl.errors import Refused
from deployctl.ledger.file import checked
from deployctl.ledger.file.connection import SCHEMA_VERSION, LedgerConnection, gone, sqlite_errors, unusable
from deployctl.ledger.file.identity import (
    find_keys,
    go_on_with_id,
    keep_keys,
    keys_for,
    keys_of,
    require_gone,
    require_only_one,
    take_over,
)
from deployctl.ledger.file.reserve import ensure_reserve
from deployctl.paths import Path
from deployctl.stdlib import socket


def open_ledger(path: Path, home: Path, *, now: str) -> LedgerConnection:
    """Return a checked, migrated connection; create the file if this home never had one.

    Header, schema and identity are checked each time, every page only after an unclean end: see checked.py. Raises
    LedgerUnusable for an empty, foreign, corrupt or newer file, and for a missing file where a ledger once was (its
    marker is still there): never taken for "no apps yet".
    """
    full = ensure_reserve(path)
    if not path.exists():
        if had_one(path) and not path.exists():  # its traces come after the file: both may just have been created
            raise gone(path)
        _create(path, home, now=now)
    if path.is_symlink() or path.stat().st_size == 0:
        raise unusable(path, "it is a symbolic link" if path.is_symlink() else "it is empty (0 bytes)")
    as_left = checked.is_as_left(path)  # before there is a connection: it would be in use then
    connection = LedgerConnection(path)
    connection.on_reserve = full
    try:
        if not as_left:
            require_whole(connection)
        check(connection, home, now=now)
    except BaseException:
        connection.close()
        raise
    if not as_left:
        checked.note_whole(path)
    connection.check = lambda another: _check_another(another, home, now=now)
    connection.at_close = lambda: checked.note_left(path)
    return connection


def _check_another(connection: LedgerConnection, home: Path, *, now: str) -> None:
    """Raise LedgerUnusable unless the file that replaced ours is a sound ledger of this home."""
    require_whole(connection)
    check(connection, home, now=now)
    checked.note_whole(connection.path)


def had_one(path: Path) -> bool:
    """Return whether there was a ledger here: by its marker, its backups, or apps in HAProxy's files."""
    route_map = path.with_name("haproxy") / "route.map"
    traces = (path.with_name("ledger.id"), path.with_name("backups"))
    return any(trace.exists() for trace in traces) or (route_map.exists() and route_map.stat().st_size > 0)


def check(connection: LedgerConnection, home: Path, *, now: str) -> None:
    """Raise LedgerUnusable unless it is this home's ledger; migrate an earlier schema, after a backup.

    A home that was moved keeps working: its ledger records the new path. Raises CopiedHome if it exists at two paths.
    """
    version, theirs, _ = require_ledger(connection)
    moved = theirs != str(home)
    if moved:
        _require_moved_here(connection, theirs, home)
    if version < SCHEMA_VERSION:
        _bring_up(connection, now=now)
    if moved:
        take_over(connection, home, host=socket.gethostname(), now=now)
    require_only_one(connection, home)


def _require_moved_here(connection: LedgerConnection, theirs: str, home: Path) -> None:
    """Raise unless the ledger was moved with its home: the keys beside it are its own, and the former path is gone."""
    keys, beside = keys_of(connection), find_keys(connection.path)
    if beside is None or not beside.match(keys):
        raise unusable(connection.path, f"it belongs to the home {theirs}, not to {home}")
    if (now_at := home.resolve()) != home:  # a process that began before the move, which a link leads here
        raise Refused(f"the home {home} was moved to {now_at}. Nothing was changed.",
                      remedy=[f"deployctl --home {now_at} status"])
    require_gone((theirs,), home, keys)


def require_whole(connection: LedgerConnection) -> None:
    """Raise LedgerUnusable if SQLite finds a page of it damaged. Takes longer the more it contains."""
    found = connection.one("pragma quick_check(1)")
    if found is None or found[0] != "ok":
        raise unusable(connection.path, f"SQLite reports damage ({found[0] if found else 'no response'})")


def require_ledger(connection: LedgerConnection) -> tuple[int, str, str]:
    """Return its schema, its home and its host. Raises LedgerUnusable if it is newer or not a ledger at all."""
    path = connection.path
    if not connection.one("select 1 from sqlite_master where name = 'identity'"):
        raise unusable(path, "its tables are not deployctl's")
    version = require_known_version(connection)
    me = connection.one("select product, home, host from identity where id = 1")
    if me is None or me["product"] != "deployctl":
        raise unusable(path, "it has no deployctl identity row")
    return version, me["home"], me["host"]


def require_known_version(connection: LedgerConnection) -> int:
    """Return its schema. Raises LedgerUnusable if a newer deployctl wrote it."""
    version: int = connection.execute("pragma user_version")[0][0]
    if version > SCHEMA_VERSION:
        raise unusable(connection.path, f"it was written by a newer deployctl (schema {version}, this one knows "
                       f"{SCHEMA_VERSION})", remedy=["install that newer deployctl again", "deployctl version"])
    return version


def _bring_up(connection: LedgerConnection, *, now: str) -> None:
    """Migrate it, after a backup of its former state. Two processes that find it outdated do this once."""
    from deployctl.ledger.file.copies import CopyReason, keep_copy

    with creation_lock(connection.path):
        if connection.execute("pragma user_version")[0][0] < SCHEMA_VERSION:
            keep_copy(connection.raw, connection.path, CopyReason.MIGRATION, at=now)
            migrate(connection)
            keep_keys(connection)


def _create(path: Path, home: Path, *, now: str) -> None:
    """Build the file under another name and rename it, under a lock: two first commands create one ledger."""
    with creation_lock(path):
        if path.exists():
            return
        part = path.with_name("ledger.new")
        connection = make(part, home, now=now)
        keep_keys(connection)
        connection.execute("pragma journal_mode = wal")
        connection.close()
        part.rename(path)
        path.with_name("ledger.id").write_text(now + "\n")


def make(path: Path, home: Path, *, now: str) -> LedgerConnection:
    """Return a ledger without apps in a file of its own, which replaces what a dead process left there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = LedgerConnection(path)
    migrate(connection)
    make_identity(connection, home, now=now)
    return connection


def make_identity(connection: LedgerConnection, home: Path, *, now: str) -> None:
    """Write the identity into an empty ledger."""
    keys = keys_for(connection.path, home)
    connection.insert("identity", {
        "id": 1, "product": "deployctl", "home": str(home), "host": socket.gethostname(), "secret": keys.secret,
        "home_id": keys.id, "marked_by": keys.marked_by, "created_at": now})


@contextmanager
def creation_lock(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name("ledger.lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def migrate(connection: LedgerConnection) -> None:
    from deployctl.ledger.file.schema import SCHEMA_VERSION, schema

    with sqlite_errors(connection.path):
        had_id = "home_id" in connection.utils["identity"].columns_dict
        schema.apply(connection.utils)
    if not had_id:
        go_on_with_id(connection)
    connection.execute(f"pragma user_version = {SCHEMA_VERSION:d}")
