"""SIGKILL of the process that changes something, at its steps and at random moments: the next command brings a legal end.

DEPLOYCTL_SEED chooses the random moments and is part of each test's name; DEPLOYCTL_LONG=1 takes 200 of them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.injector import Fault
from tests.faults.invariants import Watched, watched
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town, two_apps
from tests.faults.victim import Ended, run_with

LONG = os.environ.get("DEPLOYCTL_LONG") == "1"
SEED = int(os.environ.get("DEPLOYCTL_SEED", "1"))
RANDOM_KILLS = 200 if LONG else 20
STEPS = {"upgrade": 10, "rollback": 3, "undo": 3, "prune": 2, "reconcile": 5}  # of the plans that the scenes below give
CALLS = {"upgrade": 110, "rollback": 32, "undo": 32, "prune": 36, "stop": 24, "start": 70, "reconcile": 60}  # about
VERBS = ("upgrade", "upgrade", "upgrade", "rollback", "undo", "prune", "start", "stop", "reconcile")  # the longest most often


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


def kill(town: Town, book: Book, verb: str, fault: Fault, mark: str) -> Ended:
    """Kill it there, settle, and check everything; nobody is lost."""
    words = Scenes(town).words(verb, mark)
    source = town.serving_now()
    with watched(town, SHOP, visitors=(SHOP, BLOG)) as cell:
        ended = run_with(town, fault, *words)
        phase = phase_of(town)
        town.settle()
        require_an_end(town, source, words)
        cell.require_kept(town.settle)
    tell(book, cell, ended, verb, phase, source)
    return ended


def phase_of(town: Town) -> str:
    """Return what the killed one was about to do."""
    rows = town.rows("select phase from deployments where finished_at is null")
    return str(rows[0][0]) if rows else "before or after the plan"


def require_an_end(town: Town, source: int | None, words: tuple[str, ...]) -> None:
    """One of two releases serves: the one before, or the one that was asked for."""
    serving = town.serving_now()
    if words[0] in {"prune", "start", "stop", "reconcile"}:
        assert serving == source
    if words[0] == "upgrade" and serving != source:
        assert town.app(SHOP)["active"]["version"] == words[2]


def tell(book: Book, cell: Watched, ended: Ended, verb: str, phase: str, source: int | None) -> None:
    if ended.killed:
        end = "the version before is live" if cell.town.serving_now() == source else "the requested version is live"
        book.write(Outcome(f"SIGKILL of {verb}", phase, end, cell.sent, cell.lost))


def points(count: int) -> list[tuple[str, float, str, str]]:
    """Return verb, share of its calls, before or after, and a mark: always the same for one seed."""
    chance = random.Random(SEED)
    return [(chance.choice(VERBS), chance.random(), chance.choice(("before", "after")), f"s{SEED}n{number}")
            for number in range(count)]


@pytest.mark.parametrize(("verb", "step"), [(verb, n) for verb, steps in STEPS.items() for n in range(1, steps + 1)])
def test_killed_after_a_step_it_is_settled_by_the_next_command(town: Town, book: Book, verb: str, step: int) -> None:
    ended = kill(town, book, verb, Fault("die", "after", "step", str(step)), f"step{step}")
    assert ended.killed or (ended.ran.code == 0 and ended.steps < step), ended.ran


@pytest.mark.parametrize(("verb", "share", "when", "mark"), points(RANDOM_KILLS),
                         ids=[f"{verb}-{when}-{share:.3f}-seed{mark}" for verb, share, when, mark in points(RANDOM_KILLS)])
def test_killed_at_a_random_moment_it_is_settled_by_the_next_command(town: Town, book: Book, verb: str, share: float,
                                                                     when: str, mark: str) -> None:
    number = 1 + int(share * CALLS[verb])
    ended = kill(town, book, verb, Fault("die", when, "call", str(number)), mark)
    print(f"seed {SEED}: {verb} killed {when} call {number}, {ended.place}")
    while not ended.killed:  # this one was quicker than the others
        assert ended.ran.code == 0, ended.ran
        number = max(1, min(number - 1, int(share * len(ended.calls))))
        ended = kill(town, book, verb, Fault("die", when, "call", str(number)), f"{mark}x{number}")
