"""What a page reads from the ledger, cached until the ledger is written to: between two page views usually nothing
happens.

The cache belongs to one connection: only that one can tell whether something was written since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from deployctl.memory import Bounded
from deployctl.ports import Ledger

ROOM = 2**20  # bytes, for each idle connection
ROW = 2048  # bytes that a row takes with everything it refers to, approximately
# Reads whose result depends only on their arguments and the ledger.
KEPT = frozenset({"changes", "deployments", "events", "find_app", "find_release", "instances", "releases", "releases_of",
                  "steps", "telling_changes"})


class PageReads:
    """Of one connection. Like that, used by one thread at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: Bounded[Any, tuple[Any]] = Bounded(ROOM, size=lambda kept: ROW * _rows(kept[0]))
        self._version: tuple[int, int, int] | None = None

    @property
    def bytes(self) -> int:
        return self._kept.bytes

    def ledger(self) -> Ledger:
        """Return the ledger as it is now: what was read of it before is not read again while this one page is rendered.
        Raises what the ledger raises."""
        version = self._ledger.version()
        if version != self._version:
            self._kept.clear()
            self._version = version
        return cast("Ledger", _Remembering(self._ledger, self._kept))


class _Remembering:
    def __init__(self, ledger: Ledger, kept: Bounded[Any, tuple[Any]]) -> None:
        self._ledger, self._kept = ledger, kept

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._ledger, name)
        return self._once(name, read) if name in KEPT else read

    def _once(self, name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def once(*words: Any, **named: Any) -> Any:
            key = (name, words, tuple(named.items()))
            kept = self._kept.find(key)
            if kept is None:
                kept = (read(*words, **named),)
                self._kept.put(key, kept)
            return kept[0]

        return once


def _rows(value: object) -> int:
    return 1 + len(value) if isinstance(value, list | tuple | dict) else 1
