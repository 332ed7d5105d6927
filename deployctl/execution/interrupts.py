"""Ctrl-C and SIGTERM: immediate if nothing has been switched, otherwise after the few steps that keep traffic safe.

One handler stays for the life of the process and asks whether a block is open. Exchanging handlers around each block would
leave moments in which a second signal ends the exchange half-way, and the process deaf to SIGTERM.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from deployctl.stdlib import signal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_open: list[list[int]] = []  # the signals that arrived in each open block of the main thread, innermost last


def stop(number: int, _frame: FrameType | None) -> None:
    """Handle a signal that ends the command: raise KeyboardInterrupt, or remember it until the open block has ended."""
    if not _open:
        raise KeyboardInterrupt
    _open[-1].append(number)


@contextmanager
def shielded() -> Iterator[list[int]]:
    """Hold the signals that `stop` handles back while the block runs; the list names those that arrived, and
    KeyboardInterrupt is raised afterwards: at the end of the outermost block if they are nested.

    Only the main thread gets signals; elsewhere there is nothing to hold back.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    _open.append(came)
    try:
        yield came
    finally:
        _open.pop()
    if came and _open:
        _open[-1].extend(came)
    elif came:
        raise KeyboardInterrupt
