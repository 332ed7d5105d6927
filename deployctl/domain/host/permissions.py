"""Who may write to a file, and whether it can be trusted: only if nobody but root and us can have written it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass

ROOT_UID = 0


class FaultCode(StrEnum):
    OWNER = "belongs_to_another"
    WRITABLE = "writable_by_others"


@dataclass(frozen=True, slots=True)
class PathFacts:
    """One file, folder or link. `owner` and `writers` are uids, `mode` is the system's st_mode; `writers` are those
    that the mode's group bits, which also represent an access list, let write."""

    path: str
    owner: int
    mode: int
    writers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PermissionFault:
    """Why a path is not trusted. `who` are the uids that may write to it, empty: everybody. `remedy` is the command to
    type."""

    code: FaultCode
    path: str
    who: tuple[int, ...]
    remedy: str

    def sentence(self, name: Callable[[int], str]) -> str:
        """Return it as text, with the users' names."""
        who = ", ".join(map(name, self.who)) or "everybody"
        return f"{self.path} belongs to {who}" if self.code is FaultCode.OWNER else f"{self.path} is writable by {who}"


def trusted_uids(me: int, environ: Mapping[str, str]) -> tuple[int, ...]:
    """Return whose files are trusted: the user who runs this first, then root, and the user who called `sudo`."""
    sudo = environ.get("SUDO_UID", "")
    return (me, *([int(sudo)] if me == ROOT_UID and sudo.isdecimal() else []), *([] if me == ROOT_UID else [ROOT_UID]))


def find_fault(found: PathFacts, trusted: Sequence[int], *, owned: bool = True) -> PermissionFault | None:
    """Return why it is not trusted; None if nobody but the trusted uids may write to it. The first of them is the user
    who runs this.

    `owned`: one of them has to own it, too.
    """
    sudo = "" if trusted[0] in {ROOT_UID, found.owner} else "sudo "
    if owned and found.owner not in trusted:
        return PermissionFault(FaultCode.OWNER, found.path, (found.owner,), f"{sudo}chown {trusted[0]} {found.path}")
    who = _others(found, trusted)
    if who is None:
        return None
    bits = "go" if found.mode & stat.S_IWGRP else "o"
    return PermissionFault(FaultCode.WRITABLE, found.path, who, f"{sudo}chmod {bits}-w {found.path}")


def _others(found: PathFacts, trusted: Sequence[int]) -> tuple[int, ...] | None:
    """Return who else may write there: uids, empty for everybody; None for nobody. A link's mode means nothing."""
    if stat.S_ISLNK(found.mode) or _is_shared_safely(found):
        return None
    if found.mode & stat.S_IWOTH:
        return ()
    others = tuple(uid for uid in found.writers if uid not in trusted and uid != found.owner)
    return others if found.mode & stat.S_IWGRP and others else None


def _is_shared_safely(found: PathFacts) -> bool:
    """Return whether everybody may add to that folder, but not delete or replace other users' files: /tmp."""
    return stat.S_ISDIR(found.mode) and bool(found.mode & stat.S_ISVTX) and found.owner == ROOT_UID
