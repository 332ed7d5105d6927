"""Disk space for the ledger's last writes: a file that is deleted when the disk is full.

SQLite needs 32 KiB beside the ledger even to read it. With the reserve released, a full disk still lets people read
status, stop and roll back; what makes the disk fuller is rejected.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from deployctl.paths import Path

SIZE = 2**20  # bytes: many times what SQLite needs to read, so that several last writes fit as well
LITTLE = 2**18  # bytes: with less than that the disk counts as full, before SQLite fails in the middle of a change


def ensure_reserve(ledger: Path) -> bool:
    """Keep the reserve while there is space, release it when there is none. Return whether we live on it."""
    reserve = _reserve_of(ledger)
    if disk_is_full(ledger.parent):
        free_reserve(ledger)
        return True
    return not reserve.exists() and not _make(reserve)


def free_reserve(ledger: Path) -> bool:
    """Release the reserve; False if there is none left."""
    with suppress(OSError):
        handle = os.open(_reserve_of(ledger), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, 0)
            os.fsync(handle)  # a journaling file system reuses blocks only once their release is written
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
    if os.geteuid() == 0:  # root may use its reserved space, but not what ext4 keeps for itself: 2 %, at most 4,096 blocks
        blocks = max(blocks, found.f_bfree - min(found.f_blocks // 50, 4096))
    return blocks * found.f_frsize


def _reserve_of(ledger: Path) -> Path:
    return ledger.with_name("ledger.reserve")


def _make(reserve: Path) -> bool:
    """Return False if there is no space for it; a system that cannot preallocate files is no reason to stop."""
    if _free(reserve.parent) < SIZE + 2 * LITTLE:  # taken now, it would have to be released immediately
        return False
    try:
        handle = os.open(reserve, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # another process was faster, or the folder is not writable
        return True
    try:
        os.posix_fallocate(handle, 0, SIZE)  # a file that was only extended would have no blocks to release
    except OSError as e:
        reserve.unlink(missing_ok=True)
        return e.errno not in {errno.ENOSPC, errno.EDQUOT}
    finally:
        os.close(handle)
    return True
