"""Lines of an app's log, filtered while they are read. For a page they are bounded in number, in length and in the time
that anyone waits for an engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from time import monotonic

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import DeployctlError, Invalid
from deployctl.memory import last_of
from deployctl.ports import LogLine, Services
from deployctl.usecases.clock_math import seconds_between
from deployctl.usecases.view.logs import Printed, logs
from deployctl_web.pages.parts.bounded_call import CALL_SECONDS, call_within
from deployctl_web.pages.parts.times import clock

NAMES_WAIT_SECONDS = 0.3  # seconds that a page waits for what is merely nice to know
MAX_LINES_SHOWN = 2000  # lines of a page
MAX_LINES_CHARACTERS = 2 * 2**20  # characters of a page's lines
MAX_LINES_SEARCHED = 10_000  # lines that are searched if there is a filter
LOG_SPANS = {"10m": 600.0, "1h": 3600.0, "24h": 86_400.0}

_LEVELS = tuple((level, re.compile(rf"\b(?:{words})\b")) for level, words in (
    ("error", "ERROR|FATAL|CRITICAL|PANIC|SEVERE|EMERG|Traceback|[A-Z][A-Za-z]*(?:Error|Exception)"),
    ("warn", "WARN|WARNING"), ("info", "INFO|NOTICE"), ("debug", "DEBUG|TRACE")))
_SMALL = re.compile(r"^\W*(?:\S+\s+){0,3}?\W?(error|fatal|critical|panic|warn|warning|info|notice|debug|trace)\b", re.I)
_STATUS_5XX = re.compile(r"(?<=[ =])5[0-9]{2}(?= |$)")
_MEANS = {"fatal": "error", "critical": "error", "panic": "error", "warning": "warn", "notice": "info", "trace": "debug"}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What the address says of the requested lines. `after`: only those later than that."""

    q: str = ""
    version: Version | None = None
    since: str = ""
    n: int = 200
    after: str = ""
    errors: bool = False  # only lines that report an error


@dataclass(frozen=True, slots=True)
class ShownLine:
    at: str
    version: str
    release: int
    name: str  # the version, or VERSION@RELEASE if it has several
    level: str  # error, warn, info, debug, or the stream if the line does not say
    text: str


def read(app: AppName, query: LogQuery, actor: str) -> list[ShownLine]:
    """Return the last lines, oldest first. Raises EngineUnavailable if the engine does not respond in time."""
    until = monotonic() + CALL_SECONDS + 1.0  # the waiting request has left by then

    def fetch(s: Services) -> Iterable[Printed]:
        found = filter(filter_of(query), _written(app, query, s, lambda: monotonic() > until))
        return last_of(found, lambda one: len(one.line.text), room=MAX_LINES_CHARACTERS, most=query.n)

    return [ShownLine(one.line.at, one.version, one.release, one.name, level_of(one.line), one.line.text)
            for one in call_within(fetch, actor, what="the log")]


def save(app: AppName, query: LogQuery, s: Services, left: Callable[[], bool]) -> Iterator[str]:
    """Yield all matching lines, as text, until their reader has `left`. Raises what `logs` raises."""
    found = logs(app, query.version, s, tail=None, since=LOG_SPANS.get(query.since), left=left)
    return (f"{one.line.at} {one.name} {one.line.text}\n" for one in filter(filter_of(query), found))


def last_line(app: AppName, version: str, actor: str) -> str:
    """Return what that version printed last, empty if that is not available immediately."""
    try:
        query = LogQuery(version=Version(version), n=1)
        found = call_within(lambda s: [*_written(app, query, s)], actor, what="the log", wait=NAMES_WAIT_SECONDS)
    except DeployctlError:
        return ""
    return f"{clock(found[-1].line.at)} {found[-1].line.text}"[:400] if found else ""


def _written(app: AppName, query: LogQuery, s: Services, left: Callable[[], bool] = bool) -> Iterator[Printed]:
    since = LOG_SPANS.get(query.since)
    if query.after:
        since = max(1.0, seconds_between(query.after, s.clock.utc()) + 2.0)
    tail = MAX_LINES_SEARCHED if query.q or query.errors or query.after else query.n
    return (one for one in logs(app, query.version, s, tail=tail, since=since, left=left) if one.line.at > query.after)


def filter_of(query: LogQuery) -> Callable[[Printed], bool]:
    """Return what keeps the lines that contain the text, ignoring case, and report an error if that is requested."""
    wanted = query.q.casefold()
    return lambda one: wanted in one.line.text.casefold() and (not query.errors or tells_of_error(one.line))


def tells_of_error(line: LogLine) -> bool:
    """Return whether the line has the level error, or is one of an access log with a 5xx status."""
    return level_of(line) == "error" or _STATUS_5XX.search(line.text[:2000]) is not None


def level_of(line: LogLine) -> str:
    """Return the level that the line states, else its stream."""
    head = line.text[:400]
    if small := _SMALL.search(head[:120]):
        return _MEANS.get(small[1].lower(), small[1].lower())
    return next((level for level, pattern in _LEVELS if pattern.search(head)), "err" if line.stream == "stderr" else "out")


def asked_of(args: dict[str, str], parse: Callable[[str], Version]) -> LogQuery:
    """Return what the query requests. Raises Invalid."""
    number = args.get("n", "")
    if number and not (number.isascii() and number.isdecimal() and len(number) <= 4 and 0 < int(number) <= MAX_LINES_SHOWN):
        raise Invalid(f"n is a number of lines from 1 to {MAX_LINES_SHOWN}.")
    if args.get("since") and args["since"] not in LOG_SPANS:
        raise Invalid(f"since must be one of {', '.join(LOG_SPANS)}.")
    return LogQuery(args.get("q", "")[:200], parse(args["version"]) if args.get("version") else None, args.get("since", ""),
                 int(number) if number else 200, _moment(args.get("after", "")), args.get("errors") == "1")


def _moment(text: str) -> str:
    try:
        return text if text and datetime.fromisoformat(text).tzinfo else ""
    except ValueError:
        return ""
