"""Take-overs that are open, a file each in state/imports: written before anything is touched, and flushed to the disk."""

from __future__ import annotations

import json

from deployctl.dataclass import asdict
from deployctl.effects.linux.whole_file import write_whole
from deployctl.paths import Path
from deployctl.ports.foreign import ForeignContainer, TakeOver

_SUFFIX = ".take-over.json"


class FileTakeOvers:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, app: str) -> TakeOver | None:
        try:
            raw = json.loads(self._path(app).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        containers = tuple(ForeignContainer(**{**one, "volumes": tuple(one["volumes"])}) for one in raw["containers"])
        return TakeOver(**{**raw, "containers": containers})

    def put(self, one: TakeOver) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._path(one.app), json.dumps(asdict(one)))

    def drop(self, app: str) -> None:
        self._path(app).unlink(missing_ok=True)

    def _path(self, app: str) -> Path:
        return self._folder / f"{app}{_SUFFIX}"
