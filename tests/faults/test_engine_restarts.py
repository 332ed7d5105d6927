"""An engine that takes its containers along is restarted or killed: nobody else could serve, and all serve again when it
is back. No watcher is there to help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cli import wait_until
from tests.faults.beside import Engineered, killed, needs_engine, restarted, town_beside
from tests.faults.matrix import IDLE, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.second_engine import SecondEngine
from tests.faults.town import BLOG, SHOP, Town

HONEST = (0, 1, 4, 7, 9)
MET = dict.fromkeys(("health check", "before the switch", "switched", "promoted", IDLE), (HONEST, "either"))
HARM: dict[str, Engineered] = {
    "engine restarted, without live-restore": restarted,
    "engine killed and started, without live-restore": killed,
}


@pytest.fixture(scope="module")
def fleeting() -> Iterator[tuple[Town, SecondEngine]]:
    with town_beside(live_restore=False) as found:
        yield found


@needs_engine
@pytest.mark.parametrize("cell", cells(
    *across("engine restarted, without live-restore", MET, may_lose=True),
    *across("engine killed and started, without live-restore", {IDLE: MET[IDLE], **MET}, may_lose=True)))
def test_containers_that_ended_with_their_engine_come_back_with_it(fleeting: tuple[Town, SecondEngine], book: Book,
                                                                   cell: Cell) -> None:
    town, engine = fleeting

    @contextmanager
    def harm(town: Town) -> Iterator[None]:
        with HARM[cell.fault](engine, town):
            yield
        for app in (SHOP, BLOG):
            await_answer(town, app)

    run_cell(town, book, cell, harm, visitors=(SHOP,))


def await_answer(town: Town, app: str) -> None:
    wait_until(lambda: town.get(app).status == 200, what=f"an answer of {app} after its engine")
