"""An engine whose containers outlive it is restarted, killed or frozen at each phase of an upgrade under load."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.faults import beside
from tests.faults.beside import needs_engine, town_beside
from tests.faults.matrix import GONE, IDLE, PHASES, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.second_engine import SecondEngine
from tests.faults.town import Town

HARM: dict[str, beside.Engineered] = {
    "engine restarted, live-restore": beside.restarted,
    "engine killed and started, live-restore": beside.killed,
    "engine killed": beside.away,
    "engine hangs": beside.frozen,
    "engine hangs for a moment": beside.frozen_for_a_moment,
}
BACK_SOON = dict.fromkeys((*PHASES, IDLE), ((0,), "forward"))


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[Town, SecondEngine]]:
    with town_beside(live_restore=True) as found:
        yield found


@needs_engine
@pytest.mark.parametrize("cell", cells(
    *across("engine restarted, live-restore", BACK_SOON),
    *across("engine killed and started, live-restore", BACK_SOON),
    *across("engine killed", GONE),
    *across("engine hangs", GONE),
    *across("engine hangs for a moment", BACK_SOON)))
def test_visitors_never_notice_what_becomes_of_the_engine(lasting: tuple[Town, SecondEngine], book: Book, cell: Cell) -> None:
    town, engine = lasting
    run_cell(town, book, cell, partial(HARM[cell.fault], engine))
