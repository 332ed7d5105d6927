"""File systems as the kernel has them: whether one is in memory, mounting one that is, and which mount a path lies on."""

from __future__ import annotations

import os
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.paths import Path

TMPFS, RAMFS = 0x01021994, 0x858458F6  # of statfs(2)
_FLAGS = 0x2 | 0x4 | 0x8  # MS_NOSUID, MS_NODEV, MS_NOEXEC
_STATFS_BYTES = 256  # more than struct statfs has


def is_memory(path: Path) -> bool:
    """Return whether what is written there stays in memory."""
    return filesystem_of(path) in {TMPFS, RAMFS}


def filesystem_of(path: Path) -> int | None:
    """Return the number that statfs(2) gives of the file system there; None if it cannot be read."""
    import ctypes  # slow to load

    found = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(str(path)), found) != 0:
        return None
    return int.from_bytes(found.raw[: ctypes.sizeof(ctypes.c_long)], "little")


def is_swapping() -> bool:
    """Return whether this host has any swap."""
    with suppress(OSError):
        return len(Path("/proc/swaps").read_text().splitlines()) > 1  # the first line is a head
    return False


def mount_tmpfs(path: Path, options: str) -> bool:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mount(b"deployctl", os.fsencode(str(path)), b"tmpfs", _FLAGS, options.encode()) == 0)


@dataclass(frozen=True, slots=True)
class Mounted:
    """One line of /proc/self/mountinfo."""

    point: str
    options: str  # of the file system
    receives_only: bool  # what is mounted here is seen by this process and its children only: a sandboxed service


def find_mount(path: Path) -> Mounted | None:
    """Return the mount that a path lies on."""
    best = None
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            point, tags = before.split()[4], before.split()[6:]
            if Path(str(path)).is_relative_to(point) and (best is None or len(point) >= len(best.point)):
                alone = any(tag.startswith("master:") for tag in tags) and not any(tag.startswith("shared:") for tag in tags)
                best = Mounted(point, after.split()[-1], alone)
    return best
