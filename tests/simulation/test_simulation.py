"""No schedule breaks an invariant; a seed is a whole story; and what was planted on purpose is found.

The schedules of chance come in parts, so that the workers of pytest-xdist share them with everything else. Nothing here
depends on how fast the machine is: a planted bug must show within a number of schedules, not of seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.many import run_chunk
from tests.simulation.named import NAMED
from tests.simulation.planted import PLANTED, recipe_of
from tests.simulation.simulate import OF_ANY_KIND, search, simulate

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES, OF_KINDS = (1_000_000, 100_000) if os.environ.get("DEPLOYCTL_SIMULATE_LONG") == "1" else (20_000, 1_500)
PART = 500
SCHEDULES_TO_FIND = 3000  # about a minute of one core
pytestmark = pytest.mark.timeout(900)  # all of it computes, and on a busy machine gets a tenth of a core


@pytest.mark.parametrize("first", range(0, SCHEDULES, PART))
def test_no_schedule_breaks_an_invariant(first: int, record_property: Callable[[str, object], None]) -> None:
    schedules, calls, broken = run_chunk(range(first, first + PART))
    record_property("schedules", schedules)
    record_property("calls", calls)
    assert not broken, f"{len(broken)} of {PART}:\n{simulate(broken[0].seed, telling=True)}"
    assert schedules == PART


@pytest.mark.parametrize("first", range(0, OF_KINDS, PART))
def test_no_schedule_of_several_kinds_of_components_breaks_one(first: int,
                                                                record_property: Callable[[str, object], None]) -> None:
    schedules, calls, broken = run_chunk(range(first, first + PART), OF_ANY_KIND)
    record_property("schedules", schedules)
    record_property("calls", calls)
    assert not broken, f"{len(broken)} of {PART}:\n{simulate(broken[0].seed, OF_ANY_KIND, telling=True)}"
    assert schedules == PART


@pytest.mark.parametrize("name", NAMED)
def test_what_was_mended_stays_mended(name: str) -> None:
    for told in search(NAMED[name].seeds, NAMED[name].recipe):
        pytest.fail(f"{simulate(told.seed, NAMED[name].recipe, telling=True)}", pytrace=False)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_within_a_minute_of_schedules(name: str) -> None:
    recipe = recipe_of(name)
    for seed in range(SCHEDULES_TO_FIND):
        with PLANTED[name]():
            told = simulate(seed, recipe)
        if told.broken and not simulate(seed, recipe).broken:
            return
    pytest.fail(f"{SCHEDULES_TO_FIND} schedules did not show it")


def test_the_same_seed_tells_the_same_story_in_another_process() -> None:
    script = ("from tests.simulation.simulate import simulate\n"
              "for seed in range(40): print(simulate(seed, telling=True))")
    stories = {_run(script, hash_seed) for hash_seed in ("0", "1", "77")}
    assert len(stories) == 1
    assert "take_lease" in stories.pop()


def test_telling_a_story_does_not_change_it() -> None:
    for seed in range(60):
        quiet, told = simulate(seed), simulate(seed, telling=True)
        assert (quiet.broken, quiet.calls) == (told.broken, told.calls)


def test_a_failing_seed_is_told_with_what_broke() -> None:
    with PLANTED["a commit swapped with its effect"]():
        told = next(iter(search(range(1000))))
        story = str(simulate(told.seed, telling=True))
    assert story.startswith(f"seed {told.seed}\n")
    assert "ledger.promote" in story
    assert f"!! {told.broken[0]}" in story


def test_a_process_that_was_killed_does_nothing_more() -> None:
    deaths = 0
    for seed in range(120):
        dead = set[str]()
        for line in simulate(seed, telling=True).story:
            name = line[11:].split(" ")[0]  # as in "2:upgrade"
            assert name not in dead or line.endswith(("is dead", "was killed")), line
            if "-- SIGKILL at" in line or line.endswith("” SIGKILL"):
                dead.add(name)
        deaths += len(dead)
    assert deaths > 20


def _run(script: str, hash_seed: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": hash_seed})
    return done.stdout
