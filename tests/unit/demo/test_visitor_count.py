"""Counting by itself: invariants that hold for any order of outcomes, and the sentence a person reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployctl.demo.visitor_count import KEPT_TRANSITIONS, Count, VisitCount

CLASSES = ("ok", "app_4xx", "app_5xx", "refused", "reset", "eof", "stale", "timeout", "proxy_5xx")
visits = st.lists(st.tuples(st.sampled_from(CLASSES), st.floats(1e-4, 5.0)), max_size=60)


def counted(outcomes: list[tuple[str, float]]) -> Count:
    tally = VisitCount()
    for number, (name, wait) in enumerate(outcomes):
        tally.add(name, due=float(number), done=number + wait, version="v1")
    return tally.count(seconds=len(outcomes) + 5.0)


@given(visits)
def test_every_request_is_good_or_lost_or_the_apps_own_failure(outcomes: list[tuple[str, float]]) -> None:
    count = counted(outcomes)
    assert count.ok + count.lost + count.app_5xx == count.sent == len(outcomes)
    assert sum(count.by_class.values()) == count.sent
    assert sum(count.by_version.values()) == count.ok


@given(visits)
def test_quantiles_are_right_to_about_one_percent(outcomes: list[tuple[str, float]]) -> None:
    count = counted(outcomes)
    good = sorted(wait * 1000 for name, wait in outcomes if name in {"ok", "app_4xx"})
    if not good:
        assert (count.p50_ms, count.p99_ms, count.max_ms) == (None, None, None)
        return
    exact = good[(len(good) + 1) // 2 - 1]
    assert count.p50_ms is not None
    assert abs(count.p50_ms - exact) <= 0.011 * exact + 0.011
    assert count.max_ms is not None
    assert abs(count.max_ms - good[-1]) <= 0.011


@given(visits)
def test_a_count_survives_the_way_through_json(outcomes: list[tuple[str, float]]) -> None:
    count = counted(outcomes)
    assert Count.from_json(count.as_json()) == count


def test_the_sentence_names_every_reason_and_keeps_the_apps_own_failures_apart() -> None:
    outcomes = [("ok", 0.1)] * 1200 + [("reset", 0.1)] * 2 + [("stale", 0.1)] + [("app_5xx", 0.1)] * 100
    assert counted(outcomes).sentence == "1,303 requests, 3 lost (2 reset, 1 stale), 100 5xx responses from the app"


def test_a_visit_without_requests_has_lost_none_and_claims_none() -> None:
    assert counted([]).sentence == "0 requests, 0 lost"


def test_endless_changes_of_version_take_bounded_room() -> None:
    tally = VisitCount()
    for number in range(3 * KEPT_TRANSITIONS):
        tally.add("ok", due=number, done=number, version=f"v{number % 2}")
    transitions = tally.count(seconds=1).transitions
    assert len(transitions) == KEPT_TRANSITIONS
    assert transitions[-1] == (3 * KEPT_TRANSITIONS - 1, "v1")
