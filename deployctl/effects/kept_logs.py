"""The ends of logs as files, `state/logs/APP/RELEASE.log`: one line each, `TIME STREAM TEXT`, readable only by the
owner.

An app may have printed secrets, so nobody else may read them. They are bounded in size and number, and any failure (a
full disk) blocks nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from deployctl.dataclass import dataclass
from deployctl.effects.linux.whole_file import write_whole
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import LogLine

MAX_LOG_CHARACTERS = 1024 * 1024  # characters of one release; earlier ones are dropped
MAX_KEPT_LOGS = 10  # releases of one app; the newest numbers are kept
_STREAMS = frozenset({"stdout", "stderr"})


@dataclass(frozen=True, slots=True)
class LogFiles:
    """`folder` is created when something is kept for the first time."""

    folder: Path

    def keep(self, app: AppName, release: int, lines: Iterable[LogLine]) -> None:
        with suppress(OSError):
            kept = _end_of(chain(self.find(app, release), lines))
            if kept:
                self.folder.mkdir(mode=0o700, exist_ok=True)
                self._of(app).mkdir(mode=0o700, exist_ok=True)
                write_whole(self._file(app, release), "".join(kept))
                self._clear(app)

    def find(self, app: AppName, release: int) -> Sequence[LogLine]:
        with suppress(OSError):
            return list(_read(self._file(app, release).read_text(encoding="utf-8", errors="replace")))
        return []

    def releases(self, app: AppName) -> Sequence[int]:
        with suppress(OSError):
            return sorted(int(path.stem) for path in self._of(app).glob("*.log") if path.stem.isdecimal())
        return []

    def forget(self, app: AppName) -> None:
        from shutil import rmtree  # expensive to import, and only for removed apps

        rmtree(self._of(app), ignore_errors=True)

    def _of(self, app: AppName) -> Path:
        return self.folder / app

    def _file(self, app: AppName, release: int) -> Path:
        return self._of(app) / f"{release}.log"

    def _clear(self, app: AppName) -> None:
        for number in self.releases(app)[:-MAX_KEPT_LOGS]:
            self._file(app, number).unlink(missing_ok=True)


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
