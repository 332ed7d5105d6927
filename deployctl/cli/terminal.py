"""What a stream can display. Text is written in UTF-8 without colour; only this module downgrades it or adds colour.

No control character of a note, a log or a name reaches the terminal: `say` escapes them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from deployctl.dataclass import dataclass, field
from deployctl.domain.inputs.plain_text import visible_line
from deployctl.pattern import pattern
from deployctl.stdlib import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_ASCII = str.maketrans({
    "→": "->", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "·": "-",
    "×": "x", "✓": "ok", "✗": "FAIL",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TerminalStyle:
    """The capabilities of one stream, and the preferences of its reader."""

    width: int | None = None  # columns; None: lines may have any length
    relative: bool = False  # times as "12 min ago"
    colour: bool = False
    live: bool = False  # lines may be redrawn
    utf8: bool = True
    wide: bool = False  # every column
    quiet: bool = False  # the result without hints
    signs: bool = True  # False: words only, for other programs
    now: datetime = field(default_factory=lambda: datetime.now(UTC).astimezone())

    @property
    def good(self) -> str:
        return self._sign("✓", "ok")

    @property
    def bad(self) -> str:
        return self._sign("✗", "FAIL")

    @property
    def warn(self) -> str:
        return self._sign("!", "warn")

    def _sign(self, sign: str, word: str) -> str:
        return "" if not self.signs else sign if self.utf8 else word

    def say(self, text: str) -> str:
        """Return one line in the stream's encoding, with control characters escaped."""
        text = visible_line(text)
        return text if self.utf8 else text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

    def finish(self, lines: list[str]) -> str:
        """Return the whole text, ready to write."""
        printed = [self.say(line).rstrip() for line in lines]
        return "".join(f"{_paint(line) if self.colour else line}\n" for line in printed)


def style_of(stream: TextIO, environ: Mapping[str, str], *, no_color: bool = False, wide: bool = False,
            quiet: bool = False) -> TerminalStyle:
    """Return what that stream can display. NO_COLOR, TERM=dumb, CI and FORCE_COLOR are honoured."""
    tty, dull = stream.isatty(), bool(environ.get("CI")) or environ.get("TERM") == "dumb"
    forbidden = no_color or bool(environ.get("NO_COLOR"))
    forced = environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}
    return TerminalStyle(
        width=_width(stream, environ) if tty and not dull else None,
        relative=tty,
        colour=not forbidden and (forced or (tty and not dull)),
        live=tty and not dull and not forbidden,
        utf8=(getattr(stream, "encoding", None) or "").lower().replace("-", "") in {"utf8", "utf8sig"},
        wide=wide,
        quiet=quiet,
    )


def _width(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    columns = environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


# -- colour: which slot, and trouble; a word or sign is always there, too -----------------------------------------
_STYLES = (
    (pattern(r"(^)(home /.* (?:·|-) engine .*)$"), "2"),
    (pattern(r"(^ *|  )(✗|FAIL)(?= )"), "31"),
    (pattern(r"(^ *|  )(!|warn)(?= )"), "33"),
    (pattern(r"(^.*)((?:cap_add restores [A-Z_]+|weaker isolation): .*)$"), "31"),
    (pattern(r"(^ *|  |\()(blue)(?=\)|  | *$)"), "34"),
    (pattern(r"(^ *|  |\()(green)(?=\)|  | *$)"), "36"),
)
_HEADER = pattern(r" *[A-Z0-9][A-Z0-9/]+(?: +[A-Z0-9/]+)+")


def _paint(line: str) -> str:
    if _HEADER.fullmatch(line):
        return f"\x1b[1m{line}\x1b[0m"
    for known, style in _STYLES:
        line = known.sub(f"\\g<1>\x1b[{style}m\\g<2>\x1b[0m", line)
    return line
