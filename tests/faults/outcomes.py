"""What became of each cell of the matrix, kept while the tests run and printed as one table at their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIRST_LINES = """# Reliability

Written by `bin/test --all` from what the fault tests saw; do not edit. Faults marked (fakes) are injected into fakes.
`tests/faults/` contains the injectors, the cells, and the invariants I1 to I9 (tests/faults/invariants.py) that every
cell is checked against. Visitors arrive at a constant rate, whether they get responses or not; *lost* counts those who got
no valid response. It may be above zero only where the fault itself left nobody who could have responded.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cell: a fault, the phase it met, what was so afterwards, and the visitors."""

    fault: str
    phase: str
    text: str
    sent: int = 0
    lost: int = 0
    kept: bool = True  # every invariant held


class Book:
    """The outcomes of one run, in the order in which they came."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def write(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def merged(outcomes: Iterable[Outcome]) -> list[tuple[Outcome, int]]:
    """Return one line for each fault, phase and text, with how many cells ended so, sorted by fault."""
    lines: dict[tuple[str, str, str, bool], tuple[Outcome, int]] = {}
    for one in outcomes:
        key = one.fault, one.phase, one.text, one.kept
        so_far, times = lines.get(key, (Outcome(one.fault, one.phase, one.text, kept=one.kept), 0))
        total = Outcome(one.fault, one.phase, one.text, so_far.sent + one.sent, so_far.lost + one.lost, one.kept)
        lines[key] = total, times + 1
    return [lines[key] for key in sorted(lines)]


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the whole page: a table of fault × phase → outcome."""
    kills = sum(one.fault.startswith("SIGKILL") for one in outcomes)
    sums = f"{len(outcomes)} cells, {kills} of them real kills; {sum(one.sent for one in outcomes):,} requests.\n"
    rows = ["| fault | phase | outcome | times | requests | lost | invariants |", "|---|---|---|--:|--:|--:|---|"]
    for one, times in merged(outcomes):
        kept = "kept" if one.kept else "**BROKEN**"
        rows.append(f"| {one.fault} | {one.phase} | {one.text} | {times} | {one.sent or ''} | "
                    f"{one.lost if one.sent else ''} | {kept} |")
    return "\n".join([FIRST_LINES, sums, *rows]) + "\n"
