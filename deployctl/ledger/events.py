"""The events: one line for whatever happened, each linked to the one before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from deployctl.domain.names import AppName
from deployctl.domain.refused import REFUSED
from deployctl.ledger import checked
from deployctl.ledger.chain import ENDED, PROMOTED, START, find_faults, link, promotion
from deployctl.ledger.checkpoint import CHECKPOINT, Checkpoints
from deployctl.ledger.connection import Connection


class EventRows:
    """Reads and writes the table `events`."""

    db: Connection
    origin: tuple[str, str] | None = None

    def event(self, kind: str, text: str, *, at: str, actor: str, app: AppName | None = None,
              data: Mapping[str, Any] | None = None) -> None:
        with self.db.transaction():  # nobody else may append between the look at the last one and the link to it
            last = self.db.one("select id, hash from events order by id desc limit 1")
            row = {"id": last["id"] + 1 if last else 1, "at": at, "app": app, "actor": actor, "kind": kind,
                   "text": text, "data": json.dumps({**self._whence(actor), **(data or {})})}
            self.db.insert("events", {**row, "hash": link(last["hash"] if last else START, row)})

    def _whence(self, actor: str) -> dict[str, str]:
        return {"address": self.origin[1][:64]} if self.origin and self.origin[0] == actor else {}

    def tell_promotion(self, change: sqlite3.Row) -> None:
        """Let the chain cover the traffic history; the caller's transaction wrote the change."""
        told = promotion(dict(change))
        self.event(PROMOTED, told.text, at=change["at"], actor=change["actor"], app=change["app"], data=told.data)

    def events(self, app: AppName | None = None, *, limit: int = 100) -> list[Mapping[str, Any]]:
        mine = "" if app is None else "where app = ? and kind != ? "  # one statement for both would look at every row
        rows = self.db.execute(f"select * from events {mine}order by id desc limit ?",  # noqa: S608  our own words
                               [limit] if app is None else [app, REFUSED, limit])
        return [{**dict(row), "data": json.loads(row["data"])} for row in rows]

    def find_events(self, *, app: AppName | None = None, among: Collection[AppName] | None = None, who: str | None = None,
                    what: str | None = None, before: int | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        asked = {"app": app, "who": who, "since": f"{who} (", "until": f"{who} )", "what": what, "before": before,
                 "limit": limit, "among": None if among is None else json.dumps(sorted(among))}
        with self.db.snapshot():
            running = [] if before is not None else self.db.execute(_RUNNING, asked)
            rows = [*running, *self.db.execute(_FOUND, asked)]
        return [{**dict(row), "data": json.loads(row["data"])} for row in rows[:limit]]

    def count_events(self) -> int:
        return int(self.db.execute("select count(*) from events")[0][0])

    def head(self) -> str:
        """Return the hash of the last event; who notes it elsewhere can tell later that nothing before was changed."""
        last = self.db.one("select hash from events order by id desc limit 1")
        return str(last["hash"]) if last else START

    def damages(self) -> list[str]:
        """Return what SQLite finds wrong with the file, every page and index of it."""
        found = [row[0] for row in self.db.execute("pragma integrity_check(20)")]
        if found == ["ok"]:
            return []
        checked.forget(self.db.path)
        return [f"SQLite: {text}" for text in found]

    def find_faults(self) -> list[str]:
        """Return one sentence for each row of the history that is not as it was written."""
        with self.db.snapshot():  # a promotion between the two reads would look like a fault
            folded = self.checkpoints()
            faults = find_faults(self._rows("events", "id"), self._rows("changes", "id"), folded.gaps,
                                 {row["name"]: row["active"] for row in self.db.execute("select name, active from apps")})
            plans = self.db.stream("select id, plan = '' as folded from deployments order by id")
            return [*faults, *folded.find_faults(map(dict, plans))]

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(map(dict, self.db.execute("select id, data from events where kind = ?", [CHECKPOINT])))

    def _rows(self, table: str, order: str) -> Iterator[Mapping[str, Any]]:
        return map(dict, self.db.stream(f"select * from {table} order by {order}"))  # noqa: S608  ours


# Three hundred thousand events are searched in a tenth of a second, so no index but that on `app` is kept for it. An actor
# is a name and, behind it, the way in brackets; two kinds are told apart by what lies in their data.
_FITS = f"""
(:app is null or app = :app)
and (:among is null or app in (select value from json_each(:among)))
and (:who is null or actor = :who or (actor >= :since and actor < :until))
and (:what is null or kind = :what
     or (kind in ('{PROMOTED}', '{ENDED}') and json_extract(data, '$.kind') = :what))
"""  # noqa: S608  words of our own
_FOUND = f"select * from events where (:before is null or id < :before) and {_FITS} order by id desc limit :limit"  # noqa: S608
# Refused changes of the minute that runs have the ids that they get, if nothing else is told before.
_RUNNING = f"""
select (select coalesce(max(id), 0) from events) + row_number() over (order by at, rowid) as id,
    at, app, actor, kind, text, data from refusals where {_FITS} order by id desc limit :limit
"""  # noqa: S608  words of our own
