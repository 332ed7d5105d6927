"""Logs that outlive their containers, as use cases need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName


@dataclass(frozen=True, slots=True)
class LogLine:
    at: str  # ISO 8601, UTC
    stream: str  # stdout or stderr
    text: str  # control characters made visible, at most 8,192 characters


class KeptLogs(Protocol):
    """The end of the log of each release whose container was removed: the newest few of an app, each bounded in size.

    It is a convenience: what cannot be written or read is as if it was never kept. Nothing here raises.
    """

    def keep(self, app: AppName, release: int, lines: Iterable[LogLine]) -> None:
        """Put these lines, the oldest first, behind what is kept of that release (its number)."""
    def find(self, app: AppName, release: int) -> Sequence[LogLine]: ...
    def releases(self, app: AppName) -> Sequence[int]:
        """Return the numbers of those that something is kept of."""
    def forget(self, app: AppName) -> None: ...
