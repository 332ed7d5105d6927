"""What is measured while `serve` lives, on a home in memory: rates, points, resets, and what does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.request_counts import added, counted_between
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import EngineUnavailable, LedgerUnusable, ProxyUnavailable
from deployctl.ports import Services
from deployctl.ports.metrics import Now, Point, Usage
from deployctl.watch import sampler as meters
from deployctl.watch.counters import SOON, TRUE, USAGE_INTERVAL, Gauges
from deployctl.watch.sampler import AWAY, MAX_POINT_SECONDS, MetricsSampler
from tests.unit.world import SHOP, World, world

BLOG = AppName("blog")
BEGUN, YEAR = 1000, 1_767_225_600  # where the fake clock begins, and the unix seconds of that: 2026


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby; the clock stands at a whole minute."""
    with world(tmp_path) as made:
        made.upgraded("v1", "v2")
        made.clock.sleep(60 - (made.clock.now() - BEGUN) % 60)
        assert made.clock.utc().endswith(":00.000Z")
        yield made


@pytest.fixture
def meter(w: World) -> MetricsSampler:
    made = MetricsSampler(lambda: w.s)
    made.watched = lambda: False
    return made


def pass_time(w: World, meter: MetricsSampler, seconds: int) -> None:
    for _ in range(seconds):
        w.clock.sleep(1)
        meter.tick(w.s)


def counters(**counts: Any) -> Counters:
    return Counters(**{"requests": 0, **counts})


def serve_requests(w: World, release: int, **more: int) -> None:
    """Let HAProxy have counted so many more for that release of the shop."""
    was = w.traffic.counters()[SHOP, release]
    grown = {name: getattr(was, name) + count for name, count in more.items() if name != "response_ms"}
    w.traffic.count(SHOP, release, replace(was, **{"response_ms": float(more.get("response_ms", 5)), **grown}))


# -- deltas -------------------------------------------------------------------------------------------------------
def test_what_was_counted_between_two_readings_is_the_difference() -> None:
    before = {(SHOP, 1): counters(requests=10, failed=1, answers_5xx=2, answers_2xx=7)}
    after = {(SHOP, 1): counters(requests=15, failed=2, answers_5xx=2, answers_2xx=11, in_flight=3)}
    assert counted_between(before, after) == {(SHOP, 1): counters(requests=5, failed=1, answers_2xx=4, in_flight=3)}


def test_a_release_that_was_not_there_has_counted_all_of_it() -> None:
    after = {(SHOP, 2): counters(requests=5, answers_2xx=5)}
    assert counted_between({(SHOP, 1): counters(requests=9)}, after) == after


@pytest.mark.parametrize("after", [counters(requests=4, answers_2xx=4), counters(requests=30, answers_2xx=29, failed=1)])
def test_a_counter_that_became_smaller_is_another_workers(after: Counters) -> None:
    before = {(SHOP, 1): counters(requests=20, answers_2xx=15, failed=5)}
    assert counted_between(before, {(SHOP, 1): after}) == {(SHOP, 1): after}


def test_times_are_weighed_by_the_answers_that_have_one() -> None:
    slow = {(SHOP, 1): Counters(requests=11, failed=1, response_ms=100.0)}
    quick = {(SHOP, 1): Counters(requests=30, response_ms=20.0)}
    both = added(slow, quick)[SHOP, 1]
    assert (both.requests, both.failed, both.response_ms) == (41, 1, 40.0)
    assert added({}, {(SHOP, 1): Counters(requests=2, failed=2)})[SHOP, 1].response_ms == 0.0


# -- points -------------------------------------------------------------------------------------------------------
def test_every_ten_seconds_a_point_goes_into_the_book(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 10)
    for _ in range(3):
        serve_requests(w, 2, requests=40, answers_2xx=30, answers_3xx=4, answers_4xx=3, answers_5xx=2, failed=1, response_ms=12)
        pass_time(w, meter, 10)
    first, *more = w.meter.points(SHOP)
    assert first == Point(SHOP, 2, first.at, 10, 40, 30, 4, 3, 2, 1, 12.0)
    assert [point.at for point in more] == [first.at + 10, first.at + 20]
    assert first.at % 10 == 0


def test_who_serves_has_points_though_nobody_asks_and_others_only_when_somebody_does(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 30)
    assert {(p.release, p.requests, p.response_ms) for p in w.meter.points(SHOP)} == {(2, 0, None)}
    serve_requests(w, 1, requests=1, answers_2xx=1)
    pass_time(w, meter, 10)
    assert [(p.release, p.requests) for p in w.meter.points(SHOP)][-2:] == [(1, 1), (2, 0)]


