"""One change per app at a time: the lease, its holder, the holder's heartbeat and the fencing token.

A holder that died, or has sent no heartbeat for LEASE_SECONDS, holds nothing any more. Time is counted
since boot, including sleep: a wall clock may be set, and two processes must read the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

from deployctl.domain.change.deployment import LeaseFacts
from deployctl.errors import DeployctlError
from deployctl.ledger.file.connection import LedgerConnection
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from deployctl.domain.inputs.names import AppName

    class Machine(Protocol):
        """The processes of this machine, as far as a lease needs them."""

        def pid(self) -> int: ...
        def started(self, pid: int) -> int | None:
            """Return when that process started, in clock ticks since boot; None if it has ended."""
        def boot(self) -> str: ...
        def uptime(self) -> float:
            """Return the seconds since boot."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


LEASE_SECONDS = 15.0  # as long as Kubernetes' leader election gives a silent leader by default
BEAT_SECONDS = 3.0  # five chances before the lease is lost


class LeaseRows:
    """Reads and writes the table `leases`. A token only ever grows, so a holder whose lease was taken over can be
    recognised."""

    db: LedgerConnection
    machine: Machine

    def take_lease(self, app: AppName, *, holder: str, verb: str, at: str, by_force: bool = False) -> int | LeaseFacts:
        """Return this process's fencing token, or who holds the lease. A dead or silent holder's lease is free;
        `by_force` takes it from a living one, too, which then finds a higher token and does nothing more."""
        return self.db.insist(lambda: self._take(app, holder, verb, at, by_force))

    def _take(self, app: AppName, holder: str, verb: str, at: str, by_force: bool) -> int | LeaseFacts:
        with self.db.transaction():
            row = self.db.one("select * from leases where app = ?", [app])
            if row and not by_force and self._is_held(row):
                return _facts(app, row)
            token = (row["token"] if row else 0) + 1
            me = self.machine.pid()
            self.db.execute(
                "insert or replace into leases(app, token, holder, verb, pid, pid_start, boot, since, beat) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [app, token, holder, verb, me, self.machine.started(me), self.machine.boot(), at, self.machine.uptime()])
        return token

    def give_lease_back(self, app: AppName, token: int) -> None:
        """Free the lease if it is still ours."""
        self.db.execute("update leases set holder = null where app = ? and token = ?", [app, token])

    def lease_is_ours(self, app: AppName, token: int) -> bool:
        return _is_ours(self.db, app, token)

    def this_process(self) -> str:
        me = self.machine.pid()
        return f"{me} {self.machine.started(me)} {self.machine.boot()}"

    def lives(self, process: str) -> bool:
        pid, _, rest = process.partition(" ")
        return pid.isdecimal() and rest == f"{self.machine.started(int(pid))} {self.machine.boot()}"

    @contextmanager
    def lease_beside(self, app: AppName, token: int) -> Iterator[Callable[[], bool]]:
        with closing(LedgerConnection(self.db.path)) as beside:
            yield lambda: _is_ours(beside, app, token)

    def find_lease(self, app: AppName) -> LeaseFacts | None:
        """Return the living holder of the app's lease."""
        row = self.db.one("select * from leases where app = ?", [app])
        return _facts(app, row) if row and self._is_held(row) else None

    @contextmanager
    def heartbeat(self, app: AppName, token: int) -> Iterator[None]:
        """Send heartbeats while inside, from a thread of its own: a step may take long."""
        done = Event()
        thread = Thread(target=self._beat_until, args=(done, app, token), name=f"lease of {app}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(BEAT_SECONDS)

    def _beat_until(self, done: Event, app: AppName, token: int) -> None:
        """A ledger that cannot be written for a moment costs one heartbeat; the lease survives four of those."""
        while not done.wait(BEAT_SECONDS):
            with suppress(DeployctlError), closing(LedgerConnection(self.db.path)) as beside:
                beside.execute("update leases set beat = ? where app = ? and token = ? and holder is not null",
                               [self.machine.uptime(), app, token])

    def _is_held(self, row: sqlite3.Row) -> bool:
        return row["holder"] is not None and self._lives(row) and not self._silent(row)

    def _lives(self, row: sqlite3.Row) -> bool:
        return bool(row["boot"] == self.machine.boot() and self.machine.started(row["pid"]) == row["pid_start"])

    def _silent(self, row: sqlite3.Row) -> bool:
        """A row without a heartbeat was written by a deployctl that sent none: its process alone decides."""
        return row["beat"] is not None and self.machine.uptime() - row["beat"] > LEASE_SECONDS


def _is_ours(db: LedgerConnection, app: AppName, token: int) -> bool:
    return db.one("select 1 from leases where app = ? and token = ? and holder is not null", [app, token]) is not None


def _facts(app: AppName, row: sqlite3.Row) -> LeaseFacts:
    return LeaseFacts(app, row["holder"], row["verb"], row["pid"], row["since"], row["token"])
