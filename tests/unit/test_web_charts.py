"""Charts as numbers and paths: gaps stay gaps, labels lie apart, and nothing is claimed that was not counted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from deployctl.domain.images.component import Component
from deployctl.domain.images.release import Bundle, Change, Colour, Release
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports.metrics import Point
from deployctl_web.pages.parts.chart_data import FAILED, REQUESTS, RESPONSE, nice
from deployctl_web.pages.parts.charts import CHART_SPANS, NO_DATA, Chart, Mark, Tag, draw, iso

SHOP = AppName("shop")
NOW = 1_800_000_000
RELEASES = [
    Release(n, SHOP, n, Version(f"v{n}"), (Component(Bundle(f"shop:v{n}", "sha256:1", 80)),), "", colour=colour)
    for n, colour in ((1, Colour.GREEN), (2, Colour.BLUE), (3, None))
]


def point(at: int, release: int = 2, requests: int = 100, **more: Any) -> Point:
    return Point(SHOP, release, at, 10, requests, **{"response_ms": 20.0 if requests else None, **more})


def steady(begin: int, end: int, release: int = 2, requests: int = 100, **more: Any) -> list[Point]:
    """Ten-second points that ended after `begin` seconds ago, until `end` seconds ago."""
    return [point(NOW - ago, release, requests, **more) for ago in range(begin - 10, end - 1, -10)]


def change(ago: int, source: int | None = 1, target: int | None = 2, *, revision: int = 5) -> Change:
    return Change(revision, SHOP, "upgrade", source, target, iso(NOW - ago), "mara (cli)")


def charts(points: Iterable[Point], *changes: Change, active: int | None = 2, span: str = "15m") -> tuple[Chart, ...]:
    return draw(points, RELEASES, changes, active=active, now=NOW, span=span)


def requests(points: Iterable[Point], *changes: Change, **more: Any) -> Chart:
    return charts(points, *changes, **more)[0]


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", path)]


def marks(*changes: Change) -> tuple[Mark, ...]:
    return requests(steady(900, 0), *changes).marks


# -- nothing ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("points", [[], steady(900, 0, requests=0)], ids=["no points", "no requests"])
def test_without_requests_there_are_words_and_no_line(points: list[Point]) -> None:
    for chart in charts(points):
        assert (chart.empty, chart.traces, chart.rows) == (NO_DATA, (), ())
        assert chart.label.endswith("No requests in this window.")


def test_an_app_that_nobody_serves_has_no_number() -> None:
    assert [chart.value for chart in charts(steady(900, 300), active=None)] == ["–", "–", "–"]


# -- the line ---------------------------------------------------------------------------------------------------
def test_a_line_reaches_from_the_left_edge_to_the_right_one_and_its_area_to_the_ground() -> None:
    [trace] = requests(steady(900, 0)).traces
    assert (trace.version, trace.colour) == ("v2", "b")
    found = numbers(trace.line)
    assert (found[0], found[-2]) == (0.0, 360.0)
    assert trace.line.count("M") == 1
    assert trace.area.endswith("L360.0 112.0 L0.0 112.0 Z")
    assert all(0 <= x <= 360 and 0 <= y <= 112 for x, y in zip(found[::2], found[1::2], strict=True))


def test_the_highest_value_is_below_the_top_and_zero_on_the_ground() -> None:
    [trace] = requests([*steady(900, 500, requests=0), *steady(500, 0, requests=3000)]).traces
    heights = numbers(trace.line)[1::2]
    assert max(heights) == 111.0
    assert 1 < min(heights) < 40


def test_no_line_goes_through_a_time_that_nobody_measured() -> None:
    [trace] = requests([*steady(900, 600), *steady(300, 0)]).traces
    left, right = trace.line.split(" M")
    assert numbers(left)[-2] == pytest.approx(360 * 300 / 900, abs=5)
    assert numbers(right)[0] == pytest.approx(360 * 600 / 900, abs=5)
    assert trace.area.count("Z") == 2


def test_a_point_that_covers_a_longer_span_leaves_no_gap() -> None:
    longer = replace(point(NOW - 300), seconds=300)
    [trace] = requests([*steady(900, 600), longer, *steady(300, 0)]).traces
    assert trace.line.count("M") == 1


def test_a_lone_point_is_seen() -> None:
    [trace] = requests([point(NOW - 450)]).traces
    assert numbers(trace.line)[0] < numbers(trace.line)[2]


def test_time_without_requests_is_zero_requests_and_no_share_of_failures() -> None:
    quiet = [*steady(900, 600), *steady(600, 300, requests=0), *steady(300, 0)]
    served, failed, response = charts(quiet)
    assert served.traces[0].line.count("M") == 1
    assert failed.traces[0].line.count("M") == response.traces[0].line.count("M") == 2


def test_who_serves_is_drawn_last_and_colours_are_classes() -> None:
    drawn = requests([*steady(900, 0, 2), *steady(600, 0, 1), *steady(300, 200, 3)], active=2)
    assert [(trace.version, trace.colour) for trace in drawn.traces] == [("v1", "g"), ("v3", "n"), ("v2", "b")]


def test_points_of_a_release_that_is_forgotten_are_left_out() -> None:
    assert [trace.release for trace in requests([*steady(900, 0), *steady(900, 0, 9)]).traces] == [2]


@pytest.mark.parametrize(("span", "seconds"), [("15m", 10), ("1h", 10), ("24h", 60)])
def test_a_line_has_at_most_180_points_and_is_whole(span: str, seconds: int) -> None:
    length = CHART_SPANS[span].seconds
    points = [replace(point(at), seconds=seconds) for at in range(NOW - length + seconds, NOW + 1, seconds)]
    for chart in charts(points, span=span):
        [trace] = chart.traces
        assert trace.line.count(" L") + trace.line.count("M") <= 182
        assert trace.line.count("M") == 1


def test_coarse_points_have_the_same_rate() -> None:
    fine = [point(at) for at in range(NOW - 86_390, NOW + 1, 10)]
    coarse = [replace(point(at), seconds=60, requests=600) for at in range(NOW - 86_340, NOW + 1, 60)]
    assert requests(fine, span="24h").top == requests(coarse, span="24h").top == "15"


# -- marks ------------------------------------------------------------------------------------------------------
def test_a_mark_stands_where_the_traffic_was_moved_and_names_both_sides() -> None:
    assert marks(change(720)) == (
        Mark(72.0, "20.0%", iso(NOW - 720), "v1 → v2", Tag("v1", "g"), Tag("v2", "b")),
    )  # fmt: skip


def test_changes_outside_the_span_have_no_mark() -> None:
    assert marks(change(901), change(-20)) == ()


def test_a_mark_near_an_edge_has_no_label_on_that_side() -> None:
    early, late = marks(change(890, revision=4)), marks(change(10))
    assert [(mark.left is None, mark.right is None) for mark in (*early, *late)] == [(True, False), (False, True)]


def test_labels_of_neighbours_do_not_lie_over_each_other() -> None:
    first, second, third = marks(change(600, revision=4), change(540), change(60, 2, 1, revision=6))
    assert (first.left, first.right) == (Tag("v1", "g"), None)
    assert (second.left, second.right) == (None, Tag("v2", "b"))
    assert third.left == Tag("v2", "b")


def test_a_stop_goes_to_nobody() -> None:
    [mark] = marks(change(450, 2, None))
    assert (mark.words, mark.right) == ("v2 → no live version", None)


# -- words ------------------------------------------------------------------------------------------------------
def failing(begin: int, end: int, release: int, failed: int, ms: float) -> list[Point]:
    return steady(begin, end, release, requests=1000, answers_5xx=failed // 2, failed=failed - failed // 2, response_ms=ms)


def test_right_after_a_switch_the_point_in_which_it_fell_does_not_halve_the_number() -> None:
    half = point(NOW - 20, requests=30)  # it took over 3 s before that point ended
    assert requests([half], change(23)).value == "3.0"
    assert requests([half, point(NOW - 10), point(NOW)], change(23)).value == "10"


def test_the_number_is_of_the_newest_minute_and_compared_with_who_served_before() -> None:
    told = charts([*failing(900, 720, 1, 1, 118), *failing(720, 60, 2, 5, 170), *failing(60, 0, 2, 21, 174)], change(720))
    assert [(c.value, c.unit, c.delta, c.worse) for c in told] == [
        ("100", "/ s", "v1 had 100", False), ("2.1", "%", "v1 had 0.1 %", True), ("174", "ms", "v1 had 118 ms", True),
    ]  # fmt: skip


def test_what_is_no_worse_is_not_called_so() -> None:
    told = charts([*failing(900, 720, 1, 8, 118), *failing(720, 0, 2, 12, 122)], change(720))
    assert [c.worse for c in told] == [False, False, False]


def test_nothing_is_compared_when_the_other_one_was_not_measured() -> None:
    assert requests(steady(720, 0), change(720)).delta == ""
    assert requests(steady(900, 0)).delta == ""
    assert requests([*steady(900, 0), *steady(900, 0, 1)], change(5000)).delta == ""


def test_a_number_that_is_no_longer_measured_is_not_shown() -> None:
    assert requests(steady(900, 120)).value == "–"


def test_a_chart_can_be_heard() -> None:
    told = charts([*failing(900, 720, 1, 1, 118), *failing(720, 0, 2, 21, 174)], change(720))
    assert [chart.label for chart in told] == [
        "Requests per second, last 15 minutes. v1 about 100, then v2 about 100.",
        "Share of failed requests, last 15 minutes. v1 0.1 %, then v2 2.1 %.",
        "Mean response time, last 15 minutes. v1 118 ms, then v2 174 ms.",
    ]


def test_a_chart_can_be_read_as_a_table() -> None:
    chart = requests([*steady(900, 720, 1), *steady(720, 0, 2)], change(720))
    assert chart.versions == ("v1", "v2")
    assert len(chart.rows) == 15
    assert [row.cells for row in chart.rows[2:4]] == [("10", "–"), ("–", "10")]
    assert (chart.rows[0].at, chart.rows[-1].at) == (iso(NOW - 840), iso(NOW))
    assert chart.begin == iso(NOW - 900)


@pytest.mark.parametrize("span", CHART_SPANS)
def test_a_table_is_never_long(span: str) -> None:
    points = [replace(point(at), seconds=60) for at in range(NOW - 86_340, NOW + 1, 60)]
    assert 10 <= len(requests(points, span=span).rows) <= 25


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (0.9, 1), (1, 1.5), (214, 300), (284, 300), (286, 400), (9_999, 15_000)])
def test_an_axis_ends_at_a_round_number_above_all(highest: float, top: float) -> None:
    assert nice(highest, REQUESTS) == pytest.approx(top)


def test_an_axis_of_percent_ends_at_one_hundred_and_no_small_one_looks_dramatic() -> None:
    assert (nice(99.0, FAILED), nice(100.0, FAILED), nice(0.01, FAILED), nice(1.0, RESPONSE)) == (100, 100, 1, 10)


@pytest.mark.parametrize(("value", "words"), [
    (None, "–"), (0.0, "0.0"), (0.04, "<0.1"), (0.06, "0.1"), (9.94, "9.9"), (9.96, "10"), (1234.6, "1,235"),
])  # fmt: skip
def test_numbers_are_as_fine_as_they_are_worth(value: float | None, words: str) -> None:
    assert REQUESTS.words(value) == words


def test_what_took_less_than_haproxy_can_count_is_not_called_nothing() -> None:
    assert (RESPONSE.words(0.0), RESPONSE.words(1.2)) == ("<1", "1.2")


def test_percent_keeps_its_digit() -> None:
    assert (FAILED.words(12.34), FAILED.label(3.0), FAILED.label(2.1), REQUESTS.label(300.0)) == ("12.3", "3 %", "2.1 %", "300")
