"""Long answers are made while they are sent: whole, in little memory, and no thread reads on for who is gone."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from deployctl.domain.host.access import Role, given
from deployctl.errors import EngineUnavailable
from deployctl.ports import LogLine
from deployctl.usecases.access.tokens import create_token
from deployctl_web.http import downloads
from deployctl_web.http.server import DEFAULT_LIMITS
from tests.unit.web_wire import served_site
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP

MB = 2**20
LONG = 10.0  # seconds
TEXT = "x" * 150


class Chatty:
    """The engine's log of one container: `lines` of it, then `then`. It remembers how far it was read, and its end."""

    def __init__(self, lines: int, then: Callable[[], object] = bool) -> None:
        self.lines, self.then, self.read, self.text = lines, then, 0, TEXT
        self.left: Callable[[], bool] = bool
        self.ended = threading.Event()

    def logs(self, _container: str, *, tail: int | None = None, since: float | None = None, follow: bool = False,
             left: Callable[[], bool] | None = None) -> Iterator[LogLine]:
        self.left, self.read = left or bool, 0
        try:
            for number in range(min(self.lines, self.lines if tail is None else tail)):
                if self.left():
                    return
                self.read += 1
                yield LogLine(f"2026-01-01T00:00:00.{number:09d}Z", "stdout", f"{number} {self.text}")
            self.then()
        finally:
            self.ended.set()

    def hang(self) -> None:
        """Say nothing more, as an engine whose container is silent, until the reader is gone."""
        end = time.monotonic() + LONG
        while not self.left() and time.monotonic() < end:
            time.sleep(0.02)


def made_chatty(made: Site, chatty: Chatty) -> Chatty:
    """Let the one version that runs print that."""
    cast(Any, made.w.engine).logs = chatty.logs
    return chatty


class Reader:
    """A program that asks over its own connections; they are closed at the end of the test."""

    opened: ClassVar[list[HTTPConnection]] = []

    def __init__(self, made: Site, name: str = "ci") -> None:
        self.made, self.secret = made, create_token(name, given(Role.VIEWER, []), made.w.s).secret

    def ask(self, path: str) -> tuple[HTTPConnection, HTTPResponse]:
        connection = HTTPConnection(*self.made.web_state.place.listen, timeout=LONG)
        self.opened.append(connection)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.secret}"})
        return connection, connection.getresponse()


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while Reader.opened:
        Reader.opened.pop().close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with served_site(tmp_path, "v1") as made:
        yield made


# -- the log of a chatty app ----------------------------------------------------------------------------------------------
def test_a_full_log_is_saved_whole_in_little_memory(shop: Site) -> None:
    """30 MB of it answered 503, and took 120 MB."""
    chatty = made_chatty(shop, Chatty(20_000))
    chatty.text = "y" * 1_500
    reader, got, last = Reader(shop), 0, b""
    tracemalloc.start()
    answer = reader.ask("/apps/shop/logs.txt")[1]
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/plain; charset=utf-8")
    while piece := answer.read(65_536):
        got, last = got + len(piece), piece
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got > 30_000_000
    assert last.endswith(b"y\n")
    assert chatty.read == 20_000
    assert chatty.ended.wait(LONG)
    assert peak < 10 * MB


def test_a_page_of_a_chatty_app_holds_only_what_it_shows(shop: Site) -> None:
    chatty = made_chatty(shop, Chatty(10_000))
    chatty.text = "y" * 3_000
    reader = Reader(shop)
    reader.ask("/apps/shop/logs?n=5")[1].read()  # what is made once
    tracemalloc.start()
    _, answer = reader.ask("/apps/shop/logs?q=y&n=2000")
    said = answer.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status == 200
    assert b"9999 yyy" in said
    assert b">0 yyy" not in said
    assert peak < 25 * MB


def test_who_does_not_read_holds_up_the_reading_and_is_closed(tmp_path: Path) -> None:
    with served_site(tmp_path, "v1", limits=replace(DEFAULT_LIMITS, stall=1.0)) as shop:
        chatty = made_chatty(shop, Chatty(1_000_000))
        answer = Reader(shop).ask("/apps/shop/logs.txt")[1]
        assert answer.status == 200
        assert chatty.ended.wait(2 * LONG), "the thread that reads goes on for who has stalled"
        assert chatty.read < 200_000, "it was read far ahead of who reads it"


def test_the_reading_ends_with_who_hangs_up(shop: Site) -> None:
    chatty = made_chatty(shop, Chatty(1_000_000))
    connection, answer = Reader(shop).ask("/apps/shop/logs.txt")
    answer.read(1000)
    answer.close()
    connection.close()
    assert chatty.ended.wait(LONG)
    assert chatty.read < 1_000_000


