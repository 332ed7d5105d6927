"""A file that others read is replaced atomically, readable by its owner only."""

from __future__ import annotations

import os
from threading import get_ident

from deployctl.paths import Path

PART_SUFFIX = ".part"  # suffix of what a killed writer leaves behind
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace the file atomically: same folder, flushed to disk, renamed. OSError leaves the former one in place.

    If not durable, nothing waits for the disk, and a power cut may leave the file empty.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}{PART_SUFFIX}")  # two writers never share one
    try:
        with os.fdopen(os.open(part, _FRESH, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)  # otherwise a power cut may undo the rename
    finally:
        os.close(handle)
