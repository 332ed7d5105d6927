"""Replaces values of secrets in what containers print."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from threading import Lock

from deployctl.domain.images.secret import parts_to_hide

HIDDEN = "***"
ValueMark = tuple[tuple[str, int], ...]
_LOCK = Lock()
_known: dict[ValueMark, Callable[[str], str] | None] = {}  # the latest one only


def find_hider(mark: ValueMark, values: Callable[[], Iterable[bytes]]) -> Callable[[str], str] | None:
    """Return what hides these values; they are read again only once the mark differs. Without a mark there are none."""
    if not mark:
        return None
    with _LOCK:
        if mark not in _known:
            _known.clear()
            _known[mark] = _hider(parts_to_hide(values()))
        return _known[mark]


def _hider(parts: tuple[str, ...]) -> Callable[[str], str] | None:
    if not parts:
        return None

    any_part = re.compile("|".join(map(re.escape, parts)))  # the longest one first

    def hide(text: str) -> str:
        return any_part.sub(HIDDEN, text)

    return hide
