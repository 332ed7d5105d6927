"""Durations as text."""

from __future__ import annotations

import pytest

from deployctl.domain.durations import ago, stopwatch, took


@pytest.mark.parametrize(("seconds", "least", "text"), [
    (-5, 10, "just now"), (9.9, 10, "just now"), (39.9, 10, "39 s ago"), (59, 60, "just now"), (60, 60, "1 min ago"),
    (3600, 10, "1 h ago"), (7300, 10, "2 h ago"), (86_400, 10, "1 day ago"), (300_000, 60, "3 days ago"),
])  # fmt: skip
def test_an_age_has_its_largest_whole_unit(seconds: float, least: float, text: str) -> None:
    assert ago(seconds, least=least) == text


@pytest.mark.parametrize(("ms", "text"), [(0, "0 ms"), (0.05, "0.1 ms"), (131.4, "131 ms"), (999.6, "1.0 s"),
                                          (18_430, "18.4 s"), (59_970, "1 min 0 s"), (125_000, "2 min 5 s")])
def test_a_duration_has_the_unit_that_fits(ms: float, text: str) -> None:
    assert took(ms) == text


def test_a_duration_that_runs_is_a_stopwatch() -> None:
    assert [stopwatch(seconds) for seconds in (0, 14.9, 60, 754)] == ["0:00", "0:14", "1:00", "12:34"]
