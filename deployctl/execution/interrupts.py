"""Ctrl-C and SIGTERM: immediate if nothing has been switched, otherwise after the few steps that keep traffic safe."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_open: list[list[int]] = []  # the signals that arrived in each open block, innermost last


@contextmanager
def shielded() -> Iterator[list[int]]:
    """Hold signals back while the block runs; the list names those that arrived, and KeyboardInterrupt is raised
    afterwards: at the end of the outermost block if they are nested.

    Only the main thread gets signals; elsewhere there is nothing to hold back.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    former = {number: signal.signal(number, remember) for number in STOP_SIGNALS}
    _open.append(came)
    try:
        yield came
    finally:
        _open.pop()
        for number, handler in former.items():
            signal.signal(number, handler)
    if came and _open:
        _open[-1].extend(came)
    elif came:
        raise KeyboardInterrupt
