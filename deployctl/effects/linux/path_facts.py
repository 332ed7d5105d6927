"""Whom the system lets write to a file, folder or link: its owner, mode, access list, and group members."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from deployctl.domain.host.permissions import PathFacts

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
