"""Threads that read for another one wait for it, and end with it."""

from __future__ import annotations

from threading import Thread

import pytest

from deployctl.usecases.view.thread_handover import Handover, Left

LONG = 10.0  # seconds


def test_whoever_reads_is_never_further_ahead_than_there_is_room() -> None:
    given, read = Handover[int](3), list[int]()

    def work() -> None:
        for number in range(10):
            read.append(number)
            given.put(number)

    thread = Thread(target=work)
    thread.start()
    for number in range(10):
        assert given.take(LONG) == number
        assert len(read) <= number + 5
    thread.join(LONG)
    assert given.empty


def test_whoever_waits_for_room_ends_when_nobody_takes_any_more() -> None:
    given, ends = Handover[int](1), list[bool]()

    def work() -> None:
        try:
            while True:
                given.put(0)
        except Left:
            ends.append(given.has_left())

    thread = Thread(target=work)
    thread.start()
    assert given.take(LONG) == 0
    given.leave()
    thread.join(LONG)
    assert ends == [True]


def test_nothing_within_the_time_is_told_so() -> None:
    with pytest.raises(TimeoutError):
        Handover[int](1).take(0.01)
