"""A cost at several sizes, as rows: each size, and how it grows, for both builds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

from bench.table import Row

Measured = Mapping[int, Sequence[float]]  # size → its values


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised for this build, each an upper bound: the exponent, the slope, the median at the largest size."""

    exponent: float | None = None
    slope: float | None = None
    largest: float | None = None


def exponent(measured: Measured) -> float:
    """Return e of `cost = a · size^e`: least squares of the medians, both sides as logarithms. Sizes and costs are above 0."""
    return linear_regression([math.log(size) for size in measured],
                             [math.log(median(values)) for values in measured.values()]).slope


def slope(measured: Measured) -> float:
    """Return how much one more unit of the size adds: least squares of the medians."""
    return linear_regression(list(measured), [median(values) for values in measured.values()]).slope


def rows(what: str, unit: str, per: str, before: Measured, now: Measured, promise: Promise) -> list[Row]:
    """Return a row for each build and size, then exponents and slopes. `per` is what the size counts: "releases"."""
    found = []
    for name, measured, judged in (("0.1.0", before, Promise()), ("this build", now, promise)):
        largest = max(measured)
        found += [_limited(f"{what}, {size:,} {per}: {name}", unit, values, judged.largest if size == largest else None)
                  for size, values in measured.items()]
        found.append(_limited(f"{what}: exponent over {per}: {name}", "", [exponent(measured)], judged.exponent))
        found.append(_limited(f"{what}: slope over {per}: {name}", f"{unit} each", [slope(measured)], judged.slope))
    return found


def _limited(name: str, unit: str, values: Sequence[float], limit: float | None) -> Row:
    if limit is None:
        return Row(name, unit, values)
    return Row(name, unit, values, f"≤ {limit:g}", "median", limit)