def test_what_was_counted_before_it_began_is_in_no_point(w: World, meter: MetricsSampler) -> None:
    serve_requests(w, 2, requests=1000, answers_2xx=1000)
    pass_time(w, meter, 30)
    assert sum(p.requests for p in w.meter.points(SHOP)) == 0
    assert meter.totals()[SHOP, 2].requests == 1000


def test_a_span_that_was_not_read_from_its_beginning_is_left_out(w: World, meter: MetricsSampler) -> None:
    w.clock.sleep(7)
    pass_time(w, meter, 1)
    serve_requests(w, 2, requests=10)
    pass_time(w, meter, 2)
    assert w.meter.points(SHOP) == []
    pass_time(w, meter, 10)
    assert [p.seconds for p in w.meter.points(SHOP)] == [10]


def test_another_worker_of_haproxy_loses_and_doubles_nothing_that_it_has_counted(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 10)
    serve_requests(w, 2, requests=50, answers_2xx=50)
    pass_time(w, meter, 10)
    w.traffic.die()
    w.traffic.ensure_up()
    serve_requests(w, 2, requests=20, answers_2xx=20)
    pass_time(w, meter, 10)
    serve_requests(w, 2, requests=5, answers_2xx=5)
    pass_time(w, meter, 10)
    assert [p.requests for p in w.meter.points(SHOP)] == [50, 20, 5]
    assert meter.totals()[SHOP, 2].requests == 75


def test_haproxy_that_is_away_for_a_while_makes_a_longer_point(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 10)
    w.traffic.die()
    pass_time(w, meter, 21)
    assert meter.latest(SHOP) == {}
    w.traffic.ensure_up()
    serve_requests(w, 2, requests=30)
    pass_time(w, meter, 19)
    assert next((p.seconds, p.requests) for p in w.meter.points(SHOP)) == (30, 30)


def test_after_a_long_absence_there_is_a_gap(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 10)
    w.clock.sleep(MAX_POINT_SECONDS + 10)
    serve_requests(w, 2, requests=900)
    pass_time(w, meter, 20)
    assert {p.seconds for p in w.meter.points(SHOP)} == {10}
    assert sum(p.requests for p in w.meter.points(SHOP)) == 0
    assert meter.totals()[SHOP, 2].requests == 900


