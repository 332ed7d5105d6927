"""Programs and files that others may write to are rejected: their contents would be executed with our rights.

Whom the system lets write is a matter of owner, mode, access list, and of who is in a group.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence

from deployctl.domain.host.permissions import PathFacts, find_fault, trusted_uids
from deployctl.errors import Untrusted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.permissions import PermissionFault

_ACL = "system.posix_acl_access"
_USER, _OWN_GROUP, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10  # tags of its entries
_WRITE = 2
_MOST_LINKS = 40  # as in the kernel


def read_facts(path: Path | str) -> PathFacts:
    """Return what the system reports of it, of a link itself. Raises OSError."""
    return facts_of(str(path), os.lstat(path), path)


def facts_of(path: str, found: os.stat_result, at: Path | str | int) -> PathFacts:
    """Return the facts from a stat result; `at` is its path, or a handle of it."""
    # Group members need a query of the whole user database: skipped if everybody may write, as in /tmp.
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) == stat.S_IWGRP and not stat.S_ISLNK(found.st_mode)
    writers = _writers(found.st_gid, _read_acl(at)) if shared else ()
    return PathFacts(path, found.st_uid, found.st_mode, writers)


def walk(path: Path) -> Iterator[PathFacts]:
    """Yield every folder and link on the way to an absolute path, starting at /, and what it leads to. Raises OSError
    if something is missing."""
    here, todo, links = "/", list(reversed(path.parts[1:])), 0
    yield read_facts(here)
    while todo:
        name = todo.pop()
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120  text, and no link in it
            continue
        at = os.path.join(here, name)  # noqa: PTH118
        found = read_facts(at)
        yield found
        if not stat.S_ISLNK(found.mode):
            here = at
            continue
        target, links = Path(os.readlink(at)), links + 1  # noqa: PTH115
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        here = "/" if target.is_absolute() else here
        todo += reversed(target.parts[target.is_absolute():])


# -- groups ---------------------------------------------------------------------------------------------------------
def _writers(gid: int, acl: bytes) -> tuple[int, ...]:
    """Return whom the group bits let write. With an access list they are its mask: the maximum of any named entry."""
    users, groups = parse_acl(acl, gid) if acl else (set(), {gid})
    return tuple(sorted(users.union(*map(_members, groups))))


def parse_acl(acl: bytes, gid: int) -> tuple[set[int], set[int]]:
    """Return the users and the groups that an access list lets write: version 2 of the kernel, except the owner. `gid`
    is the file's own group."""
    import struct  # rarely needed

    entries = list(struct.iter_unpack("<HHI", acl[4:]))
    mask = next((rights for tag, rights, _ in entries if tag == _MASK), _WRITE)
    may = [(tag, id_) for tag, rights, id_ in entries if rights & mask & _WRITE]
    groups = {id_ for tag, id_ in may if tag == _GROUP} | {gid for tag, _ in may if tag == _OWN_GROUP}
    return {id_ for tag, id_ in may if tag == _USER}, groups


def _read_acl(at: Path | str | int) -> bytes:
    """Return the access list, empty if there is none or the system has no such thing."""
    try:
        return os.getxattr(at, _ACL)
    except (OSError, AttributeError):  # macOS does not have these
        return b""


def _members(gid: int) -> set[int]:
    """Return the group's members: listed ones, and users whose primary group it is."""
    import grp  # rarely needed
    import pwd

    try:
        named = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        named = set()
    return {one.pw_uid for one in pwd.getpwall() if one.pw_gid == gid or one.pw_name in named}


GOES_ON = "Nothing was changed; running apps are not affected."
_TOLD = 3  # faults in one message


def require_believed(path: Path, handle: int) -> None:
    """Raise Untrusted if others may write to that open file: another one may have its name now."""
    found = facts_of(str(path), os.fstat(handle), handle)
    if fault := find_fault(found, trusted_uids(os.geteuid(), os.environ)):
        raise untrusted([fault], f"it is not trusted. {GOES_ON}")


def find_faults(path: Path, *, trusted: Sequence[int]) -> list[PermissionFault]:
    """Return every fault of a file or a program, and of each folder and link that leads to it: anyone who may change
    one of these may replace it. Raises OSError if it is missing."""
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
    listed = "; ".join(fault.sentence(_name) for fault in faults[:_TOLD])
    more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return Untrusted(f"{listed}{more}: {therefore}", remedy=[*dict.fromkeys(fault.remedy for fault in faults)],
                     code=faults[0].code)


def _name(uid: int) -> str:
    import pwd  # rarely needed

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
