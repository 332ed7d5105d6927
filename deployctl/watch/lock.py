"""One watcher for each home: it holds a lock, and whoever wants to know whether one runs looks for that."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployctl.errors import LeaseHeld

NAME = "watcher.lock"
LOCKS = Path("/proc/locks")  # proc_locks(5)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the home's place of a watcher. Raises LeaseHeld when another process has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise LeaseHeld(f"a watcher of this home runs already (pid {holder})",
                            remedy=[f"ps -fp {holder}", "systemctl status deployctl"]) from None
        os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_watched(folder: Path) -> bool:
    """Tell whether a watcher of the home runs, without a lock of our own, on which one that just begins would fail. Where
    the kernel does not tell it, it is taken for none."""
    with suppress(OSError):
        number = (folder / NAME).stat().st_ino
        return any(" FLOCK " in line and f":{number} " in line for line in LOCKS.read_text().splitlines())
    return False
