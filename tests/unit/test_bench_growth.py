"""How the benchmark tells whether a cost grows."""

from __future__ import annotations

import pytest

from bench.growth.curve import Promise, exponent, rows, slope


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_the_exponent_is_found_whatever_the_factor(power: float) -> None:
    assert exponent({size: [7 * size**power] for size in (10, 100, 1_000, 10_000)}) == pytest.approx(power)


def test_the_slope_is_what_one_more_adds_by_the_medians() -> None:
    assert slope({0: [5, 5, 900], 100: [25, 1, 25]}) == pytest.approx(0.2)


def test_only_this_build_is_held_to_the_promise() -> None:
    grows = {1: [1.0], 10: [10.0]}
    kept = {row.name: row.kept for row in rows("status", "ms", "releases", grows, grows, Promise(exponent=0.3, largest=9))}
    assert kept["status: exponent over releases: 0.1.0"] is None
    assert kept["status: exponent over releases: this build"] is False
    assert kept["status, 10 releases: this build"] is False
    assert kept["status, 1 releases: this build"] is None
