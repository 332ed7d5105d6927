"""The matrix as data: which fault meets which phase of which verb, and how that must end.

A phase is a moment of a plan: the intent of that step is written and the step is not taken yet. `idle` is no plan at all.
Where visitors may be lost no healthy version is left by the fault itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.faults.injector import Fault
from tests.faults.invariants import Watched, watched
from tests.faults.outcomes import Book, Outcome
from tests.faults.scenes import Scenes
from tests.faults.town import BLOG, SHOP, Town
from tests.faults.victim import Ended, victim

LONG = os.environ.get("DEPLOYCTL_LONG") == "1"
PHASES = {  # of an upgrade → the step before which it stands still
    "before the container is created": "create",
    "health check": "health",
    "before the switch": "switch",
    "switched": "promote",
    "promoted": "drain",
}
IDLE = "idle"
MARKS = count(1)
DONE, ANY = ((0,), "forward"), ((0, 1, 4, 7), "either")
# An engine that is away until the verb has ended: what is not yet started is refused, what is switched stays so.
GONE = {"health check": ((0, 1, 4, 7), "either"), "before the container is created": ((7,), "back"), "before the switch": ANY,
        "switched": ANY, "promoted": DONE, IDLE: ((0,), "back")}
Harm = Callable[[Town], AbstractContextManager[object]]


@dataclass(frozen=True)
class Cell:
    """One fault at one phase. `codes` are the exit codes that are honest there; `ends` says who may serve afterwards."""

    fault: str
    phase: str
    codes: tuple[int, ...] = (0,)
    ends: str = "either"  # or: forward, back
    may_lose: bool = False
    verb: str = "upgrade"
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.fault}, {self.phase}" + ("" if self.verb == "upgrade" else f" ({self.verb})")


def cells(*rows: Cell, small: int = 1) -> Sequence[object]:
    """Return what pytest takes; of each fault only the first few, unless all are wanted: none, if it has others."""
    taken: dict[str, int] = {}
    chosen = []
    for cell in rows:
        taken[cell.fault] = taken.get(cell.fault, 0) + 1
        if LONG or taken[cell.fault] <= small:
            chosen.append(pytest.param(cell, id=cell.id))
    return chosen


def across(fault: str, phases: Mapping[str, tuple[tuple[int, ...], str]], **more: object) -> list[Cell]:
    """Return a cell for each phase of that fault."""
    return [Cell(fault, phase, codes, ends, **more) for phase, (codes, ends) in phases.items()]  # type: ignore[arg-type]


def run_cell(town: Town, book: Book, cell: Cell, harm: Harm, *, visitors: tuple[str, ...] = (SHOP, BLOG),
             env: Mapping[str, str] | None = None, words: tuple[str, ...] | None = None) -> Ended | None:
    """Inject the fault in its phase under load, repair it, settle, and check every invariant; record it in the book."""
    scenes = Scenes(town)
    if cell.phase == "promoted":
        scenes.ensure_way_back()  # else there is nobody to retire
    typed = words or scenes.words(cell.verb, f"c{next(MARKS)}")
    source = town.route(SHOP)
    with watched(town, SHOP, visitors=visitors, may_lose=cell.may_lose) as watch:
        ended = None
        if cell.phase == IDLE:
            with harm(town):
                town.run("status")
        else:
            ended = _meet(town, cell, harm, typed, {**cell.env, **(env or {})})
            require_honest(town, cell, ended, source)
        town.settle()
        require_end(town, cell, ended, source)
        watch.require_kept(town.settle)
    _tell(book, cell, watch, ended, source)
    return ended


def _meet(town: Town, cell: Cell, harm: Harm, words: tuple[str, ...], env: Mapping[str, str]) -> Ended:
    """Hold the verb in its phase, inject the fault, let it continue and end, and only then repair the fault."""
    with victim(town, Fault("wait", "after", "begin", PHASES[cell.phase]), *words, env=env) as process:
        process.wait_there()
        with harm(town):
            process.go_on()
            return process.ended()


def require_honest(town: Town, cell: Cell, ended: Ended, source: int | None) -> None:
    """What it said is so: its exit code is one of those, success means that the target serves."""
    assert ended.ran.code in cell.codes, ended.ran
    if ended.ran.code == 0:
        assert ended.ran.told["ok"], ended.ran
    else:
        assert ended.ran.message, ended.ran


def require_end(town: Town, cell: Cell, ended: Ended | None, source: int | None) -> None:
    serving = town.route(SHOP)
    if cell.phase == IDLE or cell.ends == "back" or (ended and ended.ran.code in {1, 9}):
        assert serving == source, f"{cell.id}: {serving} serves, not {source}"
    elif cell.ends == "forward" or (ended and ended.ran.code == 0):
        assert serving != source, f"{cell.id}: still {source} serves"


def _tell(book: Book, cell: Cell, watch: Watched, ended: Ended | None, source: int | None) -> None:
    who = "the version before is live" if watch.town.route(SHOP) == source else "the requested version is live"
    code = f"exit {ended.ran.code}; " if ended else ""
    phase = cell.phase if cell.verb == "upgrade" else f"{cell.phase} ({cell.verb})"
    book.write(Outcome(cell.fault, phase, code + who, watch.sent, watch.lost))
