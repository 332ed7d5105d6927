"""Rejected changes of the current minute: counted in one row each, and recorded as events once the minute is over."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from deployctl.ledger.events import EventRows

if TYPE_CHECKING:
    from deployctl.domain.host.denied_changes import RefusedChange


class RefusalRows(EventRows):
    """Reads and writes the table `refusals`."""

    def note_refusal(self, one: RefusedChange) -> None:
        """Count it, and record the lines of past minutes."""
        from deployctl.domain.host.denied_changes import gathered

        with self.db.transaction():
            self.record_refusals(at=one.at)
            row = self.db.one("select * from refusals where minute = ? and actor = ? and route = ?",
                              [one.minute, one.actor, one.route])
            line = gathered(_refused(row) if row else None, one)
            self.db.execute(
                "insert or replace into refusals(minute, actor, route, kind, text, at, app, data) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                [line.minute, line.actor, line.route, line.kind, line.text, line.at, line.app, json.dumps(line.data)])

    def record_refusals(self, *, at: str) -> None:
        """Write one event for each line of a minute other than that one: a clock may be set back."""
        if not self.db.one("select 1 from refusals where minute != ?", [at[:16]]):
            return
        with self.db.transaction():
            for row in self.db.execute("delete from refusals where minute != ? returning *", [at[:16]]):
                line = _refused(row)
                self.event(line.kind, line.text, at=line.at, actor=line.actor, app=line.app, data=line.data)


def _refused(row: sqlite3.Row) -> RefusedChange:
    from deployctl.domain.host.denied_changes import RefusedChange

    return RefusedChange(row["kind"], row["actor"], row["route"], row["text"], row["at"], row["app"], json.loads(row["data"]))
