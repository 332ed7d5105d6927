"""Calls to an engine that may hang: a page waits a few seconds, and hanging calls occupy at most a few threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from deployctl.errors import EngineUnavailable
from deployctl.ports import Services
from deployctl_web.state import web_state

CALL_SECONDS = 4.0  # seconds
CALL_THREADS = 4
_THREADS, _free = ThreadPoolExecutor(CALL_THREADS, "page"), BoundedSemaphore(CALL_THREADS)

T = TypeVar("T")


def call_within(act: Callable[[Services], T], actor: str, *, what: str, wait: float = CALL_SECONDS) -> T:
    """Return what `act` returns. Raises EngineUnavailable if that takes too long, and what it raises."""
    pool, clock = web_state().pool, web_state().clock
    until = clock.now() + wait

    def work() -> T:
        try:
            with pool.lend(actor) as s:
                return act(s)
        finally:
            _free.release()

    try:
        if not _free.acquire(timeout=wait):  # nothing queues behind an engine that hangs
            raise TimeoutError
        return _THREADS.submit(work).result(max(0.0, until - clock.now()))
    except TimeoutError:
        raise EngineUnavailable(f"Docker did not respond in time, so {what} is unavailable. Traffic is not affected.",
                                remedy=["deployctl doctor"]) from None
