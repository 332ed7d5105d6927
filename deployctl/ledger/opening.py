"""Opens the ledger file and refuses every file that is not, surely, this home's ledger."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployctl.ledger.connection import SCHEMA_VERSION, Connection, gone, sqlite_errors, unusable
from deployctl.ledger.reserve import ensure_reserve


def open_ledger(path: Path, home: Path, *, now: str) -> Connection:
    """Return a checked, migrated connection; make the file when this home never had one.

    Raises LedgerUnusable for an empty, foreign, corrupt or newer file, and for a missing file where
    a ledger once was (its marker is still there): never taken for "no apps yet".
    """
    full = ensure_reserve(path)
    if not path.exists():
        if had_one(path) and not path.exists():  # its traces come after the file: both may have come just now
            raise gone(path)
        _create(path, home, now=now)
    if path.is_symlink() or path.stat().st_size == 0:
        raise unusable(path, "it is a link" if path.is_symlink() else "it is empty (0 bytes)")
    connection = Connection(path)
    connection.on_reserve = full
    connection.check = lambda reopened: check(reopened, home, now=now)
    try:
        connection.check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def had_one(path: Path) -> bool:
    """Tell whether a ledger was here: by its marker, its copies, or by apps in HAProxy's files."""
    route_map = path.with_name("haproxy") / "route.map"
    traces = (path.with_name("ledger.id"), path.with_name("backups"))
    return any(trace.exists() for trace in traces) or (route_map.exists() and route_map.stat().st_size > 0)


def check(connection: Connection, home: Path, *, now: str) -> None:
    """Raise LedgerUnusable unless it is this home's sound ledger; bring an earlier schema up to date, after a copy."""
    version, theirs, _ = require_sound(connection)
    if theirs != str(home):
        raise unusable(connection.path, f"it belongs to the home {theirs}, not to {home}")
    if version < SCHEMA_VERSION:
        _bring_up(connection, now=now)


def require_sound(connection: Connection) -> tuple[int, str, str]:
    """Return its schema, its home and its host. Raises LedgerUnusable when it is damaged, newer or no ledger at all."""
    path = connection.path
    found = connection.one("pragma quick_check(1)")
    if found is None or found[0] != "ok":
        raise unusable(path, f"SQLite finds it damaged ({found[0] if found else 'no answer'})")
    if not connection.one("select 1 from sqlite_master where name = 'identity'"):
        raise unusable(path, "its tables are not ours")
    version = connection.execute("pragma user_version")[0][0]
    if version > SCHEMA_VERSION:
        raise unusable(path, f"it was written by a newer deployctl (schema {version}, this one knows {SCHEMA_VERSION})",
                       remedy=["install that newer deployctl again", "deployctl version"])
    me = connection.one("select product, home, host from identity where id = 1")
    if me is None or me["product"] != "deployctl":
        raise unusable(path, "it has no identity row of deployctl")
    return version, me["home"], me["host"]


def _bring_up(connection: Connection, *, now: str) -> None:
    """Migrate it, with a copy of how it was kept first. Two processes that find it old do this once."""
    from deployctl.ledger.copies import Reason, keep_copy

    with creation_lock(connection.path):
        if connection.execute("pragma user_version")[0][0] < SCHEMA_VERSION:
            keep_copy(connection.raw, connection.path, Reason.MIGRATION, at=now)
            migrate(connection)
            keep_secret(connection)


def _create(path: Path, home: Path, *, now: str) -> None:
    """Build the file beside and rename it, under a lock: two first commands make one ledger."""
    with creation_lock(path):
        if path.exists():
            return
        part = path.with_name("ledger.new")
        connection = make(part, home, now=now)
        keep_secret(connection)
        connection.execute("pragma journal_mode = wal")
        connection.close()
        part.rename(path)
        path.with_name("ledger.id").write_text(now + "\n")


def make(path: Path, home: Path, *, now: str) -> Connection:
    """Return a ledger with no apps in a file of its own, which replaces what a dead process left there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = Connection(path)
    migrate(connection)
    secret = find_secret(path) or secrets.token_hex(32)
    connection.execute(
        "insert into identity(id, product, home, host, secret, created_at) values (1, 'deployctl', ?, ?, ?, ?)",
        [str(home), socket.gethostname(), secret, now],
    )
    return connection


def keep_secret(connection: Connection) -> None:
    """Write the home's secret beside the ledger: labels that it sealed must be told from others when that is lost."""
    secret = connection.execute("select secret from identity where id = 1")[0][0]
    part = connection.path.with_name("secret.new")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(f"{secret}\n")
    part.replace(_secret_file(connection.path))


def find_secret(path: Path) -> str | None:
    """Return what keep_secret wrote, None when that is missing or no secret."""
    try:
        text = _secret_file(path).read_text().strip()
        return text if len(bytes.fromhex(text)) == 32 else None
    except (OSError, ValueError):
        return None


def _secret_file(path: Path) -> Path:
    return path.with_name("secret")


@contextmanager
def creation_lock(path: Path) -> Iterator[None]:
    handle = os.open(path.with_name("ledger.lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def migrate(connection: Connection) -> None:
    from deployctl.ledger.schema import VERSION, schema

    with sqlite_errors(connection.path):
        schema.apply(connection.utils)
    connection.execute(f"pragma user_version = {VERSION:d}")
