"""Rows that are no longer needed are removed, in batches, and a checkpoint replaces them in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from deployctl.domain.host.denied_changes import DENIED_KINDS
from deployctl.domain.host.folding import REPEATED
from deployctl.ledger.chain import CHAIN_START, link
from deployctl.ledger.events import EventRows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.host.folding import Folded
    from deployctl.ledger.chain import Row

_KINDS = ", ".join(f"'{kind}'" for kind in DENIED_KINDS)
_REPEATED = ", ".join(f"'{kind}'" for kind in REPEATED)
_CROWDED = f"""
select id from (select id, row_number() over (partition by actor, kind order by id desc) as nth from events
    where kind in ({_REPEATED}) and (actor, kind) in (
        select actor, kind from events where kind in ({_REPEATED}) group by actor, kind having count(*) > ?)) where nth > ?
"""  # noqa: S608  our own words

# The newest lines of each user, as many of everyone as there is room for: a limit of -1 is none.
_FAIR = f"""
select id from (select id, row_number() over (partition by actor order by id desc) as nth from events where kind in ({_KINDS}))
order by nth, id desc limit ?"""  # noqa: S608  ours


class FoldRows(EventRows):
    """Removes rows from the tables `events` and `deployments`."""

    def fold_refusals(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the next lines of rejected changes that were recorded before that time, or exceed the limit. Modified
        rows stay where they are: a checkpoint must never hide them."""
        from deployctl.domain.host.folding import BATCH
        from deployctl.ledger.checkpoint import of_refusals

        with self.db.transaction():
            return _refusals(self._fold_events(self._due_refusals(before, limit=BATCH), of_refusals, at=at, actor=actor))

    def fold_repeated(self, *, at: str, actor: str) -> Folded:
        """Fold the next lines of what one actor has done more often than is kept."""
        from deployctl.domain.host.folding import BATCH
        from deployctl.ledger.checkpoint import of_repeated

        with self.db.transaction():
            return _repeated(self._fold_events(self._due_repeated(limit=BATCH), of_repeated, at=at, actor=actor))

    def _fold_events(self, due: Sequence[Row], made: Callable[[Sequence[Row]], tuple[str, dict[str, Any]]], *, at: str,
                     actor: str) -> list[Row]:
        from deployctl.ledger.checkpoint import CHECKPOINT

        rows = [row for run in self._runs(due) for row in run]
        if rows:
            text, data = made(rows)
            self.event(CHECKPOINT, text, at=at, actor=actor, data=data)
            self.db.execute(f"delete from events where id in ({', '.join(str(row['id']) for row in rows)})")  # noqa: S608  numbers
        return rows

    def fold_plans(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the plans of the next deployments that were closed before that time or exceed the limit, and the app
        states before them."""
        from deployctl.domain.host.folding import BATCH
        from deployctl.ledger.checkpoint import CHECKPOINT, of_plans

        with self.db.transaction():
            rows = self._due_plans(before, limit=BATCH)
            if rows:
                text, data = of_plans(rows)
                self.event(CHECKPOINT, text, at=at, actor=actor, data=data)
                self._slim([row["id"] for row in rows])
        return _plans(rows)

    def _slim(self, ids: Sequence[int]) -> None:
        """Rewrite these deployments without plan and before. If a row only gets shorter, SQLite leaves the space in its
        page, which gets no new rows; deleting gives whole pages back to later rows."""
        among = f"in ({', '.join(map(str, ids))})"
        kept = self.db.execute(f"select * from deployments where id {among}")  # noqa: S608  numbers
        self.db.execute("pragma defer_foreign_keys = on")  # their steps wait for them until the end of the transaction
        self.db.execute(f"delete from deployments where id {among}")  # noqa: S608  numbers
        for row in kept:
            self.db.insert("deployments", {**dict(row), "plan": "", "before": None})

    def foldable(self, *, refusals_before: str, plans_before: str) -> Folded:
        """Return all that would be folded."""
        with self.db.snapshot():
            return (_refusals(self._due_refusals(refusals_before, limit=-1)) + _repeated(self._due_repeated(limit=-1))
                    + _plans(self._due_plans(plans_before, limit=-1)))

    def _due_plans(self, before: str, *, limit: int) -> list[Row]:
        from deployctl.domain.host.folding import PLANS_KEPT, PLANS_SLACK

        newest = ("select finished_at from deployments indexed by plans_kept where plan != '' and finished_at is not null "
                  "order by finished_at desc limit 1 offset ?")
        crowded = self.db.one(newest, [PLANS_KEPT + PLANS_SLACK]) and self.db.one(newest, [PLANS_KEPT])
        return [dict(row) for row in self.db.execute(
            "select id, plan, before from deployments indexed by plans_kept where finished_at < ? and plan != '' "
            "order by id limit ?", [max(before, crowded["finished_at"]) if crowded else before, limit])]

    def _due_repeated(self, *, limit: int) -> list[Row]:
        from deployctl.domain.host.folding import REPEATED_KEPT, REPEATED_SLACK

        return [dict(row) for row in self.db.execute(
            f"select * from events where id in ({_CROWDED}) order by id limit ?",  # noqa: S608  ours
            [REPEATED_KEPT + REPEATED_SLACK, REPEATED_KEPT, limit])]

    def _due_refusals(self, before: str, *, limit: int) -> list[Row]:
        """Return the lines that are too old, and those that exceed the limit: the oldest of the user with most, so that
        nobody pushes out other users' attempts."""
        from deployctl.domain.host.folding import REFUSALS_KEPT, REFUSALS_SLACK

        lines = self.db.one(f"select count(*) as number from events where kind in ({_KINDS})")  # noqa: S608  ours
        kept = REFUSALS_KEPT if lines and lines["number"] > REFUSALS_KEPT + REFUSALS_SLACK else -1
        rows = self.db.execute(f"select * from events where kind in ({_KINDS}) and (at < ? or id not in ({_FAIR})) "  # noqa: S608  ours
                               "order by id limit ?", [before, kept, limit])
        return [dict(row) for row in rows]

    def _runs(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Yield the contiguous events, up to the first modified one."""
        folded = self.checkpoints() if rows else None
        for _, group in groupby(enumerate(rows), lambda pair: pair[1]["id"] - pair[0]):
            run = [row for _, row in group]
            before = self.db.one("select hash from events where id = ?", [run[0]["id"] - 1])
            former = before["hash"] if before else (folded.former(run[0]["id"]) if folded else None) or CHAIN_START
            for row in run:
                if row["hash"] != (former := link(former, row)):
                    break
            else:
                yield run


def _refusals(rows: Sequence[Row]) -> Folded:
    from deployctl.domain.host.folding import Folded

    return Folded(refusals=len(rows), bytes=_bytes(rows))


def _repeated(rows: Sequence[Row]) -> Folded:
    from deployctl.domain.host.folding import Folded

    return Folded(repeated=len(rows), bytes=_bytes(rows))


def _bytes(events: Sequence[Row]) -> int:
    return sum(len(str(value)) for row in events for value in row.values())


def _plans(rows: Sequence[Row]) -> Folded:
    from deployctl.domain.host.folding import Folded

    return Folded(plans=len(rows), bytes=sum(len(row["plan"]) + len(row["before"] or "") for row in rows))
