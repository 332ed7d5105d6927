"""A connection to SQLite that nobody closes is found, on every Python, and told with who opened it."""

from __future__ import annotations

import gc
import sqlite3

from tests import leaks


def test_a_connection_that_is_thrown_away_open_is_told_with_who_opened_it() -> None:
    sqlite3.connect(":memory:")
    gc.collect()
    found = leaks.left_open()
    assert ["test_a_connection_that_is_thrown_away_open_is_told_with_who_opened_it" in text for text in found] == [True]


def test_one_that_is_closed_or_never_was_open_is_not() -> None:
    sqlite3.connect(":memory:").close()
    try:
        sqlite3.connect("/nonexistent/ledger.db")
    except sqlite3.OperationalError:
        gc.collect()
    assert leaks.left_open() == []
