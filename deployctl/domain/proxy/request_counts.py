"""Readings of HAProxy's counters → what happened between them, and totals that outlive the workers that counted.

A worker starts at zero. Its last counts are kept when it has exited; a counter that decreased is a new worker's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Counters, Point, Precision, Recent

CountedServer = tuple[AppName, int]  # app and release number
RequestCounts = Mapping[CountedServer, Counters]

COUNTS = ("requests", "failed", "answers_2xx", "answers_3xx", "answers_4xx", "answers_5xx", "answered",
          "closed")  # only grow

MAX_COUNTED_RELEASES = 50  # releases of an app: more than anyone keeps containers of


# -- what happened between two readings ---------------------------------------------------------------------------
def counted_between(before: RequestCounts, after: RequestCounts) -> dict[CountedServer, Counters]:
    """Return what each server counted since; all of it for one that was not there, or belongs to another worker."""
    return {server: _since(before.get(server, Counters()), counters) for server, counters in after.items()}


def _since(before: Counters, after: Counters) -> Counters:
    if any(getattr(after, name) < getattr(before, name) for name in COUNTS):
        return after
    return replace(after, **{name: getattr(after, name) - getattr(before, name) for name in COUNTS})


def lately(before: Counters, now: Counters) -> Recent:
    """Return how requests ended in the last minute, or since that reading if it is more recent."""
    since = _since(before, now)
    return Recent(min(since.answered, now.recent.answered), min(since.failed, now.recent.failed))


def added(total: RequestCounts, more: RequestCounts) -> dict[CountedServer, Counters]:
    """Return the sum of both; the mean time is weighted by the responses that have one."""
    return {**total, **{server: _sum(total.get(server, Counters()), counters) for server, counters in more.items()}}


def together(all_of: Iterable[Counters]) -> Counters:
    """Return the counts of several releases as one."""
    return reduce(_sum, all_of, Counters())


def _sum(one: Counters, other: Counters) -> Counters:
    counts = {name: getattr(one, name) + getattr(other, name) for name in COUNTS}
    first, second = one.requests - one.failed, other.requests - other.failed
    ms = (one.response_ms * first + other.response_ms * second) / (first + second) if first + second > 0 else 0.0
    return replace(other, **counts, response_ms=ms, precision=_less_precise(one, other))


def _less_precise(one: Counters, other: Counters) -> Precision:
    return Precision.AT_MOST if Precision.AT_MOST in {one.precision, other.precision} else Precision.EXACT


def points_of(tally: RequestCounts, *, at: int, seconds: int, serving: Mapping[AppName, int]) -> list[Point]:
    """Return a sample for each release that got requests, and for the live one even if it got none."""
    return [
        Point(app, release, at, seconds, one.requests, one.answers_2xx, one.answers_3xx, one.answers_4xx, one.answers_5xx,
              one.failed, round(one.response_ms, 1) if one.requests > one.failed else None)
        for (app, release), one in sorted(tally.items()) if one.requests or serving.get(app) == release
    ]  # fmt: skip


# -- totals that outlive a worker ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Totals:
    """`past`: of workers that have exited. `living`: the last counts of each running one."""

    past: RequestCounts = field(default_factory=dict)
    living: Mapping[str, RequestCounts] = field(default_factory=dict)  # by a name that no other worker ever gets

    def sum(self) -> dict[CountedServer, Counters]:
        total = dict(self.past)
        for tally in self.living.values():
            total = _together(total, tally)
        return total

    def with_closed(self, closed: Mapping[CountedServer, int]) -> Totals:
        """Return the totals with connections that were closed along with their worker."""
        return replace(self, past=added(self.past, {server: Counters(closed=count) for server, count in closed.items()}))

    def without(self, removed: Collection[CountedServer]) -> Totals:
        """Return the totals of all other releases."""
        kept = {worker: _but(tally, removed) for worker, tally in self.living.items()}
        return Totals(_but(self.past, removed), kept)


def _together(one: RequestCounts, other: RequestCounts) -> dict[CountedServer, Counters]:
    """Return what two workers counted at the same time."""
    found = added(one, other)
    for server in one.keys() & other.keys():
        first, second = one[server], other[server]
        found[server] = replace(
            found[server], in_flight=first.in_flight + second.in_flight,
            recent=Recent(first.recent.answered + second.recent.answered, first.recent.failed + second.recent.failed),
        )  # fmt: skip
    return found


def _but(tally: RequestCounts, removed: Collection[CountedServer]) -> dict[CountedServer, Counters]:
    return {server: counters for server, counters in tally.items() if server not in removed}


def outdated(servers: Collection[CountedServer], apps: Collection[str]) -> set[CountedServer]:
    """Return those of removed apps, and of each other app those before its newest ones."""
    numbers = {app: sorted(number for other, number in servers if other == app) for app, _ in servers}
    return {(app, number) for app, number in servers if app not in apps or number not in numbers[app][-MAX_COUNTED_RELEASES:]}


def carried_on(known: Totals, read: Mapping[str, RequestCounts], *, alive: Collection[str]) -> Totals:
    """Return the totals after reading the workers. One that runs and could not be read keeps its counts; of one that
    has exited the last counts are kept."""
    past, living = dict(known.past), dict(read)
    for worker, former in known.living.items():
        if worker not in alive:
            past = added(past, {server: _at_rest(counters) for server, counters in former.items()})
        elif worker not in read:
            living[worker] = former
        else:
            past, living[worker] = _grown(past, former, read[worker])
    return Totals(past, living)


def _at_rest(counters: Counters) -> Counters:
    return replace(counters, in_flight=0, recent=Recent())


def _grown(past: dict[CountedServer, Counters], former: RequestCounts,
           now: RequestCounts) -> tuple[dict[CountedServer, Counters], RequestCounts]:
    """Return both with nothing lost: a counter that restarted continues from its former value, and no failure that was
    only an estimate is subtracted."""
    kept = {s: _at_rest(one) for s, one in former.items() if now.get(s, Counters()).requests < one.requests}
    held = {s: replace(one, failed=max(one.failed, former[s].failed)) if s in former and s not in kept else one
            for s, one in now.items()}
    return added(past, kept), held
