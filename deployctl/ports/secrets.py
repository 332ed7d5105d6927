"""Secrets of this home: values at rest, and as files for containers. No method returns a value.

A backing component shop/db has the values of its app shop, and files of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.secret import SecretFile, SecretRef
    from deployctl.domain.inputs.names import AppName
    from deployctl.errors import DeployctlError
    from deployctl.ports import EngineInfo


@dataclass(frozen=True, slots=True)
class HeldValue:
    """One value of a secret that this home holds, encrypted."""

    name: str
    id: str  # keyed hash of the value: equal ones of a secret have the same
    set_at: str  # ISO 8601, UTC
    current: bool  # what the next upgrade takes


@dataclass(frozen=True, slots=True)
class LaidAgain:
    """What the containers of one instance had, after it was laid again; `why` it was not."""

    app: AppName
    instance: InstanceId
    files: int
    why: str | None = None
    code: str | None = None  # of the error


@dataclass(frozen=True, slots=True)
class SecretHealth:
    """How the secrets of a home are kept."""

    values: int  # that are held
    key_file: str
    place: str  # in memory
    key_fault: DeployctlError | None = None  # why no value can be read
    may_swap: bool = False  # what is in memory may be written to a disk
    unlaid: int = 0  # instances whose files are not in memory


class Secrets(Protocol):
    """Errors: AttentionNeeded (the key is missing), NotPermitted (others can read the key, or this process may not mount),
    Refused (no file system in memory), NotFound (the value is not held), or a plain failure (it cannot be decrypted)."""

    def set(self, app: AppName, name: str, value: bytes) -> tuple[str, bool]:
        """Make it the current value and return its id, and whether it differs from the one before. A key is created with
        the first one."""
    def current(self, app: AppName) -> Mapping[str, str]:
        """Return the id of each secret's current value."""
    def held(self, app: AppName) -> Sequence[HeldValue]:
        """Return every value that is held, by name, the current one first."""
    def apps(self) -> Sequence[AppName]:
        """Return the apps that have any."""
    def remove(self, app: AppName, name: str) -> None:
        """Remove all its values."""
    def keep_only(self, app: AppName, ids: Collection[str]) -> None:
        """Remove the values that are neither current, nor among these, nor laid for an instance."""
    def forget(self, app: AppName) -> None:
        """Remove everything of the app, at rest and in memory; of a backing component what was laid for it."""

    # -- for containers -----------------------------------------------------------------------------------------------
    def require_deliverable(self, engine: EngineInfo) -> None:
        """Raise if containers of that engine cannot be given files from memory."""
    def room(self, app: AppName, one: InstanceId) -> str:
        """Return the folder for an instance's files, in memory; created if absent."""
    def deliver(self, app: AppName, one: InstanceId, files: Sequence[SecretFile]) -> None:
        """Lay these files, and no others, into its folder."""
    def is_delivered(self, app: AppName, one: InstanceId, refs: Sequence[SecretRef]) -> bool:
        """Return whether its folder has a file of each of these values."""
    def withdraw(self, app: AppName, one: InstanceId) -> None:
        """Remove its folder."""
    def lay_again(self) -> Sequence[LaidAgain]:
        """Lay the files of every instance that had some, after memory was lost."""

    # -- what others print --------------------------------------------------------------------------------------------
    def health(self) -> SecretHealth: ...
    def hider(self) -> Callable[[str], str] | None:
        """Return what replaces every value in a text; None if there is nothing to hide."""
