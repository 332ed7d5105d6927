"""The memory of a process that runs for months: every store is bounded in bytes, and reports its size.

Sizes are cheap estimates: of a long list a few entries are measured, and what two values share counts once.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from typing import Any, Generic, TypeVar

from deployctl.dataclass import dataclass

SAMPLED_ENTRIES = 32  # entries of a list or dict that are measured; the others are assumed to be similar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def size_of(value: object) -> int:
    """Return approximately how many bytes a value takes with everything it refers to."""
    return _size(value, set())


def _size(value: object, seen: set[int]) -> int:
    if value is None or callable(value) or isinstance(value, Enum) or id(value) in seen:  # shared, or not data
        return 0
    seen.add(id(value))
    own = sys.getsizeof(value)
    if isinstance(value, str | bytes | int | float):
        return own
    if isinstance(value, Mapping):
        return own + _of_many([*value.items()], lambda pair: _size(pair[0], seen) + _size(pair[1], seen))
    if isinstance(value, Sequence | Set) or hasattr(value, "popleft"):
        return own + _of_many([*value], lambda one: _size(one, seen))  # type: ignore[misc]
    return own + sum(_size(one, seen) for one in _fields(value))


def _of_many(entries: list[Any], size: Callable[[Any], int]) -> int:
    looked_at = entries if len(entries) <= SAMPLED_ENTRIES else entries[:: len(entries) // SAMPLED_ENTRIES]
    return sum(map(size, looked_at)) * len(entries) // len(looked_at) if entries else 0


def _fields(value: object) -> Iterator[object]:
    yield from getattr(value, "__dict__", {}).values()
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(value, name, None)


def last_of(entries: Iterable[V], size: Callable[[V], int], *, room: int, most: int | None = None) -> deque[V]:
    """Return the last entries, as many as have room according to `size`; no more of them are ever held."""
    kept, taken = deque[V](), 0
    for one in entries:
        kept.append(one)
        taken += size(one)
        while kept and (taken > room or len(kept) > (most or len(kept))):
            taken -= size(kept.popleft())
    return kept


class Bounded(Generic[K, V]):
    """The most recently used values, as many as have room. One that is too large by itself stays until the next one
    comes. Threads that share it must lock it."""

    def __init__(self, most: int, *, entries: int = sys.maxsize, size: Callable[[V], int] = size_of) -> None:
        self.most, self._entries, self._size = most, entries, size  # bytes
        self.bytes = 0
        self._kept: dict[K, tuple[V, int]] = {}  # the next one to be dropped first

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        self._kept[key] = value, self._size(value)
        self.bytes += self._kept[key][1]
        while len(self._kept) > 1 and (self.bytes > self.most or len(self._kept) > self._entries):
            self.drop(next(iter(self._kept)))

    def find(self, key: K) -> V | None:
        if key not in self._kept:
            return None
        self._kept[key] = kept = self._kept.pop(key)
        return kept[0]

    def drop(self, key: K) -> None:
        if key in self._kept:
            self.bytes -= self._kept.pop(key)[1]

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def __iter__(self) -> Iterator[K]:
        return iter([*self._kept])

    def clear(self) -> None:
        self._kept, self.bytes = {}, 0

    def values(self) -> list[V]:
        """Return them, the next one to be dropped first."""
        return [value for value, _ in [*self._kept.values()]]


@dataclass(frozen=True, slots=True)
class Store:
    """One store as the Server page shows it: its contents, its limit in bytes, and its size."""

    name: str
    most: int
    bytes: int
