"""Samples → what a template needs to draw three charts as SVG. `charts_of` reads them, everything else is pure.

Drawn in a box of 360 × 112. A gap in the samples is a gap in the line: nothing is drawn where nothing was measured.
HAProxy counts no percentiles, so the response time is a mean, and is labelled as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby

from deployctl.dataclass import dataclass
from deployctl.domain.images.release import Change, Release
from deployctl.domain.inputs.names import AppName
from deployctl.ports import Services
from deployctl.ports.metrics import Point
from deployctl_web.pages.parts.chart_data import FAILED, REQUESTS, RESPONSE, Measure, Sum, nice

WIDTH, HEIGHT = 360.0, 112.0
NO_DATA = "No requests in this window"
MEAN_SECONDS = 60  # seconds that the big number averages
BEFORE = 300  # seconds that it is compared with: the last ones of the release before
LABEL_WIDTH = 45.0  # width of a version's label at a mark
MAX_CHANGES_SEARCHED = 200  # the newest ones


@dataclass(frozen=True, slots=True)
class ChartSpan:
    """How far a chart reaches back, and its resolution. All in seconds."""

    seconds: int
    step: int  # at most 180 samples for each release
    row: int  # one row of its table
    words: str


CHART_SPANS: Mapping[str, ChartSpan] = {
    "15m": ChartSpan(900, 10, 60, "last 15 minutes"),
    "1h": ChartSpan(3600, 20, 300, "last hour"),
    "24h": ChartSpan(86_400, 480, 3600, "last 24 hours"),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """One release's line. `colour` is a class: b (blue), g (green) or n (none)."""

    release: int
    version: str
    colour: str
    line: str  # path data
    area: str


