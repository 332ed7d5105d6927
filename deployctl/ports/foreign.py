"""Containers of others: of a Compose project that an app takes over. The one exception to touching only what is ours."""

from __future__ import annotations

from typing import Protocol

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployctl.domain.compose.gaps import ImportGap


@dataclass(frozen=True, slots=True)
class ForeignContainer:
    """A container that deployctl did not create."""

    id: str
    name: str
    project: str  # of Compose; empty: of none
    compose_service: str
    image: str
    running: bool
    restart: str  # policy, as Docker names it: no, always, unless-stopped, on-failure
    retries: int = 0  # of on-failure
    volumes: tuple[str, ...] = ()  # Docker volumes and paths that it mounts


class ForeignContainers(Protocol):
    def of_project(self, project: str) -> list[ForeignContainer]:
        """Return the containers of a Compose project, running or not, sorted by name."""

    def users_of(self, volume: str) -> list[ForeignContainer]:
        """Return the running containers that mount that volume or path."""

    def set_restart(self, container: ForeignContainer, policy: str, retries: int = 0) -> None:
        """Change its restart policy. A container that is gone is fine. Raises EngineRefused if it is one of deployctl's."""

    def ensure_stopped(self, container: ForeignContainer) -> None:
        """Stop it by its own signal and grace. A container that is gone is fine."""

    def ensure_started(self, container: ForeignContainer) -> None:
        """Start it. Raises NotFound if it is gone."""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A take-over that was begun and neither confirmed nor aborted. `containers`: as they were before it."""

    app: str
    project: str
    version: str
    containers: tuple[ForeignContainer, ...]
    began_at: str
    gap_ms: float | None = None  # None: the app has not served yet


class Imports(Protocol):
    """What is open of imports, by app: a take-over that was begun, and gaps that nobody has dismissed."""

    def find(self, app: str) -> TakeOver | None: ...
    def put(self, one: TakeOver) -> None:
        """Keep it, also if the machine loses its power right afterwards."""

    def drop(self, app: str) -> None:
        """Forget its take-over."""

    def gaps(self, app: str) -> tuple[ImportGap, ...]: ...
    def keep_gaps(self, app: str, gaps: Sequence[ImportGap]) -> None:
        """Keep them in place of those that were open."""
