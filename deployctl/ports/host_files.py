"""Files of this server that containers have: kept copies of config files, and paths that are mounted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.images.mounts import ConfigFile
    from deployctl.domain.inputs.names import AppName


class FileFault(StrEnum):
    """What is wrong with a kept file."""

    MISSING = "missing"
    CHANGED = "changed"  # its bytes, its mode or its owner are not those that the release has


@dataclass(frozen=True, slots=True)
class HostPath:
    """A path of this server as it is now."""

    real: str  # with every link in it followed
    exists: bool = True
    loose: str = ""  # who else could put something else there, as text; empty: only root and the user who runs deployctl
    engine: bool = False  # is the socket of an engine, or has it somewhere below
    home: bool = False  # has deployctl's own files somewhere below, or is one of them


class HostFiles(Protocol):
    """The config files below config/, and their copies in state/files, each named by its hash."""

    def read(self, source: str) -> bytes:
        """Return the file below config/. Raises NotFound, or Invalid: it is too large, no file, or leads elsewhere."""
    def keep(self, app: AppName, contents: Mapping[ConfigFile, bytes]) -> None:
        """Keep the files that the app's next release has, until `tidy` of that app knows better. Raises NotPermitted if
        this user may not give one its owner."""
    def path(self, file: ConfigFile) -> str: ...
    def find_fault(self, file: ConfigFile) -> FileFault | None:
        """Return what is wrong with the kept copy; None if a container would see what the release has."""
    def tidy(self, app: AppName, needed: Callable[[], Collection[str]]) -> None:
        """Remove every kept file whose hash is not needed, and that no upgrade of another app is about to use."""
    def look(self, path: str) -> HostPath:
        """Return what that path of the server is now, and who could change that."""
