"""What a path of this server is, and what lies there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from deployctl.domain.compose.model import MountedPath, PathKind


def look(path: Path, limit: int) -> MountedPath:
    """Return what is there, with the contents of at most `limit` bytes. Links inside a folder are not followed."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return MountedPath(PathKind.MISSING)
    if stat.S_ISREG(mode):
        size = path.stat().st_size
        return MountedPath(PathKind.FILE, size, *_contents({"": path}, limit))
    if stat.S_ISDIR(mode):
        return _folder(path, limit)
    return MountedPath(PathKind.OTHER)


def _folder(path: Path, limit: int) -> MountedPath:
    files: dict[str, Path] = {}
    size, plain = 0, True
    for folder, folders, names in os.walk(path):
        for name in sorted(names):
            one = Path(folder, name)
            found = one.lstat()
            plain = plain and stat.S_ISREG(found.st_mode)
            size += found.st_size
            files[str(one.relative_to(path))] = one
        plain = plain and not any(Path(folder, name).is_symlink() for name in folders)
        if size > limit:
            return MountedPath(PathKind.FOLDER, size, whole=False)
    contents, whole = _contents(files, limit) if plain else ({}, False)
    return MountedPath(PathKind.FOLDER, size, contents, whole)


def _contents(files: dict[str, Path], limit: int) -> tuple[dict[str, bytes], bool]:
    found: dict[str, bytes] = {}
    left = limit
    try:
        for name, path in files.items():
            with path.open("rb") as file:
                found[name] = file.read(left + 1)
            left -= len(found[name])
            if left < 0:
                return {}, False
    except OSError:
        return {}, False
    return found, True
