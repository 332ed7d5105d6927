"""A process that stays gives memory that it has freed back to the kernel, though what it still needs lies behind it."""

from __future__ import annotations

import platform
import resource
import time
from pathlib import Path

import pytest

from deployctl.effects.linux.heap import lean_heap

SIZE, COUNT = 2000, 20_000  # bytes, more than Python's own allocator takes: 40 MB


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's heaps are kept small")
def test_memory_that_was_freed_is_given_back() -> None:
    blocks = [bytes([number % 256]) * SIZE for number in range(COUNT)]
    kept = blocks[::1000]
    blocks.clear()
    before = resident()
    with lean_heap(first=0.0):
        until = time.monotonic() + 10
        while before - resident() < SIZE * COUNT / 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert before - resident() >= SIZE * COUNT / 2
    assert {len(block) for block in kept} == {SIZE}
