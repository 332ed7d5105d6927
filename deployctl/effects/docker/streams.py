"""Docker's multiplexed output as lines and text, as pure functions. What an app prints is data: it never controls a
terminal."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator

from deployctl.domain.inputs.plain_text import CONTROL, DIRECTION, HALVES
from deployctl.pattern import pattern
from deployctl.ports import LogLine

CUT = 8192  # characters of one line
_HEADER = struct.Struct(">BxxxL")
_STREAMS = {1: "stdout", 2: "stderr"}
_UNSAFE = pattern(f"[{CONTROL}{DIRECTION}{HALVES}\n\r\u2028\u2029]")
_KEPT = CUT * 4  # bytes of an incomplete line that are kept


def frames(pieces: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield (stream, data) for each complete frame, however it was chunked in transit; an incomplete last one is
    dropped."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        while len(kept) >= _HEADER.size:
            kind, size = _HEADER.unpack_from(kept)
            end = _HEADER.size + size
            if len(kept) < end:
                break
            yield _STREAMS.get(kind, "stdout"), bytes(kept[_HEADER.size : end])
            del kept[:end]


def log_query(tail: int | None, since: float | None, *, follow: bool) -> dict[str, str]:
    """Return the query for the last `tail` lines (None: all) since that time, Unix time."""
    return {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0",
            "tail": "all" if tail is None else str(tail), "since": "0" if since is None else f"{since:.9f}"}


def log_lines(pieces: Iterable[bytes], *, hide: Callable[[str], str] | None = None) -> Iterator[LogLine]:
    """Yield lines of logs with timestamps. Docker splits long lines into several frames, each with its own
    timestamp. `hide` replaces what must not be shown."""
    open_lines: dict[str, tuple[str, bytes]] = {}
    for stream, data in frames(pieces):
        at, text = _split_stamp(data)
        at, before = open_lines.pop(stream, (at, b""))
        whole = before + text[: max(0, _KEPT - len(before))]
        if data.endswith(b"\n"):
            yield LogLine(at, stream, visible(whole.removesuffix(b"\n"), hide))
        else:
            open_lines[stream] = (at, whole)
    for stream, (at, rest) in open_lines.items():
        yield LogLine(at, stream, visible(rest, hide))


def _split_stamp(data: bytes) -> tuple[str, bytes]:
    at, _, text = data.partition(b" ")
    return at.decode("ascii", "replace"), text


def visible(raw: bytes, hide: Callable[[str], str] | None = None) -> str:
    """Return one line: what controls a terminal or hides text is escaped, and the end is cut off."""
    text = raw[:_KEPT].decode(errors="backslashreplace").removesuffix("\r")
    text = text if hide is None else hide(text)
    return _UNSAFE.sub(_escape, text)[:CUT]


def visible_lines(raw: bytes) -> str:
    """Return several lines, each made visible."""
    return "\n".join(visible(line) for line in raw.split(b"\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
