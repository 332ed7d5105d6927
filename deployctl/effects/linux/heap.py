"""The memory that the C library keeps for a process that runs for months: fewer heaps, and free memory in them is
returned.

glibc creates heaps for threads, up to eight for each core, and keeps what is freed inside of one. Other C libraries are
left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

MAX_HEAPS = 2  # Python's own lock rarely lets more threads allocate at a time
FIRST_SECONDS, EVERY_SECONDS = 20.0, 600.0  # seconds until memory is returned: first what starting needed, then periodically
_M_ARENA_MAX = -8  # of <malloc.h>


@contextmanager
def lean_heap(*, first: float = FIRST_SECONDS) -> Iterator[None]:
    """Let all threads share a few heaps, and return free memory to the kernel while the block runs. To be entered
    before the threads that allocate most; `first` is in seconds."""
    import ctypes  # slow to load, and only needed by long-running processes

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
