"""Docker's stream of events as ours. Its silence has an end: one that hears nothing asks again from the last event on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from deployctl.domain.home import HomeIdentity
from deployctl.effects.docker_errors import EngineSilent
from deployctl.effects.docker_reader import Reader, with_query
from deployctl.effects.docker_words import APP, MANAGED
from deployctl.ports import EngineEvent

ACTIONS = ("create", "destroy", "die", "pause", "rename", "start", "unpause", "update")
SECOND = 10**9


def events(reader: Reader, home: HomeIdentity, *, since: int | None, quiet: float, timeout: float) -> Iterator[EngineEvent]:
    """Yield what happens to that home's containers. Raises EngineUnavailable when the stream is cut."""
    pieces = reader.stream(question(since=since), timeout=timeout, quiet=quiet)
    try:
        yield from parse_events(pieces, home, since=since or 0)
    except EngineSilent:
        return


def question(*, since: int | None) -> str:
    filters = {"type": ["container"], "label": [f"{MANAGED}=1"], "event": list(ACTIONS)}
    query: dict[str, object] = {"filters": filters}
    if since is not None:
        query["since"] = f"{since // SECOND}.{since % SECOND:09d}"
    return with_query("/events", query)


def parse_events(pieces: Iterable[bytes], home: HomeIdentity, *, since: int) -> Iterator[EngineEvent]:
    """Yield each event of that home after `since`; they come one JSON object a line, however the bytes were cut."""
    kept = b""
    for piece in pieces:
        *lines, kept = (kept + piece).split(b"\n")
        found = (_event(line, home) for line in lines if line.strip())
        yield from (event for event in found if event is not None and event.at > since)


def _event(line: bytes, home: HomeIdentity) -> EngineEvent | None:
    """Return None for another home's and for what is no event: a later engine may say more than we know."""
    try:
        raw = json.loads(line)
        actor = raw["Actor"]
        labels = actor.get("Attributes") or {}
        event = EngineEvent(int(raw["timeNano"]), str(raw["Action"]), str(actor["ID"]), str(labels.get(APP, "")))
        return event if home.owns(labels) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
