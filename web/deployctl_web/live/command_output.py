"""What a command in a container printed, for those who have no terminal: bounded in size and in time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread, Timer

from deployctl.dataclass import dataclass, field
from deployctl.ports.inside import Streams

MAX_OUTPUT_BYTES = 64 * 1024  # of each stream: what comes after is dropped
PIECE = 64 * 1024  # bytes


@dataclass(slots=True)
class KeptOutput:
    """The beginning of a stream. All of it is read, so that the command never waits for us."""

    kept: bytearray = field(default_factory=bytearray)
    dropped: bool = False

    def read(self, descriptor: int) -> None:
        while piece := os.read(descriptor, PIECE):
            room = MAX_OUTPUT_BYTES - len(self.kept)
            self.dropped = self.dropped or len(piece) > room
            self.kept += piece[:max(0, room)]

    @property
    def text(self) -> str:
        return self.kept.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """`exit_code` is None for a command that was ended because its time was over."""

    exit_code: int | None
    stdout: str
    stderr: str
    truncated: bool  # there was more


def collect(run: Callable[[Streams], int], *, seconds: float) -> CommandOutput:
    """Return what it printed, at the latest after that many seconds: it is ended then. Raises what `run` raises."""
    with ExitStack() as stack:
        out, err = KeptOutput(), KeptOutput()
        over = stack.enter_context(_after(seconds))
        with _read_into(out) as stdout, _read_into(err) as stderr:
            code = run(Streams(None, stdout, stderr, gone=over.reading))
        return CommandOutput(None if over.rung else code, out.text, err.text, truncated=out.dropped or err.dropped)


@contextmanager
def _read_into(printed: KeptOutput) -> Iterator[int]:
    """Yield a descriptor to write to; at the end of the block everything that was written has been read."""
    reading, writing = os.pipe()
    reader = Thread(target=printed.read, args=[reading], name="command-output", daemon=True)
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join()
        os.close(reading)


@dataclass(slots=True)
class _Bell:
    """`reading` can be read from once it has rung."""

    reading: int
    writing: int
    rung: bool = False

    def ring(self) -> None:
        self.rung = True
        os.write(self.writing, b".")


@contextmanager
def _after(seconds: float) -> Iterator[_Bell]:
    bell = _Bell(*os.pipe())
    timer = Timer(seconds, bell.ring)
    timer.daemon = True
    timer.start()
    try:
        yield bell
    finally:
        timer.cancel()
        timer.join()
        os.close(bell.reading)
        os.close(bell.writing)
