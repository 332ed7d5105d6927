"""What visitors got is counted once, in every worker, and no reload, restart or lost file takes it away."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from deployctl.domain.proxy.traffic import Counters, Precision
from deployctl.effects.haproxy.switch import HaproxyTraffic
from tests.proxies import BLOG, SHOP, Proxy, end, proxy, wait_for
from tests.support import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large"
BOTH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.fixture
def world() -> Iterator[Proxy]:
    with proxy() as found:
        yield found


@contextmanager
def answering(world: Proxy, say: Callable[[socket.socket], object]) -> Iterator[HaproxyTraffic]:
    """Let the shop's release 1 be an app that says so to each head, and closes at once whatever is yet to come."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                say(connection)

    threading.Thread(target=serve, daemon=True).start()
    old = next(b for b in world.ledger.table.backends if (b.app, b.release) == (SHOP, 1))
    world.ledger.add(replace(old, port=listener.getsockname()[1]))
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    try:
        yield traffic
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def counted(traffic: HaproxyTraffic) -> Counters:
    return traffic.counters()[SHOP, 1]


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"", 502), (b"220 mail.example.com\r\n\r\n", 502), (BOTH, 502), (HINT, 103), (b"HTTP/1.1 200 OK\r\nX:", 502)],
    ids=["nothing", "another protocol", "two lengths", "a hint only", "half a head"],
)
def test_an_answer_that_is_none_is_one_failed_request(world: Proxy, said: bytes, status: int) -> None:
    with answering(world, lambda c: c.sendall(said)) as traffic:
        for _ in range(5):
            assert _status(world.port(SHOP)) == status
        wait_for(lambda: counted(traffic).in_flight == 0)
        shop = counted(traffic)
        assert (shop.requests, shop.failed, shop.answers_2xx, shop.answers_5xx) == (5, 5, 0, 0)


def test_an_upload_that_got_its_answer_early_has_not_failed(world: Proxy) -> None:
    with answering(world, lambda c: c.sendall(EARLY)) as traffic:
        for _ in range(5):
            assert _upload(world.port(SHOP)).startswith(b"HTTP/1.1 413")
        shop = counted(traffic)
        assert (shop.requests, shop.failed, shop.answers_4xx) == (5, 0, 5)


def test_a_visitor_who_hangs_up_is_no_failure_where_that_can_be_told(world: Proxy) -> None:
    with answering(world, lambda c: c.sendall(OK)) as traffic:
        with socket.create_connection(("127.0.0.1", world.port(SHOP))) as visitor:
            visitor.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nfirst")
        wait_for(lambda: counted(traffic).requests == 1 and counted(traffic).in_flight == 0)
        shop = counted(traffic)
        assert (shop.failed, shop.precision) in {(0, Precision.EXACT), (1, Precision.AT_MOST)}
        assert shop.recent.failed == 0


def test_an_upgraded_connection_is_answered_and_stays_in_flight(world: Proxy) -> None:
    over = threading.Event()

    def switch(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                           b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")  # fmt: skip
        over.wait(10)

    with answering(world, switch) as traffic, socket.create_connection(("127.0.0.1", world.port(SHOP))) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")  # fmt: skip
        assert visitor.recv(999).startswith(b"HTTP/1.1 101")
        shop = counted(traffic)
        assert (shop.requests, shop.in_flight, shop.failed, shop.recent.answered) == (1, 1, 0, 1)
        over.set()


# -- workers that go ----------------------------------------------------------------------------------------------
def test_a_worker_that_still_answers_after_a_reload_is_counted_too(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    waiting = threading.Thread(target=world.ask, kwargs={"path": "/wait"})
    waiting.start()
    wait_for(lambda: counted(traffic).in_flight == 1)
    _reload_for_blog(world, traffic)
    world.ask()
    shop = counted(traffic)
    assert (shop.requests, shop.in_flight, shop.answers_2xx, shop.failed) == (2, 1, 1, 0)
    world.instances["shop.1"].let_go.set()
    waiting.join()
    assert counted(traffic).requests == 2
    assert counted(world.traffic()).requests == 2


def test_ten_reloads_for_another_app_lose_no_count(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    for _ in range(10):
        world.ask()
        world.ask(path="/fail")
        _reload_for_blog(world, traffic)
    shop = counted(traffic)
    assert (shop.requests, shop.answers_2xx, shop.answers_5xx, shop.failed) == (20, 10, 10, 0)


def test_a_version_that_was_left_for_its_errors_still_says_so(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 2)
    for number in range(25):
        world.ask(path="/fail" if number % 8 == 0 and number else "/")
    traffic.switch(SHOP, 1)
    world.ask()
    _reload_for_blog(world, traffic)
    traffic.stop()
    traffic.ensure_up()
    left = world.traffic().counters()[SHOP, 2]
    assert (left.requests, left.answers_5xx, left.failed) == (25, 3, 0), "12 %"


def test_reloads_amid_visitors_lose_next_to_no_count(world: Proxy) -> None:
    traffic, over, got = world.traffic(), threading.Event(), [0, 0, 0]
    traffic.switch(SHOP, 1)

    def visit(who: int) -> None:
        while not over.wait(0.002):
            got[who] += world.ask()[0] == 200

    visitors = [threading.Thread(target=visit, args=(who,)) for who in range(3)]
    for one in visitors:
        one.start()
    for reloads in range(4):
        enough = 30 * (reloads + 1)
        wait_for(lambda enough=enough: sum(got) >= enough)  # type: ignore[misc]
        _reload_for_blog(world, traffic)
    over.set()
    for one in visitors:
        one.join()
    assert 0.9 * sum(got) <= counted(traffic).answered <= sum(got), "what a worker counted while it was asked is lost"


def test_another_process_goes_on_from_what_the_first_one_has_read(world: Proxy) -> None:
    first, second = world.traffic(), world.traffic()
    first.switch(SHOP, 1)
    world.ask()
    assert counted(first).requests == 1
    end(world.home)
    first.ensure_up()
    world.ask()
    assert counted(second).requests == counted(first).requests == 2
    second.stop()
    second.ensure_up()
    assert counted(world.traffic()).requests == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"counts": [], "past": {"shop.1": []}, "workers": {}}'])
def test_a_file_that_is_none_of_ours_costs_only_what_is_past(world: Proxy, text: str) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    world.ask()
    counted(traffic)
    (world.folder / "tally.json").write_text(text)
    assert counted(traffic).requests == 1
    assert counted(world.traffic()).requests == 1


def test_a_release_that_is_stopped_keeps_its_counts_and_goes_on_with_them(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    world.ask()
    traffic.switch(SHOP, 2)
    release = next(b for b in world.ledger.table.backends if (b.app, b.release) == (SHOP, 1))
    world.ledger.drop(SHOP, 1)
    traffic.sync()
    assert counted(traffic).requests == 1
    world.ledger.add(release)
    traffic.switch(SHOP, 1)
    world.ask()
    assert counted(traffic).requests == 2


def _reload_for_blog(world: Proxy, traffic: HaproxyTraffic) -> None:
    world.ledger.listen(BLOG, free_port())
    traffic.sync()


def _status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", "/")
    connection.endheaders()
    assert connection.sock is not None
    head: bytes = connection.sock.recv(999)
    connection.close()
    return int(head.split()[1])


def _upload(port: int) -> bytes:
    """Send all that is taken, and return what came back. The answer may be there before the body is through."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as visitor:
        visitor.sendall(b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 20_000)
        return visitor.recv(999)


