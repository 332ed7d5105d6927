"""Regular expressions that are compiled by their first use: a command uses five of a hundred, and each takes 0.2 ms."""

from __future__ import annotations

import re


class _Pattern:
    """Has every method of the compiled expression, which takes its place."""

    def __init__(self, text: Any, flags: int = 0) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found


TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile as compile_now
    from typing import Any

    pattern = compile_now
else:
    pattern = _Pattern
