"""Ports of 127.0.0.1 that a test run has to itself: leased in blocks, each port handed out once, given back at the end.

The kernel's own choice (`bind` to port 0) is not held: it hands the same port out again as soon as the socket is closed,
so two apps of one home can get the same one. Blocks lie below the ports that Linux and macOS take for outgoing
connections, and above those of the test homes' own ranges (`tests.homes.ports_of`).
"""

from __future__ import annotations

import errno
import fcntl
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests import machine

FIRST, LAST = 28_000, 32_767
BLOCK = 50  # ports


class Leases:
    """The blocks of one process. They are held until it ends, whatever way it ends: a lock on a file goes with it."""

    def __init__(self, first: int = FIRST, last: int = LAST, *, locks: Path | None = None) -> None:
        self._locks = locks
        self._blocks = [range(at, min(at + BLOCK, last + 1)) for at in range(first, last + 1, BLOCK)]
        self._held, self._one_at_a_time = ExitStack(), threading.Lock()
        self._ports = self._leased()

    def next(self) -> int:
        """Return a port that no other test run has, that this one has not handed out, and on which nobody listens.

        Raises RuntimeError when all blocks are leased.
        """
        with self._one_at_a_time:
            for port in self._ports:
                if is_free(port):
                    return port
        raise RuntimeError(f"all ports from {self._blocks[0][0]} to {self._blocks[-1][-1]} are leased by test runs")

    def _leased(self) -> Iterator[int]:
        for block in self._blocks:
            try:
                lock = machine.locked(f"ports-{block[0]}", fcntl.LOCK_EX | fcntl.LOCK_NB, folder=self._locks)
                self._held.enter_context(lock)
            except BlockingIOError:
                continue
            yield from block

    def close(self) -> None:
        self._held.close()


def is_free(port: int) -> bool:
    """Tell whether nothing is bound to that port on any address of this machine, not even a connection that just ended."""
    return all(_may_bind(family, address, port) for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")))


def _may_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as asking:
            asking.bind((address, port))
    except OSError as e:
        return e.errno != errno.EADDRINUSE  # a machine without IPv6 has nobody there
    return True


LEASES = Leases()
