"""One watcher for each home: it holds a lock, which also shows whether one runs, and of which version."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deployctl import __version__
from deployctl.dataclass import dataclass
from deployctl.errors import LeaseHeld
from deployctl.paths import Path
from deployctl.usecases.listings import Finding

LOCK_FILE = "watcher.lock"
FIELD = 20  # bytes of the pid, then of the version: builds before 0.3.0 write and read only the pid
PROC_LOCKS = Path("/proc/locks")  # proc_locks(5)


@dataclass(frozen=True, slots=True)
class Watcher:
    """The running `serve`. `version` is None before 0.3.0."""

    pid: int
    version: str | None

    @property
    def is_of_another_version(self) -> bool:
        """Return whether it would continue to write HAProxy's configuration, and respond, as another version does."""
        return self.version != __version__

    @property
    def text(self) -> str:
        version = self.version or "a version before 0.3.0"
        return (f"serve (pid {self.pid}) still runs {version}, not {__version__}: it overwrites haproxy.cfg with "
                "that version's, and its dashboard may fail")

    @property
    def remedy(self) -> str:
        return f"kill {self.pid}   # systemd restarts it; without systemd: deployctl serve"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the home's watcher lock. Raises LeaseHeld if another process has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, FIELD, 0).decode("ascii", "replace").strip()
            raise LeaseHeld(f"a watcher for this home is already running (pid {holder})",
                            remedy=[f"ps -fp {holder}", "systemctl status deployctl"]) from None
        os.pwrite(handle, f"{os.getpid():<{FIELD}}{__version__:<{FIELD}}".encode(), 0)
        yield
    finally:
        os.close(handle)


def find_watcher(folder: Path) -> Watcher | None:
    """Return the running watcher of the home, without taking the lock, which could fail one that is just starting.
    Without information from the kernel, assume none."""
    with suppress(OSError, ValueError):
        number = (folder / LOCK_FILE).stat().st_ino
        if any(" FLOCK " in line and f":{number} " in line for line in PROC_LOCKS.read_text().splitlines()):
            text = (folder / LOCK_FILE).read_text("utf-8")
            return Watcher(int(text[:FIELD]), text[FIELD:].strip() or None)
    return None


def check_watcher(folder: Path) -> list[Finding]:
    """Return what `doctor` reports about the running watcher, if there is one."""
    watcher = find_watcher(folder)
    if watcher is None:
        return []
    if watcher.is_of_another_version:
        return [Finding("serve", ok=False, code="another_version", message=watcher.text, fix=watcher.remedy)]
    return [Finding("serve", ok=True, message=f"pid {watcher.pid}")]
