"""Returns the space of deleted rows to the disk.

SQLite rewrites the file in one transaction (VACUUM): a process killed at any moment leaves the ledger as it was before
or as it is after. Meanwhile others can read, and writers wait: for less than SQLite lets them wait, so none fails. What
takes longer is given up.
"""

from __future__ import annotations

import os
import time

from deployctl.errors import DeployctlError
from deployctl.ledger.file.connection import BUSY_SECONDS, no_room, sqlite_errors
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.sqlite_ledger import SqliteLedger

MARGIN = 2**20  # bytes that stay free besides
BUILDING = 0.4 * BUSY_SECONDS  # seconds for the new file; SQLite then copies it back, which takes less and cannot be cancelled
STEPS = 10_000  # of SQLite's virtual machine between two checks of the time
_BESIDE = ("", "-wal")
_TEMPORARY = ("SQLITE_TMPDIR", "TMPDIR")  # where SQLite builds the file first, https://sqlite.org/tempfiles.html
_USUAL = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108  its own list


def size_of(ledger: Path) -> int:
    """Return how many bytes the ledger takes on disk, including its log."""
    paths = [Path(f"{ledger}{end}") for end in _BESIDE]
    return sum(path.stat().st_size for path in paths if path.exists())


def held(ledger: SqliteLedger) -> int:
    """Return how many bytes of the file are in use."""
    return (_pragma(ledger, "page_count") - _pragma(ledger, "freelist_count")) * _pragma(ledger, "page_size")


def compact(ledger: SqliteLedger) -> None:
    """Rewrite the file without free pages. Raises DeployctlError (disk_full, takes_too_long): then it is as it was."""
    _require_room(ledger)
    end = time.monotonic() + BUILDING
    ledger.db.raw.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        with sqlite_errors(ledger.db.path):
            _vacuum(ledger)
    finally:
        ledger.db.raw.set_progress_handler(None, 0)
    ledger.db.execute("pragma wal_checkpoint(truncate)")


def _vacuum(ledger: SqliteLedger) -> None:
    try:
        ledger.db.raw.execute("vacuum")
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise DeployctlError(f"rewriting the ledger {ledger.db.path} takes more than {BUILDING:g} s, for which a rollback "
                             "would have to wait: it was cancelled, and the file keeps its size. The space of folded entries "
                             "is reused.",
                             remedy=["deployctl ledger compact   # retry when the server is less busy"],
                             code="takes_too_long") from e


def _require_room(ledger: SqliteLedger) -> None:
    """Raise unless there is room for the file once more in its folder, as the log, and once where SQLite builds it."""
    live, folder, building = held(ledger), ledger.db.path.parent, _temporary()
    needed = {folder: live} if _device(folder) != _device(building) else {folder: 2 * live}
    for place, size in {building: live, **needed}.items():
        found = os.statvfs(place)
        if found.f_bavail * found.f_frsize < size + MARGIN:
            raise no_room(ledger.db.path, place, size + MARGIN)


def _temporary() -> Path:
    named = [os.environ[name] for name in _TEMPORARY if name in os.environ]
    return next(Path(place) for place in [*named, *_USUAL] if Path(place).is_dir() and os.access(place, os.W_OK | os.X_OK))


def _device(folder: Path) -> int:
    return folder.stat().st_dev


def _pragma(ledger: SqliteLedger, name: str) -> int:
    return int(ledger.db.execute(f"pragma {name}")[0][0])
