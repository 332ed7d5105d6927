"""The three charted metrics: how each is derived from what HAProxy counted, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Self

from deployctl.dataclass import dataclass
from deployctl.ports.metrics import Point

_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of samples of one release. `begin` and `end` are unix seconds."""

    begin: float = 0.0
    end: float = 0.0
    seconds: int = 0
    requests: int = 0
    failures: int = 0  # 5xx, and no valid response
    timed: int = 0  # requests whose time is known
    ms: float = 0.0  # sum of these

    @classmethod
    def of(cls, points: Iterable[Point]) -> Self:
        """Return their sum; without samples it has no seconds."""
        found = list(points)
        if not found:
            return cls()
        timed = [(p.requests, p.response_ms) for p in found if p.response_ms is not None]
        return cls(
            min(p.at - p.seconds for p in found), max(p.at for p in found), sum(p.seconds for p in found),
            sum(p.requests for p in found), sum(p.answers_5xx + p.failed for p in found),
            sum(requests for requests, _ in timed), sum(requests * ms for requests, ms in timed),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric. `of` returns None if there is no data."""

    key: str
    title: str
    unit: str
    sentence: str
    of: Callable[[Sum], float | None]
    worse: Callable[[float, float], bool]  # than before
    least_top: float
    most_top: float = math.inf

    def words(self, value: float | None) -> str:
        """Return the number without its unit, as precise as it was counted: HAProxy's times are whole milliseconds."""
        if value is None:
            return "–"
        if value < 1 and self.unit == "ms":
            return "<1"
        if 0 < value < 0.05:
            return "<0.1"
        return f"{value:,.0f}" if value >= 9.95 and self.unit != "%" else f"{value:.1f}"

    def label(self, value: float) -> str:
        """Return the number on its own: with its unit, without decimals if it is whole."""
        text = f"{value:,.0f}" if value == int(value) else self.words(value)
        return text if self.unit == "/ s" else f"{text} {self.unit}"

    def spoken(self, value: float) -> str:
        return f"about {self.words(value)}" if self.unit == "/ s" else f"{self.words(value)} {self.unit}"


def nice(highest: float, measure: Measure) -> float:
    """Return the round number that an axis ends with, slightly above the highest value."""
    wanted = max(highest * 1.05, measure.least_top)
    if wanted >= measure.most_top:
        return measure.most_top
    size = 10.0 ** math.floor(math.log10(wanted))
    return next(step * size for step in _STEPS if step * size >= wanted * (1 - 1e-9))


REQUESTS = Measure(
    "requests", "Requests", "/ s", "Requests per second",
    of=lambda one: one.requests / one.seconds if one.seconds else None,
    worse=lambda value, before: False, least_top=1.0,
)  # fmt: skip
FAILED = Measure(
    "failed", "Failed requests", "%", "Share of failed requests",
    of=lambda one: 100 * one.failures / one.requests if one.requests else None,
    worse=lambda value, before: value >= 1 and value >= 2 * before, least_top=1.0, most_top=100.0,
)  # fmt: skip
RESPONSE = Measure(
    "response", "Response time, mean", "ms", "Mean response time",
    of=lambda one: one.ms / one.timed if one.timed else None,
    worse=lambda value, before: value >= 1.3 * before and value >= before + 10, least_top=10.0,
)  # fmt: skip
