"""The events: one row for whatever happened, each linked to the one before. Denied changes are counted in a row
each, and become events once their minute is over."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from deployctl.domain.host.actor import stored_range
from deployctl.domain.host.denied_changes import REFUSED
from deployctl.ledger.chain import CHAIN_START, ENDED, PROMOTED, find_faults, link, promotion
from deployctl.ledger.file import checked
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.host.denied_changes import RefusedChange
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.checkpoint import Checkpoints
    from deployctl.ledger.file.connection import LedgerConnection


class EventRows:
    """Reads and writes the table `events`."""

    db: LedgerConnection
    origin: tuple[str, str] | None = None

    def event(self, kind: str, text: str, *, at: str, actor: str, app: AppName | None = None,
              data: Mapping[str, Any] | None = None) -> None:
        with self.db.transaction():  # nothing else may append between reading the last one and linking to it
            last = self.db.one("select id, hash from events order by id desc limit 1")
            row = {"id": last["id"] + 1 if last else 1, "at": at, "app": app, "actor": actor, "kind": kind,
                   "text": text, "data": json.dumps({**self._whence(actor), **(data or {})})}
            self.db.insert("events", {**row, "hash": link(last["hash"] if last else CHAIN_START, row)})

    def _whence(self, actor: str) -> dict[str, str]:
        return {"address": self.origin[1][:64]} if self.origin and self.origin[0] == actor else {}

    def tell_promotion(self, change: sqlite3.Row) -> None:
        """Let the chain cover the traffic history; the caller's transaction wrote the change."""
        entry = promotion(dict(change))
        self.event(PROMOTED, entry.text, at=change["at"], actor=change["actor"], app=change["app"], data=entry.data)

    def events(self, app: AppName | None = None, *, kind: str | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        wanted = {"app": app, "kind": kind, "but": None if app is None or kind else REFUSED}
        return self._decoded(self._select("events", wanted, limit))

    def find_events(self, *, app: AppName | None = None, among: Collection[AppName] | None = None, who: str | None = None,
                    what: str | None = None, before: int | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        wanted = {"app": app, "who": who, "what": what, "among": None if among is None else json.dumps(sorted(among))}
        with self.db.snapshot():
            running = [] if before is not None else self._select(_RUNNING, wanted, limit)
            return self._decoded([*running, *self._select("events", {**wanted, "before": before}, limit)][:limit])

    def _select(self, whence: str, wanted: Mapping[str, str | int | None], limit: int) -> list[sqlite3.Row]:
        """Return the last ones that match every given condition: a condition that may be null would scan every row."""
        where = " and ".join(_WANTED[name] for name, value in wanted.items() if value is not None) or "true"
        since, until = stored_range(str(wanted.get("who")))
        return self.db.execute(f"select * from {whence} where {where} order by id desc limit :limit",  # noqa: S608  our own words
                               {**wanted, "since": since, "until": until, "limit": limit})

    def _decoded(self, rows: Sequence[sqlite3.Row]) -> list[Mapping[str, Any]]:
        return [{**dict(row), "data": json.loads(row["data"])} for row in rows]

    def count_events(self) -> int:
        return int(self.db.execute("select count(*) from events")[0][0])

    def head(self) -> str:
        """Return the hash of the last event; noted elsewhere, it shows later that nothing before it was changed."""
        last = self.db.one("select hash from events order by id desc limit 1")
        return str(last["hash"]) if last else CHAIN_START

    def damages(self) -> list[str]:
        """Return what SQLite finds wrong with the file, every page and index, and what in its schema is not ours."""
        from deployctl.ledger.file.own_schema import find_strange  # creates a ledger in memory: only needed here

        found = [row[0] for row in self.db.execute("pragma integrity_check(20)")]
        if found == ["ok"]:
            return find_strange(self.db)
        checked.forget(self.db.path)
        return [f"SQLite: {text}" for text in found]

    def unchecked_since(self) -> Mapping[str, Any] | None:
        """Return the event of the last time that this ledger was restored from a backup that could not be verified:
        backups made of it since carry a valid checksum, and still contain what was not verified."""
        from deployctl.ledger.file.copy_sum import CopyCheck

        put_back = self.db.one("select * from events where kind in ('restore', 'rebuild') "
                               "and json_extract(data, '$.copy') != ? order by id desc limit 1", [CopyCheck.GOOD])
        return dict(put_back) if put_back else None

    def find_faults(self) -> list[str]:
        """Return one sentence for each modified row of the history."""
        with self.db.snapshot():  # a promotion between the two reads would look like a fault
            folded = self.checkpoints()
            faults = find_faults(self._rows("events", "id"), self._rows("changes", "id"), folded.gaps,
                                 {row["name"]: row["active"] for row in self.db.execute("select name, active from apps")})
            plans = self.db.stream("select id, plan = '' as folded from deployments order by id")
            return [*faults, *folded.find_faults(map(dict, plans))]

    def checkpoints(self) -> Checkpoints:
        from deployctl.ledger.checkpoint import CHECKPOINT, Checkpoints

        return Checkpoints(map(dict, self.db.execute("select id, data from events where kind = ?", [CHECKPOINT])))

    def _rows(self, table: str, order: str) -> Iterator[Mapping[str, Any]]:
        return map(dict, self.db.stream(f"select * from {table} order by {order}"))  # noqa: S608  ours


# An index finds them by app, and by app and kind. A scan by user or action takes a tenth of a second for three hundred
# thousand, so there is no index for that. An actor is a name followed by the door in brackets; two kinds are distinguished by
# their data.
_WANTED = {
    "app": "app = :app",
    "kind": "kind = :kind",
    "but": "kind != :but",
    "among": "app in (select value from json_each(:among))",
    "who": "(actor = :who or (actor >= :since and actor < :until))",
    "what": f"(kind = :what or (kind in ('{PROMOTED}', '{ENDED}') and json_extract(data, '$.kind') = :what))",
    "before": "id < :before",
}
# Rejected changes of the current minute have the ids they will get if nothing else is recorded first.
_RUNNING = """(
select (select coalesce(max(id), 0) from events) + row_number() over (order by at, rowid) as id,
    at, app, actor, kind, text, data from refusals)"""


# -- denied changes ------------------------------------------------------------------------------------------------
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
