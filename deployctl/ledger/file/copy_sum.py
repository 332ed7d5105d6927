"""The checksum that a backup of the ledger carries: over every byte of it, including users, roles and tokens.

Its key is in `state/secret` and in no ledger: someone who may read and write a backup cannot create a valid checksum.
The checksum is in the backup itself, in a table of its own, so that a backup stays one file.
"""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum

from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

SUM_TABLE = "copy_sum"
_STATEMENT = f"CREATE TABLE {SUM_TABLE} (key text not null, sum text not null)"
_EMPTY = b"0" * 64


class CopyCheck(StrEnum):
    GOOD = "good"
    NO_SUM = "no_sum"  # made before backups had one, or manually
    OTHER_KEY = "other_key"  # made by another home, or the key is lost
    WRONG_SUM = "wrong_sum"


SENTENCES = {
    CopyCheck.NO_SUM: "it has no checksum: it was made before backups had one, or not by deployctl",
    CopyCheck.OTHER_KEY: "its checksum was made with a different key than the one in state/secret",
    CopyCheck.WRONG_SUM: "it was altered: its checksum does not match",
}


def put_sum(copy: Path, key: bytes) -> None:
    """Add the checksum to the backup, a ledger in one file that nobody has open."""
    import mmap
    import secrets

    mark = secrets.token_hex(32)  # of the checksum's length; its position is found by it
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.execute(_STATEMENT)
        db.execute(f"insert into {SUM_TABLE} values (?, ?)", [name_of(key), mark])  # noqa: S608  our own word
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        at = pages.find(mark.encode())
        pages[at:at + len(mark)] = _sum(pages, at, key).encode()


def check_sum(copy: Path, key: bytes | None) -> CopyCheck:
    """Check whether the file, with nothing beside it, is as it was made. Raises sqlite3.Error if it is not a
    database."""
    import hmac
    import mmap

    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as db:
        made = db.execute("select sql from sqlite_master where type = 'table' and name = ?", [SUM_TABLE]).fetchone()
        if made is None or made[0] != _STATEMENT:  # one that computes something is not ours
            return CopyCheck.NO_SUM
        row = db.execute(f"select key, sum from {SUM_TABLE}").fetchone()  # noqa: S608  our own word
    made_with, stored = map(str, row or ("", ""))
    if key is None or made_with != name_of(key):
        return CopyCheck.OTHER_KEY
    with copy.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        at = pages.find(stored.encode()) if len(stored) == len(_EMPTY) else -1
        good = at >= 0 and hmac.compare_digest(_sum(pages, at, key), stored)
    return CopyCheck.GOOD if good else CopyCheck.WRONG_SUM


def drop_sum(db: sqlite3.Connection) -> None:
    """Remove the checksum from what is to become a ledger again."""
    if db.execute("select 1 from sqlite_master where type = 'table' and name = ?", [SUM_TABLE]).fetchone():
        db.execute(f"drop table {SUM_TABLE}")


def _sum(pages: mmap.mmap, at: int, key: bytes) -> str:
    """Return the checksum of all pages, with its own position taken as empty."""
    import hashlib
    import hmac

    made = hmac.new(key, digestmod=hashlib.sha256)
    with memoryview(pages) as view:
        for part in (view[:at], _EMPTY, view[at + len(_EMPTY):]):
            made.update(part)
    return made.hexdigest()


def name_of(key: bytes) -> str:
    """Return what distinguishes keys and reveals none."""
    import hashlib

    return hashlib.sha256(b"name of the key\0" + key).hexdigest()[:16]
