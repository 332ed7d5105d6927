"""Ctrl-C and SIGTERM: at once where nothing has moved, after the few steps that keep traffic safe otherwise."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def shielded() -> Iterator[list[int]]:
    """Hold signals back while the block runs; the list names those that came, and the first is raised afterwards.

    Only the main thread gets signals; elsewhere there is nothing to hold back.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    former = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield came
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
