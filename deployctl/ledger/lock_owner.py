"""Who holds a lease: this process, and whether another one named in the ledger is still alive.

Time is counted since boot, including sleep: a wall clock may be set, and two processes must read the same time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Machine(Protocol):
    """The processes of this machine, as far as a lease needs them."""

    def pid(self) -> int: ...
    def started(self, pid: int) -> int | None:
        """Return when that process started, in clock ticks since boot; None if it has ended."""
    def boot(self) -> str: ...
    def uptime(self) -> float:
        """Return the seconds since boot."""


class ThisMachine:
    """The real one, from proc(5)."""

    def pid(self) -> int:
        return os.getpid()

    def started(self, pid: int) -> int | None:
        return process_start(pid)

    def boot(self) -> str:
        try:
            return BOOT_ID.read_text().strip()
        except OSError:  # not Linux: pid and start time must do
            return ""

    def uptime(self) -> float:
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def process_start(pid: int) -> int | None:
    """Return field 22 of proc(5)'s stat; None if the process has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
