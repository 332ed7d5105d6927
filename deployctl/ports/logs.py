"""Logs that outlive their containers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.inputs.names import AppName


@dataclass(frozen=True, slots=True)
class LogLine:
    at: str  # ISO 8601, UTC
    stream: Annotated[str, Literal["stdout", "stderr"]]
    text: str  # control characters escaped, at most 8,192 characters


class KeptLogs(Protocol):
    """The end of the log of each removed container: of the newest few releases of an app, each bounded in size.

    It is a convenience: what cannot be written or read counts as never kept. Nothing here raises.
    """

    def keep(self, app: AppName, one: InstanceId, lines: Iterable[LogLine]) -> None:
        """Append these lines, oldest first, to what is kept of that instance."""
    def find(self, app: AppName, one: InstanceId) -> Sequence[LogLine]: ...
    def releases(self, app: AppName) -> Sequence[int]:
        """Return the numbers of those with a kept log."""
    def forget(self, app: AppName) -> None: ...
