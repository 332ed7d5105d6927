"""An engine that takes its containers along is restarted: nobody else could serve, and all serve again when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cli import wait_until
from tests.faults.beside import needs_engine, restarted, town_beside
from tests.faults.matrix import IDLE, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.second_engine import SecondEngine
from tests.faults.town import BLOG, SHOP, Town

HONEST = (0, 1, 4, 7, 9)


@pytest.fixture(scope="module")
def fleeting() -> Iterator[tuple[Town, SecondEngine]]:
    with town_beside(live_restore=False) as found:
        yield found


@needs_engine
@pytest.mark.parametrize("cell", cells(*across(
    "engine restarted, without live-restore",
    dict.fromkeys(("on trial", "before the switch", "switched", "promoted", IDLE), (HONEST, "either")), may_lose=True)))
def test_containers_that_ended_with_their_engine_come_back_with_it(fleeting: tuple[Town, SecondEngine], book: Book,
                                                                   cell: Cell) -> None:
    town, engine = fleeting

    @contextmanager
    def harm(town: Town) -> Iterator[None]:
        with restarted(engine, town):
            yield
        for app in (SHOP, BLOG):
            await_answer(town, app)

    run_cell(town, book, cell, harm, visitors=(SHOP,))


def await_answer(town: Town, app: str) -> None:
    wait_until(lambda: town.get(app).status == 200, what=f"an answer of {app} after its engine")
