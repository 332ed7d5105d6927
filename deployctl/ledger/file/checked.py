"""Whether the ledger file is still the one that was checked, page by page: then opening it need not repeat that.

The mark beside it, `ledger.db.checked`, records which file was found intact and its state when the last connection to
it was closed. While others have it open, their opening has checked it. Everything else is an unclean end: a killed
process leaves its write-ahead log, a power cut or manual edit leaves a file in another state. The mark is no proof, and
needs none: anyone who may write it may write the ledger.
"""

from __future__ import annotations

import os
from contextlib import suppress

from deployctl.paths import Path

PROC_LOCKS = Path("/proc/locks")  # proc_locks(5)
_ALIVE = " 128 128"  # the byte of the -shm file on which every SQLite connection holds a lock (WAL_SHM_DMS)


def is_as_left(ledger: Path) -> bool:
    """Return whether it was found intact, and only connections opened since have changed it."""
    try:
        mark = _mark_of(ledger).read_text()
    except (OSError, ValueError):
        return False
    return mark == _look(ledger) if not _has_log(ledger) else bool(mark) and _is_in_use(ledger)


def note_whole(ledger: Path) -> None:
    """Record that this file was found intact. If that cannot be written, the file is merely checked again."""
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_mark_of(ledger), flags, 0o600), "w") as file:
            file.write(_look(ledger))


def note_left(ledger: Path) -> None:
    """Record the file's state now that its last connection is closed; what was not found intact stays unmarked."""
    with suppress(OSError, ValueError):
        mark, look = _mark_of(ledger).read_text(), _look(ledger)
        if mark != look and mark.split()[:2] == look.split()[:2] and not _has_log(ledger):
            note_whole(ledger)


def forget(ledger: Path) -> None:
    """Make the next opening check every page: it was found damaged."""
    with suppress(OSError):
        _mark_of(ledger).unlink()


def _mark_of(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.checked")


def _look(ledger: Path) -> str:
    found = ledger.stat()
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}\n"


def _has_log(ledger: Path) -> bool:
    return ledger.with_name(f"{ledger.name}-wal").exists()


def _is_in_use(ledger: Path) -> bool:
    """Return whether some process has it open, by the kernel's locks; if those are not available, assume so."""
    try:
        number = ledger.with_name(f"{ledger.name}-shm").stat().st_ino
        return any(line.endswith(_ALIVE) and f":{number} " in line for line in PROC_LOCKS.read_text().splitlines())
    except FileNotFoundError:
        return not PROC_LOCKS.exists()
