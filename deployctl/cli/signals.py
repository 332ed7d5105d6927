"""SIGTERM, SIGHUP and the time limit end a command as Ctrl-C does: what was started is reverted or finished.

Shielded sections stay shielded: the limit calls whatever handles Ctrl-C at that moment.
"""

from __future__ import annotations

import signal
from types import FrameType

from deployctl.cli.session import CommandCall
from deployctl.execution.interrupts import STOP_SIGNALS, stop


def install() -> None:
    """Make every terminating signal raise KeyboardInterrupt, at the end of a shielded section where one is open; not those
    that are ignored on purpose (nohup, `&`)."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def limit(session: CommandCall, seconds: float) -> None:
    """End the command after that many seconds. A later call replaces the limit; `clear_limit` removes it."""

    def time_is_up(number: int, frame: FrameType | None) -> None:
        session.timed_out = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def clear_limit() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
