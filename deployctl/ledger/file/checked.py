"""Whether the ledger file is still the one that was checked, page by page: then opening it need not do that again.

The mark beside it, `ledger.db.checked`, says which file was found whole and how it looked when the last connection to it
was closed. While others have it open, their opening has seen to it. Everything else is an unclean end: a process that was
killed leaves its write-ahead log, a power cut or somebody's hand leaves a file that looks otherwise. The mark is no
proof, and needs none: whoever may write it may write the ledger.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PROC_LOCKS = Path("/proc/locks")  # proc_locks(5)
_ALIVE = " 128 128"  # the byte of the -shm file on which every connection of SQLite holds a lock (WAL_SHM_DMS)


def is_as_left(ledger: Path) -> bool:
    """Tell whether it was found whole, and nothing but a connection that was opened since has changed it."""
    try:
        mark = _mark_of(ledger).read_text()
    except (OSError, ValueError):
        return False
    return mark == _look(ledger) if not _has_log(ledger) else bool(mark) and _is_in_use(ledger)


def note_whole(ledger: Path) -> None:
    """Remember that this very file was found whole. Where that cannot be written it is checked again, that is all."""
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(_mark_of(ledger), flags, 0o600), "w") as file:
            file.write(_look(ledger))


def note_left(ledger: Path) -> None:
    """Remember how the file looks now that its last connection is closed; what was not found whole stays unmarked."""
    with suppress(OSError, ValueError):
        mark, look = _mark_of(ledger).read_text(), _look(ledger)
        if mark != look and mark.split()[:2] == look.split()[:2] and not _has_log(ledger):
            note_whole(ledger)


def forget(ledger: Path) -> None:
    """Let whoever opens it next look at every page: it was found damaged."""
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
    """Tell whether some process has it open, by the locks that the kernel knows of; where it tells none, suppose so."""
    try:
        number = ledger.with_name(f"{ledger.name}-shm").stat().st_ino
        return any(line.endswith(_ALIVE) and f":{number} " in line for line in PROC_LOCKS.read_text().splitlines())
    except FileNotFoundError:
        return not PROC_LOCKS.exists()
