"""The memory that the C library keeps of a process that runs for months: fewer heaps, and what is free in them is given back.

glibc makes heaps for threads, up to eight for each core, and keeps what is freed inside of one. Other C libraries are left
as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

MAX_HEAPS = 2  # Python's own lock lets hardly more threads allocate at a time
FIRST_SECONDS, EVERY_SECONDS = 20.0, 600.0  # seconds until memory is given back: what the start needed, then what came up
_M_ARENA_MAX = -8  # of <malloc.h>


@contextmanager
def lean_heap(*, first: float = FIRST_SECONDS) -> Iterator[None]:
    """Let all threads share a few heaps, and give free memory back to the kernel while the block runs. To be entered before
    the threads begin that allocate most; `first` is in seconds."""
    import ctypes  # slow to load, and only a process that stays needs it

    libc, ended = ctypes.CDLL(None), Event()
    if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim"):
        libc.mallopt(_M_ARENA_MAX, MAX_HEAPS)
        Thread(target=_give_back, args=(libc.malloc_trim, ended, first), name="heap", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _give_back(trim: Callable[[int], object], ended: Event, seconds: float) -> None:
    while not ended.wait(seconds):
        trim(0)
        seconds = EVERY_SECONDS
