"""One change per app at a time: the lease, its holder and its fencing token."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from deployctl.domain.deployment import LeaseFacts
from deployctl.domain.names import AppName
from deployctl.ledger.connection import Connection

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LeaseRows:
    """Reads and writes the table `leases`. A token only ever grows, so a holder that was passed over can be told."""

    db: Connection

    def take_lease(self, app: AppName, *, holder: str, verb: str, at: str) -> int | LeaseFacts:
        """Return this process's fencing token, or who holds the lease. A dead holder's lease is free."""
        with self.db.transaction():
            row = self.db.one("select * from leases where app = ?", [app])
            if row and row["holder"] is not None and _alive(row):
                return LeaseFacts(app, row["holder"], row["verb"], row["pid"], row["since"], row["token"])
            token = (row["token"] if row else 0) + 1
            self.db.execute(
                "insert or replace into leases(app, token, holder, verb, pid, pid_start, boot, since) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                [app, token, holder, verb, os.getpid(), process_start(os.getpid()), _boot(), at])
        return token

    def give_lease_back(self, app: AppName, token: int) -> None:
        """Free the lease if it is still ours."""
        self.db.execute("update leases set holder = null where app = ? and token = ?", [app, token])

    def lease_is_ours(self, app: AppName, token: int) -> bool:
        return self.db.one("select 1 from leases where app = ? and token = ? and holder is not null",
                           [app, token]) is not None

    def find_lease(self, app: AppName) -> LeaseFacts | None:
        """Return the living holder of the app's lease."""
        row = self.db.one("select * from leases where app = ? and holder is not null", [app])
        if row is None or not _alive(row):
            return None
        return LeaseFacts(app, row["holder"], row["verb"], row["pid"], row["since"], row["token"])


def _alive(row: sqlite3.Row) -> bool:
    return bool(row["boot"] == _boot() and process_start(row["pid"]) == row["pid_start"])


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # not Linux: pid and start time must do
        return ""


def process_start(pid: int) -> int | None:
    """Return when that process started, in clock ticks since boot (proc(5), field 22); None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
