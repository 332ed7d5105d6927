"""Room on the disk for the ledger's last words: a file that is given away when the disk is full.

SQLite needs 32 KiB beside the ledger even to read it. With the reserve gone, a full disk still lets a person look,
stop and go back; what makes the disk fuller is refused.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

SIZE = 2**20  # bytes: many times what SQLite needs to read, so that several last words fit as well
LITTLE = 2**18  # bytes: with less than that the disk counts as full, before SQLite fails in the middle of a change


def ensure_reserve(ledger: Path) -> bool:
    """Keep the reserve while there is room, give it away when there is none. Tell whether we live on it."""
    reserve = _reserve_of(ledger)
    if disk_is_full(ledger.parent):
        free_reserve(ledger)
        return True
    return not reserve.exists() and not _make(reserve)


def free_reserve(ledger: Path) -> bool:
    """Give the reserve away; False when there is none any more."""
    with suppress(OSError):
        handle = os.open(_reserve_of(ledger), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, 0)
            os.fsync(handle)  # a journaling file system hands blocks out again only once their loss is written
        finally:
            os.close(handle)
        _reserve_of(ledger).unlink()
        return True
    return False


def disk_is_full(folder: Path) -> bool:
    return _free(folder) < LITTLE


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    blocks = found.f_bavail
    if os.geteuid() == 0:  # it may use what is kept for it, but not what ext4 keeps for itself: 2 %, 4,096 blocks at most
        blocks = max(blocks, found.f_bfree - min(found.f_blocks // 50, 4096))
    return blocks * found.f_frsize


def _reserve_of(ledger: Path) -> Path:
    return ledger.with_name("ledger.reserve")


def _make(reserve: Path) -> bool:
    """Return False when the room for it is lacking; a system that cannot keep room for a file is no reason to stop."""
    if _free(reserve.parent) < SIZE + 2 * LITTLE:  # taken at once, it would have to be given away at once
        return False
    try:
        handle = os.open(reserve, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # another process was quicker, or the folder may not be written
        return True
    try:
        os.posix_fallocate(handle, 0, SIZE)  # a file that was only made longer would have no blocks to give away
    except OSError as e:
        reserve.unlink(missing_ok=True)
        return e.errno not in {errno.ENOSPC, errno.EDQUOT}
    finally:
        os.close(handle)
    return True
