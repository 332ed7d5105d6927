"""What takes how much room, and what goes when there is no more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import pytest

from deployctl.errors import DeployctlError
from deployctl.memory import Bounded, last_of, size_of

KB = 1024


@dataclass(frozen=True, slots=True)
class Slotted:
    text: str
    more: tuple[str, ...] = ()


@dataclass
class Plain:
    text: str


class Colour(Enum):
    RED = "red" * KB


def text(size: int) -> str:
    return "".join(chr(97 + size % 26) for _ in range(size))


def said(size: int) -> DeployctlError:
    error = DeployctlError("no")
    error.details = [text(size)]
    return error


@pytest.mark.parametrize("holder", [
    text, lambda n: Slotted(text(n)), lambda n: Plain(text(n)), lambda n: [text(n)], lambda n: {"a": {"b": text(n)}},
    lambda n: deque([text(n)]), lambda n: {text(n)}, lambda n: bytes(n), said,
    lambda n: [text(n // 1000 + i % 2) for i in range(1000)],
])  # fmt: skip
def test_what_hangs_on_a_value_counts(holder: object) -> None:
    assert callable(holder)
    grown = size_of(holder(200 * KB)) - size_of(holder(100 * KB))
    assert grown == pytest.approx(100 * KB, rel=0.1)


def test_what_is_shared_counts_once_and_what_belongs_to_nobody_not_at_all() -> None:
    long = text(100 * KB)
    assert size_of([long, Plain(long), (long,)]) < 110 * KB
    assert size_of([Colour.RED, Plain, test_what_hangs_on_a_value_counts]) < KB


def test_what_holds_itself_is_counted_to_its_end() -> None:
    ring: list[object] = [text(10 * KB)]
    ring.append(ring)
    assert size_of(ring) == pytest.approx(10 * KB, rel=0.1)


def test_what_was_used_last_stays_and_the_bound_is_kept() -> None:
    kept: Bounded[int, str] = Bounded(5 * KB)
    for number in range(4):
        kept.put(number, text(KB))
    assert kept.find(0) == text(KB)
    for number in range(4, 7):
        kept.put(number, text(KB))
    assert [*kept] == [3, 0, 4, 5, 6][-len([*kept]):]
    assert 0 in kept
    assert kept.find(1) is None
    assert 3 * KB < kept.bytes <= 5 * KB


def test_one_that_is_too_large_stays_until_the_next_one_comes() -> None:
    kept: Bounded[str, str] = Bounded(KB)
    kept.put("large", text(10 * KB))
    assert kept.find("large") is not None
    kept.put("small", "x")
    assert [*kept] == ["small"]
    assert kept.bytes < KB


def test_a_value_that_takes_the_place_of_another_counts_alone() -> None:
    kept: Bounded[str, str] = Bounded(100 * KB, entries=2)
    for size in (50, 10):
        kept.put("one", text(size * KB))
    assert kept.bytes == pytest.approx(10 * KB, rel=0.1)
    kept.drop("one")
    kept.drop("one")
    assert (kept.bytes, kept.values()) == (0, [])
    for number in range(3):
        kept.put(str(number), "x")
    assert [*kept] == ["1", "2"]


def test_the_last_entries_stay_as_many_as_have_room() -> None:
    assert [*last_of("abcdef", len, room=3)] == ["d", "e", "f"]
    assert [*last_of(["aaaa", "b", "cc"], len, room=3)] == ["b", "cc"]
    assert [*last_of("abc", len, room=100, most=2)] == ["b", "c"]
    assert [*last_of(["too long"], len, room=3)] == []


def test_a_store_may_know_sizes_of_its_own_and_be_emptied() -> None:
    kept: Bounded[int, str] = Bounded(10, size=len)
    for number in range(4):
        kept.put(number, "four")
    assert ([*kept], kept.bytes) == ([2, 3], 8)
    kept.clear()
    assert ([*kept], kept.bytes) == ([], 0)
