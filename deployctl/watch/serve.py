"""The long-lived process: one for each home. A signal ends it; HAProxy and the apps live on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from deployctl.errors import DeployctlError, Interrupted, LeaseHeld, Refused
from deployctl.ports import Services
from deployctl.settings import Settings
from deployctl.watch.bell import Bell, start_following
from deployctl.watch.watch import TICK, Watch

SETTLE = 0.3  # seconds after an event: `docker restart` is two of them
PATIENCE = 2.0  # seconds before a ledger that was replaced and cannot be read is opened again

Connect = Callable[[], Services]
Beside = Callable[[Services], AbstractContextManager[object]]
Stamp = tuple[int, int] | None


def serve(settings: Settings, connect: Connect, *, beside: Beside = nullcontext) -> None:
    """Watch until a signal comes, with what `beside` makes of the services around it. Raises what keeps it from
    beginning; later errors are said and survived."""
    with only_one(settings.state_dir):
        try:
            s = connect()
            with beside(s):
                while True:
                    watch_until_replaced(s, settings.ledger)
                    s = _connect_again(s, connect)
        except (KeyboardInterrupt, Interrupted):
            return


def watch_until_replaced(s: Services, ledger: Path) -> None:
    """Watch as long as the ledger is the file that was opened: a backup that was put back is another one."""
    bell, watch, stamp = Bell(), Watch(s), _stamp(ledger)
    ended = start_following(s.engine, bell, now=s.clock.utc())
    rung = frozenset[str]()
    try:
        while _stamp(ledger) in {stamp, None}:
            _require_here(s)
            watch.tick(rung)
            _keep_copy(s)
            if rung := bell.wait(TICK):
                s.clock.sleep(SETTLE)
                rung |= bell.wait(0)
    finally:
        ended.set()


def _require_here(s: Services) -> None:
    """Raise when the home was moved, and is led here by a link only: whoever goes on by the former name would undo what
    commands do at the place where it lies now."""
    try:
        place = s.ledger.identity.path
    except DeployctlError:  # the watch says it
        return
    if place != str(s.home):
        raise Refused(f"the home {s.home} lies at {place} now: the watcher ends, and has to be started there.",
                      remedy=[f"deployctl --home {place} serve", f"sudo deployctl --home {place} install"])


def _keep_copy(s: Services) -> None:
    """Copy the ledger when this process has written a promotion; a disk that is full must not end the watch."""
    try:
        s.ledger.keep_copy(at=s.clock.utc())
    except DeployctlError as e:
        s.report.warn(e.message)


def _connect_again(s: Services, connect: Connect) -> Services:
    while True:
        try:
            return connect()
        except DeployctlError as e:
            s.report.warn(e.message)
            s.clock.sleep(PATIENCE)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the home's place of a watcher. Raises LeaseHeld when another process has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "watcher.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
