"""Totals outlive the workers who counted, and one worker's table is read as it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.request_counts import (
    MAX_COUNTED_RELEASES,
    RequestCounts,
    Totals,
    carried_on,
    lately,
    outdated,
    together,
)
from deployctl.domain.proxy.traffic import Counters, Precision, Recent
from deployctl.effects.haproxy.config import request_counts as tally

SHOP, BLOG = AppName("shop"), AppName("blog")


def read(requests: int, **more: Any) -> RequestCounts:
    return {(SHOP, 1): Counters(requests=requests, **more)}


def follow(*readings: dict[str, RequestCounts], alive: tuple[str, ...] = ()) -> Totals:
    totals = Totals()
    for reading in readings:
        totals = carried_on(totals, reading, alive={*reading, *alive})
    return totals


# -- totals -------------------------------------------------------------------------------------------------------
def test_what_a_worker_counted_last_stays_when_it_is_gone() -> None:
    totals = follow({"a": read(7, failed=1, in_flight=2, recent=Recent(3, 1))}, {"b": read(4, answers_2xx=4, in_flight=1)})
    assert totals.sum() == read(11, failed=1, answers_2xx=4, in_flight=1)
    assert follow({"a": read(7)}, {}, {}).sum() == read(7)


def test_two_workers_that_live_count_together() -> None:
    old, new = read(7, in_flight=2, recent=Recent(1, 2)), read(3, in_flight=1, recent=Recent(4, 0))
    totals = follow({"old": read(5)}, {"old": old, "new": new})
    assert totals.sum() == read(10, in_flight=3, recent=Recent(5, 2))


def test_a_worker_that_lives_and_cannot_be_read_keeps_what_it_had() -> None:
    totals = follow({"old": read(5)}, {"new": read(3)}, {"new": read(4)}, alive=("old",))
    assert totals.sum()[SHOP, 1].requests == 9
    assert follow({"old": read(5)}, {"new": read(3)}, {"new": read(4)}).sum()[SHOP, 1].requests == 9


def test_a_row_that_began_anew_goes_on_from_what_it_had() -> None:
    assert follow({"a": read(9, failed=4)}, {"a": read(2, failed=1)}, {"a": read(3, failed=1)}).sum() == read(12, failed=5)


def test_a_failure_that_was_only_a_guess_is_never_taken_back() -> None:
    guess = {"precision": Precision.AT_MOST}
    totals = follow({"a": read(9, failed=4, **guess)}, {"a": read(9, failed=2, **guess)})
    assert totals.sum() == read(9, failed=4, **guess)


def test_releases_of_gone_apps_and_those_long_gone_are_outdated() -> None:
    servers = {(BLOG, 1), *((SHOP, number) for number in range(1, MAX_COUNTED_RELEASES + 3))}
    assert outdated(servers, {"shop"}) == {(BLOG, 1), (SHOP, 1), (SHOP, 2)}
    assert follow({"a": read(9)}).without({(SHOP, 1)}).sum() == {}


def test_a_sum_is_as_precise_as_its_least_precise_part() -> None:
    assert together([]).precision is Precision.EXACT
    both = together([Counters(failed=1, precision=Precision.AT_MOST), Counters(failed=2)])
    assert (both.failed, both.precision) == (3, Precision.AT_MOST)


def test_the_last_minute_is_cut_where_somebody_began_to_look() -> None:
    before = Counters(requests=40, failed=12, answered=3, recent=Recent(0, 12))
    now = Counters(requests=45, failed=14, answered=6, recent=Recent(3, 14))
    assert lately(before, now) == Recent(answered=3, failed=2)
    assert lately(Counters(), replace(now, recent=Recent(0, 1))) == Recent(answered=0, failed=1)


# -- the table ----------------------------------------------------------------------------------------------------
ROW = ("# table: tally, type: string, size:10000, used:2\n"
       "0x7f37: key=shop.1 use=0 exp=0 shard=0 conn_cur=2 gpc0=40 gpc1=33 gpc2=5 gpc3=20 gpc4=6 gpc5=4 gpc6=3"
       " gpc0_rate(60000)=9 gpc1_rate(60000)=7 gpc2_rate(60000)=2\n"
       "0x7f38: key=blog.12 use=0 exp=0 conn_cur=0 gpc0=1\n\n")  # fmt: skip


def test_each_row_is_a_release() -> None:
    found = tally.parse_table(ROW)
    assert found["shop.1"] == Counters(
        requests=40, in_flight=2, failed=5, answers_2xx=20, answers_3xx=6, answers_4xx=4, answers_5xx=3, answered=33,
        recent=Recent(answered=7, failed=2))  # fmt: skip
    assert found["blog.12"] == Counters(requests=1)


def test_where_haproxy_cannot_count_its_own_answers_the_failures_are_at_most_those_without_an_answer() -> None:
    found = tally.parse_table(
        "0x1: key=shop.1 use=0 exp=0 conn_cur=2 http_fail_rate(60000)=4 gpc0=40 gpc1=33 gpc2=0 gpc2_rate(60000)=0\n")["shop.1"]
    assert (found.failed, found.precision, found.recent.failed) == (5, Precision.AT_MOST, 4)


@pytest.mark.parametrize("reply", ["", "No such table\n", "# table: tally, type: string, size:10000, used:0\n\n"])
def test_a_worker_without_a_tally_has_counted_nothing(reply: str) -> None:
    assert tally.parse_table(reply) == {}


def test_only_a_haproxy_that_can_counts_its_own_answers() -> None:
    assert "http-after-response" in tally.rules((2, 8))
    assert "http_fail_rate" not in tally.section((3, 2))
    assert "http-after-response" not in tally.rules((2, 6))
    assert "http_fail_rate(60s)" in tally.section((2, 6))
