"""The ledger locked by somebody, for a moment or for long, at each phase of an upgrade under load.

Truncated, deleted and rebuilt ledgers: tests/e2e/test_ledger_lost.py and test_behind_our_back.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Timer

import pytest

from tests.faults.matrix import PHASES, Cell, across, cells, run_cell
from tests.faults.outcomes import Book
from tests.faults.town import Town, two_apps

MOMENT = 2.0  # seconds; a ledger is waited for five


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Town]:
    with two_apps(engine_url, keep_stopped=1) as found:
        yield found


@contextmanager
def locked(town: Town) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(town.home / "state/ledger.db", isolation_level=None, check_same_thread=False)) as db:
        db.execute("begin immediate")
        yield db
        if db.in_transaction:
            db.execute("rollback")


@contextmanager
def locked_for_a_moment(town: Town) -> Iterator[None]:
    with locked(town) as db:
        timer = Timer(MOMENT, lambda: db.execute("rollback"))
        timer.start()
        yield
        timer.join()


@contextmanager
def locked_for_long(town: Town) -> Iterator[None]:
    with locked(town):
        yield


HARM = {"ledger locked for a moment": locked_for_a_moment, "ledger locked for long": locked_for_long}


MOMENTS = across("ledger locked for a moment", dict.fromkeys(PHASES, ((0,), "forward")))
AGES = across("ledger locked for long", dict.fromkeys(PHASES, ((0, 1, 4, 6, 7), "either")))


@pytest.mark.parametrize("cell", [*cells(*MOMENTS), *cells(*AGES, small=0)])
def test_a_locked_ledger_costs_time_and_no_visitor(town: Town, book: Book, cell: Cell) -> None:
    run_cell(town, book, cell, HARM[cell.fault])
