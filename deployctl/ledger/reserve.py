"""Room on the disk for the ledger's last words: a file that is given away when the disk is full.

SQLite needs 32 KiB beside the ledger even to read it. With the reserve gone, a full disk still lets a person look,
stop and go back; what makes the disk fuller is refused.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SIZE = 2**20  # bytes
LITTLE = 2**18  # bytes: with less than that the disk counts as full


def ensure_reserve(ledger: Path) -> bool:
    """Keep the reserve while there is room, give it away when there is none. Tell whether the disk is full."""
    reserve = _reserve_of(ledger)
    if disk_is_full(ledger.parent):
        reserve.unlink(missing_ok=True)
        return True
    if not reserve.exists():
        with suppress(OSError):  # less than its size is left
            _make(reserve)
    return False


def free_reserve(ledger: Path) -> bool:
    """Give the reserve away; False when there is none any more."""
    with suppress(OSError):
        _reserve_of(ledger).unlink()
        return True
    return False


def disk_is_full(folder: Path) -> bool:
    found = os.statvfs(folder)
    blocks = found.f_bavail if os.geteuid() else found.f_bfree  # root may use what is kept for it
    return blocks * found.f_frsize < LITTLE


def _reserve_of(ledger: Path) -> Path:
    return ledger.with_name("ledger.reserve")


def _make(reserve: Path) -> None:
    handle = os.open(reserve, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, SIZE)
    except OSError:
        reserve.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
