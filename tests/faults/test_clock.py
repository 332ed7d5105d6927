"""A wall clock that is wrong by hours or days, or that jumps between two commands: nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.injector import COUNT
from tests.faults.invariants import watched
from tests.faults.launcher import OFFSET
from tests.faults.matrix import MARKS
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import run_with

HOUR, DAY = 3600, 86400


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


@pytest.mark.parametrize("seconds", [-DAY, -HOUR, HOUR, DAY])
def test_whatever_the_clock_says_the_last_change_is_the_last(town: Town, book: Book, seconds: int) -> None:
    scenes = Scenes(town)
    env = {OFFSET: str(seconds)}
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
        words = scenes.words("upgrade", f"k{next(MARKS)}")
        before = town.active(SHOP)
        ran = run_with(town, COUNT, *words, env=env).ran
        assert ran.code == 0, ran
        assert town.active(SHOP) == words[2]
        assert town.do("rollback", SHOP, "-y")["to"] == before, "the change from another time was not the last one"
        assert run_with(town, COUNT, "undo", SHOP, "-y", env=env).ran.told["to"] == words[2]
        town.settle()
        watch.require_kept(town.settle)
    end = "exit 0; the requested version is live"
    book.write(Outcome("clock offset", f"{seconds / HOUR:+g} h", end, watch.sent, watch.lost))