@dataclass(frozen=True, slots=True)
class Tag:
    version: str
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A switch. A label that would overlap another one is left out."""

    x: float  # in the box
    percent: str  # the same as an attribute: "20.0%"
    at: str  # ISO 8601, UTC
    words: str  # v41 → v42
    left: Tag | None = None
    right: Tag | None = None


@dataclass(frozen=True, slots=True)
class ChartRow:
    at: str  # ISO 8601, UTC: its end
    cells: tuple[str, ...]  # one for each of Chart.versions; "–" if not measured


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. If `empty` has text, it replaces the drawing and nothing else is shown."""

    key: str  # requests, failed, response: also the id of its metric in the live updates
    title: str
    value: str  # of the live release, over the newest minute; "–" if not measured
    unit: str
    delta: str  # "v41 had 201", else ""
    worse: bool  # than that, by far
    top: str  # the highest value of the axis, with its unit
    begin: str  # ISO 8601, UTC, of the left edge; the right edge is now
    traces: tuple[Trace, ...]
    marks: tuple[Mark, ...]
    label: str  # the whole chart as a sentence
    versions: tuple[str, ...]  # columns of the table
    rows: tuple[ChartRow, ...]
    empty: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Shared by all three charts."""

    begin: float
    end: float
    span: ChartSpan
    points: Mapping[int, Sequence[Point]]  # by release, only those of the span, oldest first
    releases: Mapping[int, Release]
    changes: Sequence[Change]  # inside the span, oldest first
    active: int | None
    before: int | None  # live before the active one

    def x(self, at: float) -> float:
        return round(WIDTH * min(1.0, max(0.0, (at - self.begin) / (self.end - self.begin))), 1)

    def tag(self, release: int | None) -> Tag | None:
        found = self.releases.get(release or 0)
        return Tag(found.version, found.colour[0] if found.colour else "n") if found else None


def charts_of(app: AppName, s: Services, *, active: int | None, now: float, span: str = "15m") -> tuple[Chart, Chart, Chart]:
    """Return the three charts of one app from its samples, its releases and its changes. See `draw`."""
    points = s.meter.points(app, since=now - CHART_SPANS[span].seconds)
    changes = s.ledger.changes(app, limit=MAX_CHANGES_SEARCHED)
    numbers = {point.release for point in points} | {n for one in changes for n in (one.source, one.target) if n is not None}
    releases = (s.ledger.find_release(app, number) for number in numbers)
    return draw(points, filter(None, releases), changes, active=active, now=now, span=span)


def draw(points: Iterable[Point], releases: Iterable[Release], changes: Iterable[Change], *, active: int | None,
         now: float, span: str = "15m") -> tuple[Chart, Chart, Chart]:
    """Return requests per second, the share of failed ones and the mean response time of one app.

    `now` is unix seconds; `changes` may come in any order; `active` is the number of the live release.
    """
    frame = _frame(points, releases, changes, active=active, now=now, span=CHART_SPANS[span])
    return _chart(REQUESTS, frame), _chart(FAILED, frame), _chart(RESPONSE, frame)


def _frame(points: Iterable[Point], releases: Iterable[Release], changes: Iterable[Change], *, active: int | None,
           now: float, span: ChartSpan) -> _Frame:
    begin, moves = now - span.seconds, sorted(changes, key=lambda change: change.revision)
    inside = sorted((p for p in points if begin < p.at <= now + span.step), key=lambda point: (point.release, point.at))
    return _Frame(
        begin, now, span, {release: tuple(own) for release, own in groupby(inside, lambda point: point.release)},
        {release.number: release for release in releases},
        tuple(change for change in moves if begin < seconds(change.at) <= now), active,
        next((change.source for change in reversed(moves) if change.target == active), None),
    )  # fmt: skip


def _chart(measure: Measure, frame: _Frame) -> Chart:
    sums = {release: _sums(own, frame.span.step) for release, own in frame.points.items() if release in frame.releases}
    seen = {release: own for release, own in sums.items() if any(measure.of(one) is not None for one in own)}
    order = sorted(seen, key=lambda release: (release == frame.active, seen[release][0].begin))
    busy = any(point.requests for own in frame.points.values() for point in own)
    top = nice(max((measure.of(one) or 0.0 for own in seen.values() for one in own), default=0.0), measure)
    value, delta, worse = _newest(measure, frame)
    versions = tuple(dict.fromkeys(frame.releases[release].version for release in order))
    return Chart(
        key=measure.key, title=measure.title, value=value, unit=measure.unit, delta=delta, worse=worse,
        top=measure.label(top), begin=iso(frame.begin),
        traces=tuple(_trace(release, seen[release], top, measure, frame) for release in order) if busy else (),
        marks=_marks(frame), label=_label(measure, order if busy else (), frame), versions=versions,
        rows=_rows(measure, versions, frame) if busy else (), empty="" if busy else NO_DATA,
    )  # fmt: skip


def _sums(points: Iterable[Point], step: int) -> list[Sum]:
    """Return one for each step with measurements."""
    return [Sum.of(own) for _, own in groupby(points, lambda point: -(-point.at // step))]


# -- the drawing -----------------------------------------------------------------------------------------------
def _trace(release: int, sums: Sequence[Sum], top: float, measure: Measure, frame: _Frame) -> Trace:
    pieces = list(_pieces(sums, top, measure, frame))
    line = " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in pieces)
    area = " ".join(
        "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in (*piece, (piece[-1][0], HEIGHT), (piece[0][0], HEIGHT))) + " Z"
        for piece in pieces
    )
    tag = frame.tag(release) or Tag("", "n")
    return Trace(release, tag.version, tag.colour, line, area)


def _pieces(sums: Sequence[Sum], top: float, measure: Measure, frame: _Frame) -> list[list[tuple[float, float]]]:
    """Return the unbroken parts of a line. Each begins where its first interval begins, so that a single one is
    visible, too."""
    pieces: list[list[tuple[float, float]]] = []
    end = float("-inf")
    for one in sums:
        value = measure.of(one)
        if value is None:
            continue
        y = round(HEIGHT - 1 - (HEIGHT - 2) * value / top, 1)
        if one.begin > end:
            pieces.append([(frame.x(one.begin), y)])
        pieces[-1].append((frame.x(one.end), y))
        end = one.end
    return pieces


def _marks(frame: _Frame) -> tuple[Mark, ...]:
    places = [frame.x(seconds(change.at)) for change in frame.changes]
    return tuple(_mark(change, place, (*places[i - 1 : i], 0.0)[0], (*places[i + 1 : i + 2], WIDTH)[0], frame)
                 for i, (change, place) in enumerate(zip(frame.changes, places, strict=True)))


def _mark(change: Change, x: float, left: float, right: float, frame: _Frame) -> Mark:
    """Return it with labels as far as there is room: a mark on the left has its own label on its right."""
    source, target = frame.tag(change.source), frame.tag(change.target)
    words = f"{source.version if source else 'no live version'} → {target.version if target else 'no live version'}"
    room = x - left >= (2 * LABEL_WIDTH if left else LABEL_WIDTH)
    return Mark(x, f"{100 * x / WIDTH:.1f}%", change.at, words, source if room else None,
                target if right - x >= LABEL_WIDTH else None)


# -- text -------------------------------------------------------------------------------------------------------
def _newest(measure: Measure, frame: _Frame) -> tuple[str, str, bool]:
    """Return the value now, that of the release before, and whether the latter was better by far."""
    served = frame.points.get(frame.active or 0, ())
    moved = next((seconds(c.at) for c in reversed(frame.changes) if c.target == frame.active), None)
    newest = [p for p in served if p.at > frame.end - MEAN_SECONDS]
    alone = [p for p in newest if moved is None or p.at - p.seconds >= moved]  # not the sample in which it took over
    value = measure.of(Sum.of(alone or newest))
    former = frame.tag(frame.before)
    if moved is None or former is None:
        return measure.words(value), "", False
    then = measure.of(Sum.of(p for p in frame.points.get(frame.before or 0, ()) if moved - BEFORE < p.at <= moved))
    if then is None:
        return measure.words(value), "", False
    worse = value is not None and measure.worse(value, then)
    return measure.words(value), f"{former.version} had {measure.label(then)}", worse


def _label(measure: Measure, order: Sequence[int], frame: _Frame) -> str:
    """Return the chart as a sentence for screen readers: the mean of each version, four at most."""
    means = [(frame.releases[n].version, measure.of(Sum.of(frame.points[n]))) for n in order[-4:]]
    parts = [f"{version} {measure.spoken(mean)}" for version, mean in means if mean is not None]
    return f"{measure.sentence}, {frame.span.words}. " + (", then ".join(parts) + "." if parts else f"{NO_DATA}.")


def _rows(measure: Measure, versions: Sequence[str], frame: _Frame) -> tuple[ChartRow, ...]:
    cells: dict[int, dict[str, str]] = {}
    for release, own in frame.points.items():
        for end, points in groupby(own, lambda point: -(-point.at // frame.span.row) * frame.span.row):
            value = measure.of(Sum.of(points))
            if value is not None and release in frame.releases:
                cells.setdefault(end, {})[frame.releases[release].version] = measure.words(value)
    return tuple(ChartRow(iso(min(end, frame.end)), tuple(cells[end].get(version, "–") for version in versions))
                 for end in sorted(cells))


def seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def iso(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
