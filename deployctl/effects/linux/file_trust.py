"""Programs and files that others may write to are rejected: their contents would be executed with our rights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployctl.domain.host.permissions import find_fault, trusted_uids
from deployctl.effects.linux.path_facts import facts_of, walk
from deployctl.errors import Untrusted

if TYPE_CHECKING:
    from deployctl.domain.host.permissions import PermissionFault

GOES_ON = "Nothing was changed; running apps are not affected."
_TOLD = 3  # faults in one message


def require_believed(path: Path, handle: int) -> None:
    """Raise Untrusted if others may write to that open file: another one may have its name by now."""
    found = facts_of(str(path), os.fstat(handle), handle)
    if fault := find_fault(found, trusted_uids(os.geteuid(), os.environ)):
        raise untrusted([fault], f"it is not trusted. {GOES_ON}")


def find_faults(path: Path, *, trusted: Sequence[int]) -> list[PermissionFault]:
    """Return every fault of a file or a program, and of each folder and link that leads to it: whoever may change one
    of these may replace it. Raises OSError if it is missing."""
    return [fault for found in walk(path) if (fault := find_fault(found, trusted))]


def require_file(path: Path) -> None:
    """Raise Untrusted unless only root and we may change that file, and what leads to it."""
    if faults := find_faults(path, trusted=trusted_uids(os.geteuid(), os.environ)):
        raise untrusted(faults, f"{path.name} is not trusted")


def require_program(program: str) -> str:
    """Return it. Raises Untrusted unless only root and we may change it. A missing one is not judged: it cannot run."""
    if faults := _faults_of_program(program):
        raise untrusted(faults, f"{program} was not started")
    return program


def find_program(name: str, path: str | None) -> str | None:
    """Return the first program of that name in PATH that only root and we may change. Relative entries of PATH are
    skipped: the working directory may be anybody's."""
    import shutil

    places = [place for place in (path or os.defpath).split(os.pathsep) if place.startswith("/")]
    found = (shutil.which(name, path=place) for place in places)
    return next((program for program in found if program and not _faults_of_program(program)), None)


def _faults_of_program(program: str) -> list[PermissionFault]:
    """A user with `sudo` rights may be allowed deployctl alone: their programs are not root's."""
    try:
        return find_faults(Path(program), trusted=trusted_uids(os.geteuid(), {}))
    except OSError:
        return []


def untrusted(faults: Sequence[PermissionFault], therefore: str) -> Untrusted:
    """Return the error, with a remedy for each fault."""
    told = "; ".join(fault.sentence(_name) for fault in faults[:_TOLD])
    more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return Untrusted(f"{told}{more}: {therefore}", remedy=[*dict.fromkeys(fault.remedy for fault in faults)],
                     code=faults[0].code)


def _name(uid: int) -> str:
    import pwd  # rarely needed

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
