"""Every event carries the hash of itself and of the event before: what was once recorded cannot change unnoticed.

Each switch of traffic is recorded among the events, too, so the chain covers the traffic history. It is not a
signature: anyone who may write the file may write a whole new chain. It detects accidents, not careful forgery.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

HASHED_FIELDS = ("id", "at", "app", "actor", "kind", "text", "data")  # as stored; `data` is its JSON text
CHAIN_START = ""  # what the first event is linked to
PROMOTED = "promoted"  # the kind of an event that records a switch of traffic
ENDED = "ended"  # the kind of an event that records how a deployment ended, if no switch of traffic does
UNTOLD = frozenset({"id", "app", "at", "actor"})  # columns of a change that its event has as columns of its own

Row: TypeAlias = "Mapping[str, Any]"


@dataclass(frozen=True, slots=True)
class HashedEvent:
    text: str
    data: dict[str, Any]


def link(former: str | None, row: Row) -> str:
    """Return the hash of an event that follows the one with the hash `former`."""
    body = json.dumps([row[name] for name in HASHED_FIELDS], separators=(",", ":"))
    return sha256(f"{former or ''}\n{body}".encode()).hexdigest()


def links(rows: Iterable[Row]) -> Iterator[tuple[int, str]]:
    """Yield the id of each row with the hash it gets when all are linked again."""
    former = CHAIN_START
    for row in rows:
        former = link(former, row)
        yield row["id"], former


def promotion(change: Row) -> HashedEvent:
    """Return the data of the event for a switch of traffic: every column of it."""
    source, target = (f"release {n}" if n is not None else "none" for n in (change["source"], change["target"]))
    return HashedEvent(f"{change['kind']}: {source} → {target}",
                {name: value for name, value in change.items() if name not in UNTOLD})


# -- verification --------------------------------------------------------------------------------------------------
def find_faults(events: Iterable[Row], changes: Iterable[Row], gaps: Mapping[int, tuple[int, str]],
                actives: Mapping[str, int | None]) -> list[str]:
    """Return one sentence for each row that is missing or was modified. `gaps`: first id of folded events → the last
    one's id and hash; `actives` is the active release of each app."""
    recorded: dict[tuple[str, int], Row] = {}
    faults = []
    for event, fault in _walked(events, gaps):
        faults += [fault] if fault else []
        if event["kind"] == PROMOTED:
            data = _data(event)
            recorded[event["app"], data.get("revision", 0)] = {**data, **{k: event[k] for k in ("app", "at", "actor")}}
    return [*faults, *_untrue(recorded, changes, dict(actives))]


def _walked(events: Iterable[Row], gaps: Mapping[int, tuple[int, str]]) -> Iterator[tuple[Row, str | None]]:
    """Yield each event with what is wrong with it; the walk continues from the hash that it carries."""
    former, expected = CHAIN_START, 1
    for event in events:
        while event["id"] > expected and expected in gaps:
            last, former = gaps[expected]
            expected = last + 1
        yield event, _fault(event, former, expected)
        former, expected = event["hash"], event["id"] + 1


def _fault(event: Row, former: str | None, expected: int) -> str | None:
    number = event["id"]
    if number != expected:
        last = number - 1
        return f"event {last} is missing" if last == expected else f"events {expected} to {last} are missing"
    if event["hash"] is None:
        return f"event {number} ({event['kind']}, {event['at']}) was added outside the chain: it has no hash"
    if event["hash"] != link(former, event):
        return f"event {number} ({event['kind']}, {event['at']}) was altered"
    return None


def _data(event: Row) -> dict[str, Any]:
    try:
        return dict(json.loads(event["data"]))
    except (ValueError, TypeError):
        return {}


def _untrue(recorded: dict[tuple[str, int], Row], changes: Iterable[Row], actives: dict[str, int | None]) -> Iterator[str]:
    """Yield where the traffic history contradicts the events, and releases that are active without a change."""
    last: dict[str, Row] = {}
    for change in changes:
        app, revision = change["app"], change["revision"]
        event = recorded.pop((app, revision), None)
        if event is None:
            yield f"revision {revision} of {app} is in the traffic history, but has no event"
        elif differing := sorted(name for name in change if name != "id" and change[name] != event.get(name)):
            yield f"revision {revision} of {app} was altered: {', '.join(differing)}"
        if revision > last.get(app, {"revision": 0})["revision"]:
            last[app] = change
    yield from (f"revision {revision} of {app} is missing from the traffic history" for app, revision in recorded)
    for app, active in actives.items():
        if app in last and last[app]["target"] != active:
            yield f"{app}: release {active} is recorded as active, but its last switch was to release {last[app]['target']}"
