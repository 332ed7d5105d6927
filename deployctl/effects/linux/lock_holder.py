"""A stopped process that holds the proxy lock is killed.

It may be frozen in the middle of a command to HAProxy. Waking up later it would switch traffic for a change that was
settled long ago, and until then no app of the home could be rolled back. Every command of ours may be killed at any
moment, so that is the safe way out.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from deployctl.paths import Path

PROC_LOCKS = Path("/proc/locks")


def end_frozen_holder(handle: int) -> None:
    """Kill the process that holds the lock of that open file if it is stopped (SIGSTOP, Ctrl-Z, a debugger); else do
    nothing."""
    for pid in holders(os.fstat(handle).st_ino):
        if _is_stopped(pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def holders(inode: int) -> list[int]:
    """Return which other processes hold a lock on the file of that inode, from proc(5): `1: FLOCK ADVISORY WRITE 4711
    08:01:393261 0 EOF`. Lines with an arrow are of those that wait."""
    try:
        lines = [line.split() for line in PROC_LOCKS.read_text().splitlines()]
    except OSError:  # not Linux
        return []
    mine = [words for words in lines if len(words) > 5 and words[1] == "FLOCK" and words[5].split(":")[-1] == str(inode)]
    return [int(words[4]) for words in mine if words[4].isdecimal() and int(words[4]) != os.getpid()]


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"T", "t"}
    except OSError:
        return False
