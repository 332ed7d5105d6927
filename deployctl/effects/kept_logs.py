"""The ends of logs as files, `state/logs/APP/RELEASE.log` and for components other than `web` `RELEASE.COMPONENT.log`: one
line each, `TIME STREAM TEXT`, readable only by the owner.

An app may have printed secrets, so nobody else may read them. They are bounded in size and number, and any failure (a
full disk) blocks nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from deployctl.dataclass import dataclass
from deployctl.domain.images.component import InstanceId
from deployctl.effects.linux.whole_file import write_whole
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import LogLine

MAX_LOG_CHARACTERS = 1024 * 1024  # characters of one instance; earlier ones are dropped
MAX_KEPT_LOGS = 10  # releases of one app; the newest numbers are kept
_STREAMS = frozenset({"stdout", "stderr"})


@dataclass(frozen=True, slots=True)
class LogFiles:
    """`folder` is created when something is kept for the first time."""

    folder: Path

    def keep(self, app: AppName, one: InstanceId, lines: Iterable[LogLine]) -> None:
        with suppress(OSError):
            kept = _end_of(chain(self.find(app, one), lines))
            if kept:
                self.folder.mkdir(mode=0o700, exist_ok=True)
                self._of(app).mkdir(mode=0o700, exist_ok=True)
                write_whole(self._file(app, one), "".join(kept))
                self._clear(app)

    def find(self, app: AppName, one: InstanceId) -> Sequence[LogLine]:
        with suppress(OSError):
            return list(_read(self._file(app, one).read_text(encoding="utf-8", errors="replace")))
        return []

    def releases(self, app: AppName) -> Sequence[int]:
        with suppress(OSError):
            return sorted({number for path in self._of(app).glob("*.log") if (number := _release_of(path)) is not None})
        return []

    def forget(self, app: AppName) -> None:
        from shutil import rmtree  # expensive to import, and only for removed apps

        rmtree(self._of(app), ignore_errors=True)

    def _of(self, app: AppName) -> Path:
        return self.folder / app

    def _file(self, app: AppName, one: InstanceId) -> Path:
        which = "" if one == InstanceId(one.release) else f".{one.component}" + (f".{one.replica}" if one.replica > 1 else "")
        return self._of(app) / f"{one.release}{which}.log"

    def _clear(self, app: AppName) -> None:
        past = {*self.releases(app)[:-MAX_KEPT_LOGS]}
        for path in [*self._of(app).glob("*.log")] if past else ():
            if _release_of(path) in past:
                path.unlink(missing_ok=True)


def _release_of(path: Path) -> int | None:
    """Return the number of the release whose log that is; None if it is not ours."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else None


def _end_of(lines: Iterable[LogLine]) -> Sequence[str]:
    """Return the last lines in file format, as many as fit."""
    from deployctl.memory import last_of

    return last_of((f"{line.at} {line.stream} {line.text}\n" for line in lines), len, room=MAX_LOG_CHARACTERS)


def _read(text: str) -> Iterator[LogLine]:
    """Yield the lines; foreign ones in between are skipped. Their texts contain no line break."""
    from deployctl.ports import LogLine

    for line in text.split("\n"):
        at, _, rest = line.partition(" ")
        stream, _, message = rest.partition(" ")
        if at and stream in _STREAMS:
            yield LogLine(at, stream, message)
