"""What every clock promises: durations never decrease, wall time is text that sorts."""

from __future__ import annotations

import re

import pytest

from deployctl.effects.linux.system_clock import SystemClock
from deployctl.ports import Clock
from deployctl.testing.fake_clock import FakeClock


@pytest.fixture(params=[FakeClock, SystemClock], ids=["fake", "system"])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


@pytest.mark.parametrize("seconds", [0.0, 1 / 128, -1.0])
def test_sleeping_takes_at_least_as_long_as_asked(clock: Clock, seconds: float) -> None:
    before = clock.now()
    clock.sleep(seconds)
    assert clock.now() - before >= max(0.0, seconds)


def test_wall_time_is_utc_to_the_millisecond_and_sorts(clock: Clock) -> None:
    first = clock.utc()
    clock.sleep(0.002)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first)
    assert first < clock.utc()