def test_a_reading_that_failed_is_tried_again_after_a_while(w: World, meter: MetricsSampler,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def away() -> dict[object, Counters]:
        asked.append(w.clock.now())
        raise ProxyUnavailable("HAProxy is not responding")

    meter.watched = lambda: True
    monkeypatch.setattr(w.traffic, "counters", away)
    pass_time(w, meter, 25)
    assert [after - before for before, after in pairwise(asked)] == [AWAY, AWAY]


# -- now ----------------------------------------------------------------------------------------------------------
def reads(w: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found, counted = list[float](), w.traffic.counters

    def read() -> dict[tuple[AppName, int], Counters]:
        found.append(w.clock.now())
        return counted()

    monkeypatch.setattr(w.traffic, "counters", read)
    return found


def test_it_reads_every_second_while_somebody_looks_and_else_every_ten(
    w: World, meter: MetricsSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(w, meter, 10)
    found = reads(w, monkeypatch)
    pass_time(w, meter, 60)
    assert len(found) == 6
    meter.watched = lambda: True
    pass_time(w, meter, 60)
    assert len(found) == 66


def test_the_newest_reading_is_a_rate_since_the_one_before(w: World, meter: MetricsSampler) -> None:
    meter.watched = lambda: True
    pass_time(w, meter, 1)
    assert meter.latest(SHOP) == {}
    serve_requests(w, 2, requests=20, failed=2, answers_5xx=3, response_ms=7)
    pass_time(w, meter, 1)
    at = w.clock.now() - BEGUN + YEAR
    assert meter.latest(SHOP) == {1: Now(at, response_ms=None), 2: Now(at, 20.0, 2.0, 3.0, 7.0)}
    pass_time(w, meter, 1)
    assert meter.latest(SHOP)[2].requests_per_s == 0.0
    assert meter.latest(BLOG) == {}


def test_a_rate_is_known_after_two_seconds_though_nobody_looks(w: World, meter: MetricsSampler) -> None:
    pass_time(w, meter, 2)
    assert set(meter.latest(SHOP)) == {1, 2}


def test_listeners_hear_of_each_reading(w: World, meter: MetricsSampler) -> None:
    heard: list[str] = []
    meter.listen(lambda: heard.append(w.clock.utc()))
    meter.watched = lambda: True
    pass_time(w, meter, 5)
    assert len(heard) == 5


# -- containers -----------------------------------------------------------------------------------------------------
@pytest.fixture
def gauges(w: World) -> Gauges:
    return Gauges(lambda: True, lambda: None)


def container(w: World, release: int) -> str:
    return str(next(i.container for i in w.ledger.instances(SHOP) if i.release == release))


def use(w: World, release: int, cpu: float, memory: int = 2**20, limit: int | None = 2**29) -> None:
    w.engine.usages[container(w, release)] = Usage(cpu, memory, limit)


def shown(w: World, gauges: Gauges) -> Now:
    at = w.clock.now() - BEGUN + YEAR
    return gauges.completed(SHOP, {2: Now(at)})[2]


def test_what_a_container_takes_is_known_at_once_and_its_cpu_from_the_second_reading(w: World, gauges: Gauges) -> None:
    use(w, 2, 10.0)
    w.engine.meddle(container(w, 2), restarts=3)
    gauges.tick(w.s)
    assert (shown(w, gauges).memory, shown(w, gauges).memory_limit, shown(w, gauges).restarts) == (2**20, 2**29, 3)
    assert shown(w, gauges).cpu_percent is None
    use(w, 2, 10.3)
    w.clock.sleep(SOON)
    gauges.tick(w.s)
    assert shown(w, gauges).cpu_percent == 20.0
    use(w, 2, 20.3)
    w.clock.sleep(USAGE_INTERVAL)
    gauges.tick(w.s)
    assert shown(w, gauges).cpu_percent == 200.0  # two cores


def test_a_container_that_was_started_anew_has_no_cpu_yet(w: World, gauges: Gauges) -> None:
    for cpu in (10.0, 11.0, 0.1):
        use(w, 2, cpu)
        gauges.tick(w.s)
        w.clock.sleep(USAGE_INTERVAL)
    assert shown(w, gauges).cpu_percent is None


def test_nobody_is_asked_while_nobody_looks(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w.engine, "usage", lambda container: pytest.fail("nobody looks"))
    Gauges(lambda: False, lambda: None).tick(w.s)


def test_only_apps_that_are_looked_at_are_asked(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(w.engine, "usage", lambda container: pytest.fail("nobody looks at the shop"))
    Gauges(lambda: True, lambda: {BLOG}).tick(w.s)


def test_a_container_that_is_stopped_or_gone_takes_nothing(w: World, gauges: Gauges) -> None:
    w.engine.die(container(w, 2))
    gauges.tick(w.s)
    assert shown(w, gauges).memory is None


def test_an_engine_that_is_away_leaves_the_last_word_for_some_seconds(w: World, gauges: Gauges) -> None:
    use(w, 2, 10.0)
    gauges.tick(w.s)
    w.engine.away = "connection refused"
    w.clock.sleep(USAGE_INTERVAL)
    gauges.tick(w.s)
    assert shown(w, gauges).memory == 2**20
    w.clock.sleep(TRUE)
    gauges.tick(w.s)
    assert shown(w, gauges).memory is None


# -- the threads ------------------------------------------------------------------------------------------------------
class Hurry:
    """Lets the threads' pauses be a hundredth as long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, w: World) -> None:
        def pause(clock: object) -> float:
            w.clock.sleep(1)
            return 0.002

        monkeypatch.setattr(meters, "_until_next_second", pause)
        monkeypatch.setattr(meters, "AWAY", 0.01)


def until(holds: object) -> None:
    end = time.monotonic() + 5
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_engine_that_hangs_never_keeps_the_counters_waiting(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Hurry(monkeypatch, w)
    let_go, asked, heard = Event(), list[str](), list[int]()

    def hang(container: str) -> None:
        asked.append(container)
        let_go.wait(10)
        raise EngineUnavailable("Docker is not responding")

    monkeypatch.setattr(w.engine, "usage", hang)
    meter = MetricsSampler(lambda: w.services(ledger=w.open_ledger()), watched=lambda: True)
    meter.listen(lambda: heard.append(1))
    meter.start()
    until(lambda: asked and len(heard) > 20)
    assert len(asked) == 1
    let_go.set()
    meter.stop()


def test_it_begins_when_the_home_can_be_opened_and_survives_its_ledger(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Hurry(monkeypatch, w)
    failures, heard = [LedgerUnusable("gone"), LedgerUnusable("gone")] * 2, list[int]()

    def connect() -> Services:
        if failures:
            raise failures.pop()
        return w.services(ledger=w.open_ledger())

    def listener() -> None:
        heard.append(1)
        if len(heard) == 3:
            raise LedgerUnusable("but has disappeared")

    meter = MetricsSampler(connect, watched=lambda: True)
    meter.listen(listener)
    meter.start()
    until(lambda: len(heard) > 5)
    meter.stop()
    assert not any(thread.is_alive() for thread in meter._threads)
    assert set(meter.latest(SHOP)) == {1, 2}


def test_moving_traffic_needs_nothing_that_is_measured(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> object:
            pytest.fail(f"the meter was asked for {name}")

    monkeypatch.setattr(w, "meter", Untouchable())
    w.rollback()
    w.undo()
    w.upgrade("v3")
    assert w.serving == "v3"
