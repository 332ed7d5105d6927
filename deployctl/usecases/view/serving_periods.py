"""Which release was live when: the history of an app's traffic as periods of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.dataclass import dataclass, replace
from deployctl.usecases.clock_math import later, seconds_between
from deployctl.usecases.read_facts import require_app

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Change, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

DEFAULT_PERIOD_DAYS = 7.0
MAX_CHANGES_READ = 400  # changes that are read; what was before them is left out


@dataclass(frozen=True, slots=True)
class Period:
    """One release, or none, from `start` to `end` (ISO 8601, UTC; None: still live). Shares are of the whole window."""

    release: int | None  # number
    version: str | None  # None: no live version
    start: str
    end: str | None
    by: str
    kind: str  # of the change that began it
    note: str = ""
    colour: str | None = None
    left: float = 0.0  # 0 to 1, where it begins in the window
    width: float = 0.0


def find_periods(app: AppName, s: Services, *, days: float = DEFAULT_PERIOD_DAYS) -> tuple[Period, ...]:
    """Return what was live in the last days, earliest first; the time before the first change is not a period."""
    require_app(app, s)
    now = s.clock.utc()
    spans = cut(s.ledger.changes(app, limit=MAX_CHANGES_READ), later(now, -days * 86_400), now)
    numbers = {one.release for one in spans if one.release is not None}
    releases = {n: found for n in numbers if (found := s.ledger.find_release(app, n))}
    return tuple(_named(one, releases) for one in spans)


def cut(changes: Sequence[Change], start: str, end: str) -> list[Period]:
    """Return the periods between `start` and `end`, read from changes in descending order. Pure.

    If clocks disagreed, a change never ends before it began: the revision orders, the time only places.
    """
    whole = max(seconds_between(start, end), 0.001)
    spans: list[Period] = []
    for change in reversed(changes):
        at = min(max(change.at, spans[-1].start if spans else change.at), end)
        if spans and spans[-1].release == change.target:
            continue  # what is live already stays live
        if spans:
            spans[-1] = replace(spans[-1], end=at)
        spans.append(Period(change.target, None, at, None, change.actor, change.kind, change.note))
    return [_placed(one, start, whole, end) for one in spans if (one.end or end) > start]


def _placed(one: Period, start: str, whole: float, end: str) -> Period:
    left = max(0.0, seconds_between(start, one.start) / whole)
    right = min(1.0, seconds_between(start, one.end or end) / whole)
    return replace(one, left=round(left, 5), width=round(max(0.0, right - left), 5))


def _named(one: Period, releases: Mapping[int, Release]) -> Period:
    """Return it with the version; a release that was forgotten with its app keeps its number."""
    if one.release is None:
        return one
    release = releases.get(one.release)
    return replace(one, version=release.version if release else f"release {one.release}",
                   colour=release.colour if release else None)
