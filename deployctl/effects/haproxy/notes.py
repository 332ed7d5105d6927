"""Notes of emergency switches, one JSON text a line: they wait here for a ledger. Other lines are skipped."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from deployctl.dataclass import asdict
from deployctl.domain.inputs.names import AppName
from deployctl.effects.linux.whole_file import write_whole

if TYPE_CHECKING:
    from deployctl.domain.proxy.emergency import FlipNote
    from deployctl.effects.haproxy.home import HaproxyHome

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def notes_file(home: HaproxyHome) -> Path:
    return home.folder / "emergency.jsonl"


def add_note(home: HaproxyHome, note: FlipNote) -> None:
    """Append it and flush it to disk. A line torn by a power cut does not swallow this one."""
    path = notes_file(home)
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    line = ("\n" if torn else "") + json.dumps(asdict(note)) + "\n"
    with os.fdopen(os.open(path, _APPEND, 0o600), "wb") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read_notes(home: HaproxyHome) -> list[FlipNote]:
    """Return the notes, earliest first."""
    try:
        lines = notes_file(home).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [note for line in lines if (note := _parse(line)) is not None]


def forget_notes(home: HaproxyHome, taken: Collection[FlipNote]) -> None:
    """Keep what was noted in the meantime; without notes there is no file. The caller holds the lock."""
    left = [note for note in read_notes(home) if note not in taken]
    if left:
        write_whole(notes_file(home), "".join(json.dumps(asdict(note)) + "\n" for note in left))
    else:
        notes_file(home).unlink(missing_ok=True)


def _parse(line: str) -> FlipNote | None:
    from deployctl.domain.proxy.emergency import FlipNote

    try:
        raw = json.loads(line)
        source = raw["source"]
        return FlipNote(str(raw["at"]), AppName(raw["app"]), None if source is None else int(source),
                        int(raw["target"]), str(raw["version"]), str(raw["actor"]), str(raw["note"]))
    except (ValueError, KeyError, TypeError):
        return None
