"""Figures as rows: median, p99, min–max, and the promise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `limit` is compared with `judged` (median, p95, p99, max or min): a lower bound if `floor`, else an
    upper bound."""

    name: str
    unit: str
    values: Sequence[float]
    promise: str = ""
    judged: str = ""
    limit: float | None = None
    floor: bool = False

    @property
    def kept(self) -> bool | None:
        if self.limit is None:
            return None
        value = {"median": median(self.values), "p95": rank(self.values, 0.95), "p99": p99(self.values),
                 "max": max(self.values), "min": min(self.values)}[self.judged]
        return value >= self.limit if self.floor else value <= self.limit

    def cells(self) -> list[str]:
        verdict = {None: "", True: "yes", False: "**no**"}[self.kept]
        spread = f"{_figure(min(self.values))}–{_figure(max(self.values))}"
        return [self.name, self.unit, str(len(self.values)), _figure(median(self.values)), _figure(p99(self.values)),
                spread, self.promise, verdict]


def p99(values: Sequence[float]) -> float:
    return rank(values, 0.99)


def rank(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def markdown(title: str, rows: Sequence[Row]) -> str:
    head = ["what", "unit", "n", "median", "p99", "min–max", "promised", "kept"]
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|---|---|--:|--:|--:|--:|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row.cells()) + " |" for row in rows), ""])


def _figure(value: float) -> str:
    if math.isnan(value):
        return "–"  # nothing was measured
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
