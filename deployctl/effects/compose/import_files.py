"""What is open of imports, in state/imports: take-overs, written before anything is touched and flushed to the disk."""

from __future__ import annotations

import json

from deployctl.dataclass import asdict
from deployctl.effects.linux.whole_file import write_whole
from deployctl.paths import Path
from deployctl.ports.foreign import ForeignContainer, TakeOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployctl.domain.compose.gaps import ImportGap

_SUFFIX, _GAPS = ".take-over.json", ".gaps.json"


class ImportFiles:
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

    def gaps(self, app: str) -> tuple[ImportGap, ...]:
        from deployctl.domain.compose.gaps import GapCode, ImportGap

        try:
            raw = json.loads(self._path(app, _GAPS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        return tuple(ImportGap(**{**one, "code": GapCode(one["code"]), "remedy": tuple(one["remedy"])}) for one in raw)

    def keep_gaps(self, app: str, gaps: Sequence[ImportGap]) -> None:
        if not gaps:
            self._path(app, _GAPS).unlink(missing_ok=True)
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._path(app, _GAPS), json.dumps([asdict(one) for one in gaps]), durable=False)

    def _path(self, app: str, suffix: str = _SUFFIX) -> Path:
        return self._folder / f"{app}{suffix}"
