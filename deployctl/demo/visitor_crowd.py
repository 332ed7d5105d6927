"""The open loop: request i is due at t0 + i/rate, whatever became of the others.

A slow or dead server therefore gets as many requests as a quick one, and each is counted with the wait that a visitor
would have had. Runs in a process of its own (visitors.py), so that other work does not delay it.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit

from deployctl.dataclass import dataclass
from deployctl.demo.visitor_count import Count, VisitCount
from deployctl.demo.visitor_http import Stale, VisitorAnswer, VisitorConnection, VisitorNotHttp, outcome_of


@dataclass(frozen=True, slots=True)
class VisitPlan:
    """What to request, and how often. `seconds` 0 means until asked to stop."""

    url: str
    rate: float = 40.0
    seconds: float = 10.0
    keep_alive: bool = True
    timeout: float = 5.0
    retry_stale: bool = False
    host: str | None = None  # Host header; None: from the URL

    def request(self) -> bytes:
        """Return the bytes that each visitor sends."""
        parts = urlsplit(self.url)
        location = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = "" if self.keep_alive else "Connection: close\r\n"
        return (
            f"GET {location} HTTP/1.1\r\nHost: {self.host or parts.netloc}\r\n"
            f"User-Agent: deployctl-visitors\r\nAccept: */*\r\n{kept}\r\n"
        ).encode("latin-1")


class Crowd:
    """Visitors of one URL. A fresh crowd for each visit."""

    def __init__(self, wish: VisitPlan) -> None:
        self._wish, self._request = wish, wish.request()
        parts = urlsplit(wish.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[VisitorConnection] = []
        self._tally = VisitCount()
        self._clock = asyncio.get_running_loop().time
        self._start = self._clock()

    async def visit(self, stop: asyncio.Event) -> Count:
        """Send what is due until the time is over or `stop` is set, wait for open requests, and count all."""
        end = self._start + (self._wish.seconds or math.inf)
        async with asyncio.TaskGroup() as open_requests:
            for number in count():
                due = self._start + number / self._wish.rate
                if due >= end or await self._stopped_before(due, stop):
                    break
                self._tally.lag = max(self._tally.lag, self._clock() - due)
                open_requests.create_task(self._one(due))
        for connection in self._idle:
            connection.abort()
        return self.counted()

    def counted(self) -> Count:
        """Return the count so far; open requests are not included."""
        return self._tally.count(seconds=self._clock() - self._start)

    async def _stopped_before(self, due: float, stop: asyncio.Event) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await stop.wait()
        return stop.is_set()

    async def _one(self, due: float) -> None:
        try:
            async with asyncio.timeout(self._wish.timeout):
                answer = await self._ask()
            outcome, version = answer.outcome, answer.version
        except (OSError, EOFError, VisitorNotHttp, Stale, asyncio.LimitOverrunError) as e:
            outcome, version = outcome_of(e), None
        self._tally.add(outcome, due=due - self._start, done=self._clock() - self._start, version=version)

    async def _ask(self) -> VisitorAnswer:
        try:
            return await self._ask_on(self._kept() or await self._fresh())
        except Stale:
            if not self._wish.retry_stale:
                raise
        self._tally.retried += 1
        return await self._ask_on(await self._fresh())

    async def _ask_on(self, connection: VisitorConnection) -> VisitorAnswer:
        try:
            answer = await connection.ask(self._request)
        except BaseException:  # whatever it was: this connection carries no second response
            connection.abort()
            raise
        if answer.keep_alive and self._wish.keep_alive:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _kept(self) -> VisitorConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
            connection.abort()
        return None

    async def _fresh(self) -> VisitorConnection:
        self._tally.connections += 1
        return await VisitorConnection.open(self._host, self._port)


async def visit(wish: VisitPlan, *, started: Callable[[], None], report: Callable[[Count], None] | None = None) -> Count:
    """Visit until the plan is carried out or SIGINT or SIGTERM arrives.

    With `report`, a parent holds our standard input: the visit also ends with that, and each line from it requests a
    report of the count so far.
    """
    _allow_many_connections()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    crowd = Crowd(wish)
    watcher = asyncio.create_task(_watch_parent(stop, lambda: report(crowd.counted()))) if report else None
    started()
    counted = await crowd.visit(stop)
    if watcher:
        watcher.cancel()
    return counted


async def _watch_parent(stop: asyncio.Event, report: Callable[[], None]) -> None:
    """Set `stop` when the parent closes our standard input, or is gone without closing it."""
    parent = os.getppid()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _on_input, stop, report)
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    stop.set()


def _on_input(stop: asyncio.Event, report: Callable[[], None]) -> None:
    asked = os.read(sys.stdin.fileno(), 4096)
    for _ in range(asked.count(b"\n")):
        report()
    if not asked:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
