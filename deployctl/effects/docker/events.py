"""Docker's event stream as ours. Silence is bounded: a quiet stream is reopened from the last event.

Network events carry no label of ours, only the container: so all are read, and foreign ones are dropped here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from deployctl.effects.docker.errors import EngineSilent
from deployctl.effects.docker.reader import with_query
from deployctl.effects.docker.requests import APP_LABEL
from deployctl.ports import ContainerFacts, EngineEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.effects.docker.reader import Reader

WATCHED_ACTIONS = ("create", "destroy", "die", "pause", "rename", "start", "unpause", "update")
PODMANS = {"remove": "destroy", "died": "die"}
DISCONNECT = "disconnect"
NANOSECONDS = 10**9

Find = Callable[[str], ContainerFacts | None]


def events(reader: Reader, home: HomeIdentity, find: Find, *, since: int | None, quiet: float,
           timeout: float) -> Iterator[EngineEvent]:
    """Yield the events of that home's containers; `find` looks up a container by id or name.

    Raises EngineUnavailable if the stream breaks.
    """
    pieces = reader.stream(question(since=since), timeout=timeout, quiet=quiet)
    try:
        yield from parse_events(pieces, home, find, since=since or 0)
    except EngineSilent:
        return


def question(*, since: int | None) -> str:
    filters = {"type": ["container", "network"], "event": [*WATCHED_ACTIONS, *PODMANS, DISCONNECT]}
    query: dict[str, object] = {"filters": filters}
    if since is not None:
        query["since"] = f"{since // NANOSECONDS}.{since % NANOSECONDS:09d}"
    return with_query("/events", query)


def parse_events(pieces: Iterable[bytes], home: HomeIdentity, find: Find, *, since: int) -> Iterator[EngineEvent]:
    """Yield each event of that home after `since`; they arrive as one JSON object a line, in arbitrary chunks."""
    kept = b""
    for piece in pieces:
        *lines, kept = (kept + piece).split(b"\n")
        found = (_event(line, home, find, since=since) for line in lines if line.strip())
        yield from (event for event in found if event is not None)


def _event(line: bytes, home: HomeIdentity, find: Find, *, since: int) -> EngineEvent | None:
    """Return None for what is not an event of that home: a later engine may send more than we know."""
    try:
        raw = json.loads(line)
        at, action, actor = int(raw["timeNano"]), str(raw["Action"]), raw["Actor"]
        named, attributes = str(actor["ID"]), dict(actor.get("Attributes") or {})
        of_network = raw.get("Type") == "network"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if at <= since:
        return None
    if of_network:
        return _cut_off(at, str(attributes.get("container") or named), home, find)  # Docker, Podman
    if not home.owns(attributes):
        return None
    return EngineEvent(at, PODMANS.get(action, action), named, _app(attributes))


def _cut_off(at: int, container: str, home: HomeIdentity, find: Find) -> EngineEvent | None:
    """Return the event of a container that was disconnected from a network while it runs: when it ends, it is
    disconnected from all."""
    seen = find(container)
    if seen is None or not seen.running or not home.owns(seen.labels):
        return None
    return EngineEvent(at, DISCONNECT, seen.id, _app(seen.labels))


def _app(labels: Mapping[str, Any]) -> str:
    return str(labels.get(APP_LABEL, ""))