@pytest.mark.parametrize("path", ["/apps/shop/logs.txt", "/api/v1/apps/shop/logs", "/apps/shop/logs?q=x", "/apps/shop/logs"])
def test_an_engine_that_says_nothing_is_not_waited_for_and_nobody_reads_on(
        shop: Site, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    for module in ("http.downloads", "pages.parts.log_view", "pages.parts.bounded_call"):
        monkeypatch.setattr(f"deployctl_web.{module}.CALL_SECONDS", 0.2)
    chatty = Chatty(0)
    chatty.then = chatty.hang
    made_chatty(shop, chatty)
    _, answer = Reader(shop).ask(path)
    assert answer.status == (200 if "txt" not in path and "api" not in path else 503)  # a page tells it on itself
    answer.read()
    assert chatty.ended.wait(LONG)


def test_what_was_cut_short_does_not_look_whole(shop: Site) -> None:
    def away() -> None:
        raise EngineUnavailable("the engine went away")

    made_chatty(shop, Chatty(5_000, then=away))
    _, answer = Reader(shop).ask("/apps/shop/logs.txt")
    assert answer.status == 200
    with pytest.raises(IncompleteRead):
        answer.read()


def test_what_takes_too_long_is_cut_short_and_does_not_look_whole(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_SECONDS", 0.5)
    chatty = Chatty(5_000)
    chatty.then = chatty.hang
    made_chatty(shop, chatty)
    _, answer = Reader(shop).ask("/apps/shop/logs.txt")
    with pytest.raises(IncompleteRead):
        answer.read()
    assert chatty.ended.wait(LONG)


def test_one_person_has_two_downloads_at_a_time_and_keeps_nobody_from_theirs(shop: Site) -> None:
    made_chatty(shop, Chatty(1_000_000))
    reader = Reader(shop)
    open_ones = [reader.ask("/apps/shop/logs.txt") for _ in range(downloads.MAX_DOWNLOADS_EACH)]
    assert [answer.status for _, answer in open_ones] == [200] * downloads.MAX_DOWNLOADS_EACH
    assert reader.ask("/apps/shop/logs.txt")[1].status == 429
    assert reader.ask("/activity.csv")[1].status == 429
    assert Reader(shop, "other").ask("/activity.csv")[1].status == 200
    for connection, answer in open_ones:
        answer.close()
        connection.close()
    end = time.monotonic() + LONG
    while (status := reader.ask("/activity.csv")[1].status) == 429 and time.monotonic() < end:
        time.sleep(0.1)
    assert status == 200


def test_only_so_many_downloads_go_on_at_the_same_time(shop: Site) -> None:
    made_chatty(shop, Chatty(1_000_000))
    answers = [Reader(shop, f"ci{number}").ask("/apps/shop/logs.txt")[1] for number in range(downloads.MAX_DOWNLOADS + 2)]
    assert [answer.status for answer in answers] == [200] * downloads.MAX_DOWNLOADS + [429] * 2


# -- what they hold -------------------------------------------------------------------------------------------------------
def test_the_api_streams_the_same_json(shop: Site) -> None:
    made_chatty(shop, Chatty(3_000))
    _, answer = Reader(shop).ask("/api/v1/apps/shop/logs?tail=2500&grep=7")
    told = json.loads(answer.read())
    assert answer.getheader("Content-Type") == "application/json"
    assert [*told] == ["schema", "kind", "app", "lines"]
    assert len(told["lines"]) == sum("7" in str(number) for number in range(2_500))
    assert told["lines"][0]["message"] == f"7 {TEXT}"


def test_errors_come_before_the_first_byte(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        mara = made.signed_in("mara")
        assert mara.get("/apps/shop/logs.txt?version=v9").status_code == 404
        assert mara.get("/apps/shop/logs.txt?since=1y").status_code == 400
        made.w.engine.away = "connection refused"
        assert mara.get("/apps/shop/logs.txt").status_code == 503
        assert [mara.get("/activity.csv").status_code
                for _ in range(2 * downloads.MAX_DOWNLOADS_EACH)] == [200] * 2 * downloads.MAX_DOWNLOADS_EACH


def test_the_activity_is_saved_page_by_page_up_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, "v1") as made:
        for number in range(25):
            made.w.ledger.event("readiness", f"event {number}", at=made.w.clock.utc(), actor="mara", app=SHOP)
        mara = made.signed_in("mara")
        monkeypatch.setattr("deployctl_web.pages.activity.MAX_AUDIT_LINES", 4)
        whole = [*csv.reader(io.StringIO(mara.get("/activity.csv?kind=readiness").text))]
        assert len(whole) == 26
        assert len({*map(tuple, whole)}) == 26
        monkeypatch.setattr("deployctl_web.pages.activity.SAVED", 10)
        lines = [json.loads(line) for line in mara.get("/activity.jsonl?kind=readiness").text.splitlines()]
        assert [line["summary"] for line in lines] == [f"event {number}" for number in range(24, 14, -1)]
