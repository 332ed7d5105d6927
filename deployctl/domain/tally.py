"""Readings of HAProxy's counters → what happened between them. A counter that became smaller is a new worker's."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.domain.names import AppName
from deployctl.domain.traffic import Counters, Point

Server = tuple[AppName, int]  # app and release number
Tally = Mapping[Server, Counters]

_COUNTS = ("requests", "failed", "answers_2xx", "answers_3xx", "answers_4xx", "answers_5xx")


def counted_between(before: Tally, after: Tally) -> dict[Server, Counters]:
    """Return what each server counted since; all of it for one that was not there, or whose worker is another one."""
    return {server: _since(before.get(server, Counters()), counters) for server, counters in after.items()}


def _since(before: Counters, after: Counters) -> Counters:
    if any(getattr(after, name) < getattr(before, name) for name in _COUNTS):
        return after
    counts = {name: getattr(after, name) - getattr(before, name) for name in _COUNTS}
    return Counters(**counts, in_flight=after.in_flight, response_ms=after.response_ms)


def added(total: Tally, more: Tally) -> dict[Server, Counters]:
    """Return both together; the mean time is weighed by the answers that have one."""
    return {**total, **{server: _sum(total.get(server, Counters()), counters) for server, counters in more.items()}}


def _sum(one: Counters, other: Counters) -> Counters:
    counts = {name: getattr(one, name) + getattr(other, name) for name in _COUNTS}
    first, second = one.requests - one.failed, other.requests - other.failed
    ms = (one.response_ms * first + other.response_ms * second) / (first + second) if first + second > 0 else 0.0
    return Counters(**counts, in_flight=other.in_flight, response_ms=ms)


def points_of(tally: Tally, *, at: int, seconds: int, serving: Mapping[AppName, int]) -> list[Point]:
    """Return a point for each release that was asked something, and for who serves though nobody asked."""
    return [
        Point(app, release, at, seconds, one.requests, one.answers_2xx, one.answers_3xx, one.answers_4xx, one.answers_5xx,
              one.failed, round(one.response_ms, 1) if one.requests > one.failed else None)
        for (app, release), one in sorted(tally.items()) if one.requests or serving.get(app) == release
    ]  # fmt: skip
