"""Two commands released at the same moment, just before they take the lease: one wins, the other gets an error and does
nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.injector import Fault
from tests.faults.invariants import watched
from tests.faults.matrix import LONG, MARKS
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import Ended, victim

ROUNDS = 50 if LONG else 6
START = Fault("wait", "before", "lease", "1")
PAIRS = {
    "two rollbacks": (("rollback", SHOP, "-y"), ("rollback", SHOP, "-y")),
    "two upgrades": (("upgrade", SHOP, "v1", "--env", "TRY={0}"), ("upgrade", SHOP, "v2", "--env", "TRY={0}")),
    "an upgrade and a rollback": (("upgrade", SHOP, "v3", "--env", "TRY={0}"), ("rollback", SHOP, "-y")),
    "a rollback and a prune": (("rollback", SHOP, "-y"), ("prune", SHOP, "-y")),
    "an upgrade and a stop": (("upgrade", SHOP, "v3", "--env", "TRY={0}"), ("stop", SHOP, "{1}", "-y")),
}


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


def race(town: Town, *pair: tuple[str, ...]) -> list[Ended]:
    """Let both stand at the barrier, let both go, and return how they ended."""
    with ExitStack() as stack:
        runners = [stack.enter_context(victim(town, START, *words)) for words in pair]
        for runner in runners:
            runner.wait_there()
        for runner in runners:
            runner.go_on()
        return [runner.ended() for runner in runners]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_of_two_at_once_one_wins_and_the_other_is_told(town: Town, book: Book, round_: int) -> None:
    name = list(PAIRS)[round_ % len(PAIRS)]
    scenes = Scenes(town)
    scenes.words("rollback", "")  # nothing is on hold, and there is a rollback target
    standby = town.app(SHOP)["standby"]["version"]
    pair = [tuple(word.format(next(MARKS), standby) for word in words) for words in PAIRS[name]]
    revision = town.revision(SHOP)
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as watch:
        ended = race(town, *pair)
        town.settle()
        watch.require_kept(town.settle)
    codes = [one.ran.code for one in ended]
    assert 0 in codes, [str(one.ran) for one in ended]
    assert set(codes) <= {0, 3, 5, 6}, [str(one.ran) for one in ended]
    for one in ended:
        if one.ran.code == 6:
            assert "busy" in one.ran.message
            assert "pid" in one.ran.message
    moved = [one for one in ended if one.ran.code == 0 and one.ran.told["changed"] and "revision" in one.ran.told]
    assert town.revision(SHOP) == revision + len(moved)
    book.write(Outcome(f"two controllers: {name}", "at the same time", f"exits {' and '.join(map(str, sorted(codes)))}",
                       watch.sent, watch.lost))
