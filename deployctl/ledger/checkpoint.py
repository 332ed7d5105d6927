"""A checkpoint is an event that stands for rows that were removed. It carries the hash of what it replaces, and the
chain continues across them: the event after a gap is linked to the last one in it, whose hash the checkpoint has kept.

`data`: of (events or plans), spans (events: [first id, last id, hash of the last]; plans: [first id, last id] of
deployments), rows, sha256 (over the hashes of the events, or over id, plan and before of the deployments), and a
summary for people.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from deployctl.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.ledger.chain import Row


CHECKPOINT = "checkpoint"  # the kind of the event
EVENTS, PLANS = "events", "plans"
PEOPLE = 5  # users with the most attempts


# -- creating one ------------------------------------------------------------------------------------------------------
def of_refusals(rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
    """Return text and data of the checkpoint for these events, which are in the order of their ids."""
    who = Counter[str]()
    for row in rows:
        who[row["actor"]] += json.loads(row["data"]).get("count", 1)
    attempts = sum(who.values())
    return (f"{len(rows)} lines of denied changes, {attempts} attempts from {_span(rows)}, were folded into this line",
            {**_of_events(rows, who), "attempts": attempts})


def of_repeated(rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
    """Return text and data of the checkpoint for these events, which are in the order of their ids."""
    kinds = Counter(row["kind"] for row in rows)
    summary = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
    return (f"{len(rows)} lines of frequent actions from {_span(rows)} were folded into this line: {summary}",
            {**_of_events(rows, Counter(row["actor"] for row in rows)), "kinds": dict(kinds)})


def _of_events(rows: Sequence[Row], who: Counter[str]) -> dict[str, Any]:
    return {"of": EVENTS, "rows": len(rows), "spans": [[*ids, hash_] for ids, hash_ in _spans(rows)],
            "by": dict(who.most_common(PEOPLE)), "sha256": _digest(row["hash"] for row in rows)}


def _span(rows: Sequence[Row]) -> str:
    return f"{rows[0]['at']} to {rows[-1]['at']}"


def of_plans(rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
    """Return text and data of the checkpoint for the plans of these deployments: id, plan, before."""
    return f"the plans of {len(rows)} closed deployments were folded into this line", {
        "of": PLANS, "rows": len(rows), "spans": [[*ids] for ids, _ in _spans(rows)],
        "sha256": _digest(json.dumps([row["id"], row["plan"], row["before"]]) for row in rows)}


def _spans(rows: Sequence[Row]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield first and last id of each contiguous range, and the hash of the last if it has one."""
    first = 0
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        first = first or row["id"]
        if after is None or after["id"] != row["id"] + 1:
            yield (first, row["id"]), row.get("hash", "")
            first = 0


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


# -- reading them -----------------------------------------------------------------------------------------------------
class Checkpoints:
    """What the checkpoints of a ledger record as removed. An unreadable one records nothing: the walk finds it
    altered."""

    def __init__(self, events: Iterable[Row]) -> None:
        self.gaps: dict[int, tuple[int, str]] = {}  # first id → last id and its hash
        self._ends: dict[int, str] = {}  # last id → its hash
        self.plans: set[int] = set()  # deployments
        for event in events:
            try:
                self._read(event["id"], json.loads(event["data"]))
            except (ValueError, TypeError, KeyError):
                continue

    def _read(self, number: int, data: Mapping[str, Any]) -> None:
        for first, last, *hash_ in data["spans"]:
            if data["of"] == PLANS:
                self.plans.update(range(first, last + 1))
            elif first <= last < number:
                self.gaps[first] = last, str(hash_[0])
                self._ends[last] = str(hash_[0])

    def former(self, number: int) -> str | None:
        """Return the hash of the event before that number, if that was folded."""
        return self._ends.get(number - 1)

    def find_faults(self, deployments: Iterable[Row]) -> Iterator[str]:
        """Yield where these deployments (id, folded) contradict it."""
        for row in deployments:
            if bool(row["folded"]) is not (row["id"] in self.plans):
                yield (f"the plan of deployment {row['id']} is missing, and no checkpoint has replaced it" if row["folded"]
                       else f"the plan of deployment {row['id']} was replaced by a checkpoint, but another one is present")
