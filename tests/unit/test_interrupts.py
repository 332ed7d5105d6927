"""A signal that comes in a shielded block is raised at its end, and only at the end of the outermost."""

from __future__ import annotations

import signal

import pytest

from deployctl.execution.interrupts import shielded


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_end_of_the_outermost_block(number: signal.Signals) -> None:
    former, done = signal.getsignal(number), list[str]()

    def work() -> None:
        with shielded() as came:
            with shielded():
                signal.raise_signal(number)
                done.append("inner")
            done.append(f"outer, {came}")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", f"outer, {[int(number)]}"]
    assert signal.getsignal(number) == former


def test_without_a_signal_nothing_is_raised_and_an_exception_passes() -> None:
    with shielded() as came, shielded():
        pass
    assert came == []
    with pytest.raises(ValueError, match="mine"), shielded():
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), shielded():  # no block of before is still counted as open
        signal.raise_signal(signal.SIGINT)
