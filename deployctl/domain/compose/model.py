"""What a Compose project says, as Compose's own program understands it, and what of this server it names."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MissingKind(StrEnum):
    """What a project refers to and does not have. Compose refuses such files; it was given a stand-in."""

    VARIABLE = "variable"  # required, and set nowhere
    UNSET = "unset"  # a variable without a default, which Compose leaves empty
    ENV_FILE = "env_file"
    SECRET = "secret"  # noqa: S105  (a code)
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Missing:
    kind: MissingKind
    name: str  # of the variable, the path of the file, the name of the secret
    services: tuple[str, ...] = ()  # that refer to it; empty: any


@dataclass(frozen=True, slots=True)
class ComposeModel:
    """`told` is Compose's JSON, with every $ single again; relative paths are whole ones."""

    told: Mapping[str, Any]
    missing: tuple[Missing, ...] = ()
    idle_profiles: tuple[str, ...] = ()  # with services that were left out
    environment: Mapping[str, str] = field(default_factory=dict)  # the shell's and the env files', as Compose has them


class PathKind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"  # a socket, a device
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class MountedPath:
    """A path of this server that a project mounts."""

    kind: PathKind
    size: int = 0  # bytes; of a folder the sum of its files
    files: Mapping[str, bytes] = field(default_factory=dict)  # contents by relative path ("" for a file), up to a limit
    whole: bool = True  # whether `files` has everything: no special file, no link, nothing above the limit


@dataclass(frozen=True, slots=True)
class DeclaredImage:
    """What an image that is on this server says of itself."""

    ports: tuple[int, ...] = ()
    healthcheck: tuple[str, ...] | None = None
