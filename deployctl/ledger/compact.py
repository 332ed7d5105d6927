"""Gives the room of rows that are gone back to the disk.

SQLite writes the whole file anew in one transaction (VACUUM): whoever ends this process at any moment leaves the ledger as it
was before or as it is after. Meanwhile nobody else can write; so no app may be changed, and each app's lease is ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployctl.domain.deployment import LeaseFacts
from deployctl.domain.names import AppName
from deployctl.errors import LeaseHeld
from deployctl.ledger.connection import no_room
from deployctl.ledger.sqlite_ledger import SqliteLedger

MARGIN = 2**20  # bytes that stay free beside
VERB = "ledger compact"
_BESIDE = ("", "-wal")
_TEMPORARY = ("SQLITE_TMPDIR", "TMPDIR")  # where SQLite builds the file first, https://sqlite.org/tempfiles.html
_USUAL = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108  its own list


def size_of(ledger: Path) -> int:
    """Return how many bytes the ledger takes on the disk, its log included."""
    paths = [Path(f"{ledger}{end}") for end in _BESIDE]
    return sum(path.stat().st_size for path in paths if path.exists())


def held(ledger: SqliteLedger) -> int:
    """Return how many bytes of the file hold something."""
    return (_pragma(ledger, "page_count") - _pragma(ledger, "freelist_count")) * _pragma(ledger, "page_size")


def compact(ledger: SqliteLedger) -> None:
    """Write the file anew, without what holds nothing. Raises DeployctlError (disk_full): then nothing was changed."""
    _require_room(ledger)
    ledger.db.execute("vacuum")
    ledger.db.execute("pragma wal_checkpoint(truncate)")


@contextmanager
def every_lease(ledger: SqliteLedger, *, holder: str, at: str) -> Iterator[None]:
    """Hold the lease of every app. Raises LeaseHeld when a living process changes one."""
    taken: dict[AppName, int] = {}
    try:
        for app in ledger.apps():
            token = ledger.take_lease(app.name, holder=holder, verb=VERB, at=at)
            if isinstance(token, LeaseFacts):
                raise LeaseHeld(f"{token.holder} (pid {token.pid}) changes {app.name} right now: {token.verb} since "
                                f"{token.since}. Nothing was done.",
                                remedy=[f"deployctl status {app.name}", f"deployctl {VERB}"])
            taken[app.name] = token
        yield
    finally:
        for name, token in taken.items():
            ledger.give_lease_back(name, token)


def _require_room(ledger: SqliteLedger) -> None:
    """Raise unless the file has room once more in its folder, as the log, and once where SQLite builds it."""
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
