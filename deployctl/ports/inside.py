"""What people run inside containers themselves, with their own streams."""

from __future__ import annotations

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from deployctl.ports import ContainerFacts

    class Inside(Protocol):
        """Commands in the containers of this home. When a call ends, however it ends, what it started has ended, too."""

        def execute(self, container: str, command: Sequence[str], streams: Streams) -> int:
            """Run it in a running container with these streams and return its exit code."""
        def run(self, container: str, streams: Streams) -> int:
            """Start a container that was created for one command and return its exit code. Raises PlaceTaken as
            `ensure_started` does."""
        def one_offs(self) -> list[ContainerFacts]:
            """Return the containers of this home that were created for one command; `containers` has none of them."""


@dataclass(frozen=True, slots=True)
class Streams:
    """File descriptors. With `terminal` the command gets a terminal of its own, which stands for this one. Once `gone` can be
    read from, nobody waits for the command any more: it is ended."""

    stdin: int | None = 0  # None: the command reads nothing
    stdout: int = 1
    stderr: int = 2
    terminal: bool = False
    gone: int | None = None
