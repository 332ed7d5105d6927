"""The latest events of one app in order of time: switches of traffic, failed deployments, holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from deployctl.dataclass import dataclass
from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import TRAFFIC_MOVES, PlanKind
from deployctl.domain.inputs.names import backing_of
from deployctl.usecases.change.annotate import notes_of_changes, with_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.images.release import Change, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

MAX_ACTIVITY_SHOWN = 7
HOLD_EVENTS = {"held": ("", " was put on hold"), "released": ("Hold of ", " released")}
OTHER_EVENTS = frozenset({"readiness", "recovered", "emergency", "reconcile", "drift"})
TELLING = 4  # events read for each one shown; most belong to a switch of traffic, which has a line already


@dataclass(frozen=True, slots=True)
class Deed:
    """One line: `before`, the version, `after` form the sentence."""

    at: str
    kind: str  # upgrade, rollback, undo, stop, failed, stopped, held, released, readiness, …
    before: str
    version: str | None
    after: str
    by: str
    note: str = ""
    more: str = ""  # figures, or why it failed
    colour: str | None = None  # of the release that is live since
    revision: int | None = None
    release: int | None = None


def recent(app: AppName, s: Services, *, limit: int = MAX_ACTIVITY_SHOWN) -> tuple[Deed, ...]:
    """Return the latest events, newest first. Reads only the ledger, and never more than a few dozen rows."""
    notes = notes_of_changes(app, s)
    changes = [with_note(change, notes) for change in s.ledger.changes(app, limit=limit)]
    attempts = [d for d in s.ledger.deployments(app, limit=limit) if d.phase in {Phase.REVERTED, Phase.STUCK}]
    events = s.ledger.events(app, limit=limit * TELLING)
    find = _finder(app, s)
    deeds = [*(_changed(c, find) for c in changes), *(_failed(d, find) for d in attempts), *_event_lines(events)]
    return tuple(sorted(deeds, key=lambda deed: (deed.at, deed.revision or 0), reverse=True)[:limit])


def _finder(app: AppName, s: Services) -> Callable[[int | None], Release | None]:
    known: dict[int, Release | None] = {}

    def find(number: int | None) -> Release | None:
        if number is None:
            return None
        if number not in known:
            known[number] = s.ledger.find_release(app, number)
        return known[number]

    return find


_SENTENCES = {
    PlanKind.UPGRADE: ("", " took the traffic"), PlanKind.ROLLBACK: ("Rolled back to ", ""),
    PlanKind.UNDO: ("Undone, back on ", ""),
    PlanKind.START: ("", " serves again"), "emergency": ("Flipped to ", " in an emergency"), "drift": ("Found serving: ", ""),
}  # fmt: skip


def _changed(change: Change, find: Callable[[int | None], Release | None]) -> Deed:
    release = find(change.target)
    took = f"switched in {change.switch_ms:.0f} ms" if change.switch_ms else ""
    backing = backing_of(change.app) is not None
    if change.target is None:
        left = find(change.source)
        before = "Stopped: " if backing else "Taken out of traffic: "
        return Deed(change.at, PlanKind.STOP, before, left.version if left else None, "", change.actor,
                    change.note, took, revision=change.revision, release=change.source)
    before, after = _SENTENCES.get(change.kind, ("", f" serves ({change.kind})"))
    after = " runs" if backing and change.kind == PlanKind.UPGRADE else after
    return Deed(change.at, change.kind, before, release.version if release else f"release {change.target}", after,
                change.actor, change.note, took, release.colour if release else None, change.revision, change.target)


def _failed(attempt: Deployment, find: Callable[[int | None], Release | None]) -> Deed:
    release = find(attempt.target)
    at, version = attempt.finished_at or attempt.started_at, release.version if release else None
    if attempt.abort_by:
        return Deed(at, "stopped", "", version, f" stopped by {attempt.abort_by}", attempt.actor, attempt.note,
                    release=attempt.target)
    after = f" {attempt.kind} needs manual intervention" if attempt.phase is Phase.STUCK else (
        " stopped before going live" if attempt.kind in TRAFFIC_MOVES else f" did not {attempt.kind}")
    return Deed(at, "failed", "", version, after, attempt.actor, attempt.note, _first_line(attempt.error or ""),
                release=attempt.target)


def _event_lines(events: Sequence[Mapping[str, Any]]) -> Iterator[Deed]:
    for event in events:
        if event["kind"] in HOLD_EVENTS:
            before, after = HOLD_EVENTS[event["kind"]]
            yield Deed(event["at"], event["kind"], before, _held(event), after, event["actor"],
                       str(event["data"].get("note") or ""))
        elif event["kind"] in OTHER_EVENTS:
            yield Deed(event["at"], event["kind"], str(event["text"]), None, "", event["actor"])


def _held(event: Mapping[str, Any]) -> str:
    """Return which version was put on hold; older builds named it only in the text, after the app."""
    return str(event["data"].get("version", event["text"]))


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")
