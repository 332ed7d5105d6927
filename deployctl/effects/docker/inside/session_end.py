"""Ends what a command inside a container has started, also when this process is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

POLITE = 1.0  # seconds between SIGHUP, as when a terminal is closed, and SIGKILL


def end_session(pid: int, container: str) -> None:
    """End every process of the session that this one leads, if it is the container's and we may."""
    for number in (signal.SIGHUP, signal.SIGKILL):
        until = time.monotonic() + POLITE
        for one in _members(pid, container):
            with suppress(OSError):
                os.kill(one, number)
        while [*_members(pid, container)] and time.monotonic() < until:
            time.sleep(0.02)


def _members(pid: int, container: str) -> Iterator[int]:
    """Yield the processes of the session that are in the container."""
    if pid <= 0:
        return
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == pid and fields[0] != "Z" and container in (entry / "cgroup").read_text():
                yield int(entry.name)


class SessionGuard:
    """A child process that ends the session if this process dies before the block has ended."""

    def __init__(self, pid: int, container: str) -> None:
        self._pid, self._container = pid, container
        self._child, self._line = 0, -1

    def __enter__(self) -> None:
        reading, self._line = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            self._watch(reading)
        os.close(reading)

    def _watch(self, reading: int) -> None:
        """Wait for one byte, which says that all is well; the end of the pipe without it says that the other one died."""
        try:
            os.setsid()  # Ctrl-C is for the command
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH):
                signal.signal(number, signal.SIG_IGN)
            os.close(self._line)
            if not os.read(reading, 1):
                end_session(self._pid, self._container)
        finally:
            os._exit(0)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            os.write(self._line, b".")
        os.close(self._line)
        with suppress(OSError):
            os.waitpid(self._child, 0)
