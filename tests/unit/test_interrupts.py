"""A signal that comes in a shielded block is raised at its end, and only at the end of the outermost."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from deployctl.cli.main import install
from deployctl.execution.interrupts import STOP_SIGNALS, shielded
from deployctl.ledger.file.connection import LedgerConnection
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import Services
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions
from tests.unit.world import SHOP, world


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    former = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    install()
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_waits_for_the_end_of_the_outermost_block(number: signal.Signals) -> None:
    done = list[str]()

    def work() -> None:
        with shielded() as came:
            with shielded():
                signal.raise_signal(number)
                done.append("inner")
            done.append(f"outer, {came}")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", f"outer, {[int(number)]}"]
    with pytest.raises(KeyboardInterrupt):  # and is heard at once again
        signal.raise_signal(number)


def test_without_a_signal_nothing_is_raised_and_an_exception_passes() -> None:
    with shielded() as came, shielded():
        pass
    assert came == []
    with pytest.raises(ValueError, match="mine"), shielded():
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), shielded():  # no block of before is still counted as open
        signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_on_purpose_ends_no_block() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    install()
    with shielded() as came:
        signal.raise_signal(signal.SIGHUP)
    assert came == []


def test_at_whatever_moment_two_signals_come_every_signal_is_heard_afterwards() -> None:
    moments = 0
    while interrupted(shielded(), at=moments):
        moments += 1
        for number in STOP_SIGNALS:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    assert moments > 5, "the block was entered and left"


def db(s: Services) -> LedgerConnection:
    assert isinstance(s.ledger, SqliteLedger)
    return s.ledger.db


BLOCKS: dict[str, Callable[[Services], AbstractContextManager[Any]]] = {
    "lease": lambda s: lease(SHOP, "rollback", s, ChangeOptions(), by_force=True),
    "transaction": lambda s: db(s).transaction(),
    "snapshot": lambda s: db(s).snapshot(),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_at_whatever_moment_a_signal_comes_nothing_is_left_for_a_closed_ledger(tmp_path: Path, kind: str) -> None:
    """What is left suspended would be ended when it is collected, and Python would print what goes wrong then."""
    complaints, moments, ended = list[Any](), 0, None
    former, sys.unraisablehook = sys.unraisablehook, complaints.append
    try:
        with world(tmp_path) as w:
            while moments == 0 or ended:
                with w.beside() as s:
                    ended = interrupted(BLOCKS[kind](s), at=moments)
                moments += 1
        gc.collect()
    finally:
        sys.unraisablehook = former
    assert moments > 5
    assert [one for one in complaints if one.exc_type is not ResourceWarning] == []  # of a file: nobody is shown it


def interrupted(block: AbstractContextManager[Any], *, at: int) -> KeyboardInterrupt | None:
    """Enter and leave the block. At that line of the way SIGTERM comes, and SIGINT at each line after it while the first is
    held back. Return how it ended: its traceback keeps alive what was left suspended. None when the way is shorter."""
    left = at

    def trace(frame: FrameType, event: str, _value: Any) -> Any:
        nonlocal left
        module = frame.f_globals["__name__"]  # paths stand for pathlib, where no signal is sent either
        if module == "deployctl.paths" or not module.startswith(("deployctl.", "contextlib")):
            return None
        if event == "line":
            left -= 1
            if left < 0:
                signal.raise_signal(signal.SIGTERM if left == -1 else signal.SIGINT)
        return trace

    former = sys.gettrace()
    try:
        sys.settrace(trace)
        with block:
            pass
    except KeyboardInterrupt as e:
        return e
    finally:
        sys.settrace(former)
    return None
