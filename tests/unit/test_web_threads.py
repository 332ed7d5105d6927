"""Threads of the web server: as many as work waits for, and no more than they may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deployctl_web.http.admission import Seat
from deployctl_web.http.threads import FIRST, Threads

MOST = 10


class Held:
    """Work that lasts until it is let go."""

    def __init__(self, until: threading.Event) -> None:
        self.seat, self.begun, self.until = Seat("192.0.2.1"), threading.Event(), until

    def service(self) -> None:
        self.begun.set()
        self.until.wait(20)

    def cancel(self) -> None:
        self.until.set()


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(MOST)
    yield made
    made.shutdown(timeout=5)
    assert not made.threads


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not done():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_few_threads_are_there_at_first(threads: Threads) -> None:
    assert len(threads.threads) == FIRST


def test_work_one_after_the_other_needs_no_more_threads(threads: Threads) -> None:
    go = threading.Event()
    go.set()
    for _ in range(50):
        work = Held(go)
        wait_for(lambda: threads.active_count == 0)
        threads.add_task(work)
        assert work.begun.wait(10)
    assert len(threads.threads) == FIRST


def test_all_work_at_once_is_begun_while_there_may_be_more_threads(threads: Threads) -> None:
    go = threading.Event()
    held = [Held(go) for _ in range(MOST)]
    for work in held:
        threads.add_task(work)
    assert all(work.begun.wait(10) for work in held)
    assert len(threads.threads) == MOST
    more = Held(go)
    threads.add_task(more)
    assert not more.begun.wait(0.05)
    assert len(threads.threads) == MOST
    go.set()
    assert more.begun.wait(10)


def test_where_the_system_gives_no_thread_those_that_are_there_do_the_work(
        threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", none)
    go = threading.Event()
    held = [Held(go) for _ in range(FIRST + 1)]
    for work in held:
        threads.add_task(work)
    assert all(work.begun.wait(10) for work in held[:FIRST])
    assert len(threads.threads) == FIRST
    go.set()
    assert held[FIRST].begun.wait(10)


def test_no_thread_is_started_once_it_is_over(threads: Threads) -> None:
    threads.shutdown(timeout=5)
    threads.add_task(Held(threading.Event()))
    assert not threads.threads
