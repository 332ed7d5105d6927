"""Docker Compose's program, and the paths of this server that a project mounts."""

from __future__ import annotations

from typing import Protocol

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.compose.model import ComposeModel, MountedPath
    from deployctl.paths import Path


@dataclass(frozen=True, slots=True)
class ComposeRequest:
    """Which project to read. Without files Compose looks for them itself: its names, the override file, COMPOSE_FILE."""

    folder: Path  # where a person would call it
    files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    project: str | None = None


class Compose(Protocol):
    def read(self, request: ComposeRequest) -> ComposeModel:
        """Raises NotFound (no program, no Compose file) or Invalid (Compose refuses the file; says what it said)."""

    def look(self, path: str, *, limit: int) -> MountedPath:
        """Return what is at that path, reading at most `limit` bytes."""
