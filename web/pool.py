"""Services for each request: a ledger connection belongs to one thread at a time, and opening one costs milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import Empty, LifoQueue

from deployctl.ports import Services

IDLE = 8  # services that are kept for the next request


class Pool:
    """Lends services that `connect` made, under the name of whoever asks."""

    def __init__(self, connect: Callable[[], Services]) -> None:
        self._connect = connect
        self._idle: LifoQueue[Services] = LifoQueue()

    @contextmanager
    def lend(self, actor: str) -> Iterator[Services]:
        """Yield services for one thread. Raises what `connect` raises."""
        try:
            s = self._idle.get_nowait()
        except Empty:
            s = self._connect()
        try:
            yield replace(s, actor=actor)
        finally:
            self._give_back(s)

    def _give_back(self, s: Services) -> None:
        if self._idle.qsize() < IDLE:
            self._idle.put(s)
        else:
            s.close()

    def close(self) -> None:
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return
