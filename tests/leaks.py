"""Connections to SQLite that nobody closed, on every Python: 3.13 warns of them, the ones before say nothing.

They keep a file open, and a lock on it if a transaction was, until the collector comes by.
"""

from __future__ import annotations

import gc
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

LEFT_OPEN: list[str] = []  # where each was opened
_connect = sqlite3.connect


class Counted(sqlite3.Connection):
    """A connection that is written down when it is thrown away open."""

    opened_at: str | None = None  # None: it is closed, or never was open

    def close(self) -> None:
        super().close()
        self.opened_at = None

    def __del__(self) -> None:
        if self.opened_at is not None:
            LEFT_OPEN.append(self.opened_at)
            with suppress(sqlite3.ProgrammingError):  # of another thread
                super().close()


def connect(*words: Any, factory: type[sqlite3.Connection] = Counted, **more: Any) -> sqlite3.Connection:
    """Do what sqlite3.connect does, and remember who asked."""
    made = _connect(*words, factory=factory, **more)
    if isinstance(made, Counted):
        made.opened_at = _callers()
    return made


def _callers() -> str:
    """Return the last few places in files of ours or of the tests, without reading their lines."""
    frames = traceback.walk_stack(None)
    codes = ((frame.f_code, line) for frame, line in frames)
    ours = [(code, line) for code, line in codes if "site-packages" not in code.co_filename and code.co_filename != __file__]
    return " ← ".join(f"{code.co_filename.rpartition('/')[2]}:{line} {code.co_qualname}" for code, line in ours[:6])


def left_open(*, collect: bool = False) -> list[str]:
    """Return where those were opened that were thrown away open since this was asked last."""
    if collect:
        gc.collect()
        gc.freeze()  # what lives now is not looked through again each time: the parsed sources of the guards take 2 s
    found = LEFT_OPEN[:]
    del LEFT_OPEN[:len(found)]
    return found


@pytest.fixture(autouse=True, scope="module")
def _no_connection_of_the_module_is_left_open() -> Iterator[None]:
    """Those in circles of references are found at the end of the module: to collect after each test takes minutes."""
    yield
    _require_none(left_open(collect=True))


@pytest.fixture(autouse=True)
def _no_connection_is_left_open() -> Iterator[None]:
    yield
    _require_none(left_open())


def _require_none(found: list[str]) -> None:
    if found:
        pytest.fail("\n".join(["nobody closed these connections to SQLite:", *found]), pytrace=False)
