"""One stranger does not shut the dashboard: crowds, drips and ambiguous heads against the real server, byte by byte."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role, given
from deployctl.usecases.access.tokens import create_token
from deployctl_web.http.admission import AdmissionRefusal, Limits
from deployctl_web.http.server import DEFAULT_LIMITS, LARGEST_HEAD, DashboardServer, log_to, open_socket
from tests.unit.web_wire import Wire, allow_many_files, served_site

Start = Callable[[str, list[tuple[str, str]]], object]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CROWD = 2200  # more than there are seats
QUICK = Limits(head=1.0, body=1.0, idle=1.0, stall=1.0)
SOON = 6.0  # seconds in which what takes one is over, on a slow machine too


@contextmanager
def serving(app: Any, limits: Limits = DEFAULT_LIMITS, proxies: tuple[str, ...] = ()) -> Iterator[DashboardServer]:
    sock = open_socket(("127.0.0.1", 0))
    server = DashboardServer(app, sock, proxies, limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop_accepting()
        server.finish()
        thread.join(5)
        server.close()
        assert not thread.is_alive()


def port_of(server: DashboardServer) -> int:
    return int(server._server.effective_port)


def hello(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def connect(server: DashboardServer, source: str = "127.0.0.1", timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=timeout, source_address=(source, 0))


def ask(server: DashboardServer, source: str = "127.0.0.1", request: bytes = GET) -> bytes:
    """Return the head of what is answered, empty where the connection is closed without a word."""
    with closing(connect(server, source)) as sock:
        return answer(sock, request)


def answer(sock: socket.socket, request: bytes = GET) -> bytes:
    sock.sendall(request)
    found = b""
    with suppress(ConnectionResetError):
        while b"\r\n\r\n" not in found and (part := sock.recv(4096)):
            found += part
    return found


def crowd(stack: ExitStack, server: DashboardServer, *sources: str, each: int) -> list[socket.socket]:
    return [stack.enter_context(closing(connect(server, source))) for source in sources for _ in range(each)]


def is_closed(sock: socket.socket, within: float) -> bool:
    """Tell whether the other side ends it; what it still says is let go."""
    sock.settimeout(within)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


# -- how many -------------------------------------------------------------------------------------------------------------
def test_beside_a_crowd_of_one_address_who_say_nothing_all_are_answered() -> None:
    allow_many_files()
    with serving(hello) as server, ExitStack() as stack:
        crowd(stack, server, "127.0.0.9", each=CROWD)
        assert ask(server).startswith(b"HTTP/1.1 200")
        assert ask(server, "127.0.0.9").startswith(b"HTTP/1.1 200"), "whoever shares the address, too"
        assert server.admission.refused[AdmissionRefusal.DISPLACED] >= CROWD - 64


def test_beside_a_crowd_from_many_addresses_who_say_nothing_all_are_answered() -> None:
    allow_many_files()
    with serving(hello) as server, ExitStack() as stack:
        crowd(stack, server, *(f"127.0.1.{number}" for number in range(1, 45)), each=50)
        assert ask(server).startswith(b"HTTP/1.1 200")
        assert ask(server, "127.0.2.1").startswith(b"HTTP/1.1 200")
        assert sum(server.admission.open_now().values()) <= DEFAULT_LIMITS.connections


def test_beside_a_crowd_at_our_own_proxy_its_visitors_are_answered() -> None:
    allow_many_files()
    with serving(hello, proxies=("127.0.0.5/32",)) as server, ExitStack() as stack:
        crowd(stack, server, "127.0.0.5", each=CROWD)
        visit = GET[:-2] + b"X-Forwarded-For: 203.0.113.7\r\n\r\n"
        assert ask(server, "127.0.0.5", visit).startswith(b"HTTP/1.1 200")
        assert ask(server).startswith(b"HTTP/1.1 200")


def test_who_comes_and_goes_at_once_a_thousand_times_keeps_nobody_waiting() -> None:
    with serving(hello) as server:
        for _ in range(1000):
            connect(server, "127.0.0.9").close()
        assert ask(server).startswith(b"HTTP/1.1 200")
        until = time.monotonic() + SOON
        while server.admission.open_now()["others"]:
            assert time.monotonic() < until, server.admission.open_now()
            time.sleep(0.02)


class Waiting:
    """An application that responds when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.begun.release()
            self.go_on.wait(20)
        return hello(environ, start)


def begin(stack: ExitStack, server: DashboardServer, app: Waiting, source: str, count: int, **headers: str) -> None:
    for sock in crowd(stack, server, source, each=count):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        sock.sendall(f"GET /wait HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        assert app.begun.acquire(timeout=5)


def test_a_visitor_behind_a_proxy_who_asks_too_much_at_once_is_told_so_and_others_are_answered() -> None:
    app = Waiting()
    with serving(app, Limits(each=8), ("127.0.0.5/32",)) as server, ExitStack() as stack:
        begin(stack, server, app, "127.0.0.5", 8, X_Forwarded_For="203.0.113.7")
        mine, other = (GET[:-2] + f"X-Forwarded-For: {at}\r\n\r\n".encode() for at in ("203.0.113.7", "203.0.113.8"))
        assert ask(server, "127.0.0.5", mine).startswith(b"HTTP/1.1 429")
        assert ask(server, "127.0.0.5", other).startswith(b"HTTP/1.1 200")
        app.go_on.set()
    assert server.admission.refused == {AdmissionRefusal.VISITOR: 1}


def test_an_address_whose_requests_are_all_being_answered_is_told_to_wait_and_others_are_answered() -> None:
    app = Waiting()
    with serving(app, Limits(each=8)) as server, ExitStack() as stack:
        begin(stack, server, app, "127.0.0.9", 8)
        with closing(connect(server, "127.0.0.9")) as late:
            assert late.recv(100).startswith(b"HTTP/1.1 503")
        assert ask(server).startswith(b"HTTP/1.1 200")
        app.go_on.set()


def test_the_reserve_is_for_direct_loopback_and_not_for_who_comes_by_a_proxy() -> None:
    app, limits = Waiting(), Limits(connections=12, reserve=3, each=20)
    with serving(app, limits, ("127.0.0.5/32",)) as server, ExitStack() as stack:
        begin(stack, server, app, "127.0.0.5", 9)
        with closing(connect(server, "127.0.0.5")) as late:
            assert late.recv(100).startswith(b"HTTP/1.1 503")
        assert ask(server).startswith(b"HTTP/1.1 200")
        assert ask(server, request=GET[:-2] + b"X-Forwarded-For: 203.0.113.7\r\n\r\n").startswith(b"HTTP/1.1 429")
        app.go_on.set()


def test_who_is_signed_in_keeps_the_connection_that_they_have(tmp_path: Path) -> None:
    allow_many_files()
    with served_site(tmp_path, "v1", "v2") as shop, ExitStack() as stack:
        secret = create_token("deploy", given(Role.DEPLOYER, []), shop.w.s).secret
        host = shop.web_state.place.base.removeprefix("http://")
        wire = stack.enter_context(closing(Wire(shop)))
        request = f"GET /api/v1/apps HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\r\n"
        for _ in range(2):
            wire.send(request)
            assert "HTTP/1.1 200" in wire.until('"kind"')
            for _ in range(200):
                stack.enter_context(closing(Wire(shop)))


def test_who_asks_for_much_at_once_is_answered_in_turn_with_the_others() -> None:
    allow_many_files()
    answered = Counter[str]()

    def slow(environ: dict[str, Any], start: Start) -> list[bytes]:
        answered[environ["REMOTE_ADDR"]] += 1
        time.sleep(0.25)
        return hello(environ, start)

    with serving(slow) as server, ExitStack() as stack:
        for sock in crowd(stack, server, *(f"127.0.1.{number}" for number in range(1, 31)), each=50):
            sock.sendall(GET)
        assert ask(server).startswith(b"HTTP/1.1 200")
        assert answered.total() < 750, "1,500 came before"


def test_what_was_turned_away_is_told_on_the_server_page_and_in_metrics(tmp_path: Path) -> None:
    with served_site(tmp_path, "v1", "v2") as shop, ExitStack() as stack:
        secrets = {name: create_token(name, roles, shop.w.s).secret
                   for name, roles in (("all", given(Role.VIEWER, [])), ("one", given(Role.VIEWER, ["shop"])))}
        host = shop.web_state.place.base.removeprefix("http://")
        for _ in range(100):
            stack.enter_context(closing(Wire(shop)))
        with closing(Wire(shop)) as noise:
            noise.send("noise")
            assert " 400 " in noise.read()

        def told(path: str, name: str) -> str:
            with closing(Wire(shop)) as wire:
                wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secrets[name]}\r\n"
                          "Connection: close\r\n\r\n")
                return wire.read()

        counted = json.loads(told("/api/v1/server", "all").partition("\r\n\r\n")[2])["dashboard"]["connections"]
        assert counted["open"]["signed_in"] == 1
        assert counted["rejected"] | {"displaced": 0} == {
            "displaced": 0, "too_many_of_one_address": 0, "too_many_of_one_visitor": 0, "no_room": 0, "slow_request": 0,
            "slow_reader": 0, "too_many_at_once": 0, "ambiguous_request": 1}
        assert counted["rejected"]["displaced"] >= 36
        assert "closed to make room" in told("/server", "all")
        metrics = told("/metrics", "all")
        assert 'deployctl_dashboard_turned_away_total{why="ambiguous_request"} 1.0' in metrics
        assert 'deployctl_dashboard_connections{of="signed_in"} 1.0' in metrics
        assert "deployctl_dashboard" not in told("/metrics", "one"), "who sees one app does not see the server"


@pytest.mark.parametrize(("hard", "room"), [(1024, 256), (4096, 1792), (8192, 2000)])
def test_there_are_no_more_connections_than_files_for_them(hard: int, room: int) -> None:
    words = (f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, {hard}), {hard}))\n"
             "from deployctl_web.http.server import DashboardServer, open_socket\n"
             "server = DashboardServer(lambda e, s: [], open_socket(('127.0.0.1', 0)))\n"
             "print(server.admission.limits.connections, server.admission.limits.reserve)\nserver.close()")
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == [str(room), "64"]


# -- how long -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("first", "drip"), [
    (b"", b""), (b"GET / HT", b""), (b"GET / HTTP/1.1\r\nX: ", b"a"), (b"", b"\r\n"), (b"\r\n", b""),
    (POST + b"Content-Length: 1000\r\n\r\n", b""), (POST + b"Content-Length: 1000\r\n\r\n", b"a"),
    (POST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", b""),
    (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    (GET, b""), (GET, b"\r\n"), (GET + b"GET / HT", b""), (GET + b"GET / HTTP/1.1\r\nX: ", b"a"),
])  # fmt: skip
def test_what_does_not_come_to_its_end_is_closed_however_it_drips(first: bytes, drip: bytes) -> None:
    with serving(hello, QUICK) as server, closing(connect(server)) as sock:
        sock.sendall(first)
        sock.settimeout(0.1)
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            with suppress(TimeoutError):
                try:
                    sock.sendall(drip)
                    if not sock.recv(4096):
                        return
                except ConnectionError:
                    return
    raise AssertionError("it is open still")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"\x00", b" GET", b"\n", b"get", b"\r\n\r\n", b"{"])
def test_what_is_no_http_is_closed_at_its_first_bytes(noise: bytes) -> None:
    with serving(hello, Limits(head=60.0)) as server, closing(connect(server)) as sock:
        sock.sendall(noise)
        assert is_closed(sock, SOON)


def test_urgent_data_and_half_a_connection_end_it() -> None:
    with serving(hello, Limits(head=60.0, idle=60.0)) as server:
        with closing(connect(server)) as urgent:
            urgent.send(b"!", socket.MSG_OOB)
            assert is_closed(urgent, SOON)
        with closing(connect(server)) as half:
            half.shutdown(socket.SHUT_WR)
            assert is_closed(half, SOON)


@pytest.mark.parametrize("read", [0, 10])
def test_a_reader_who_does_not_read_gives_the_thread_back(read: int) -> None:
    ended = threading.Event()

    def endless(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    with serving(endless, QUICK) as server, closing(connect(server)) as sock:
        sock.sendall(GET)
        until = time.monotonic() + 2 * SOON
        while not ended.wait(0.1):
            assert time.monotonic() < until
            sock.recv(read) if read else None
        assert server.admission.refused == {AdmissionRefusal.SLOW_READER: 1}


def test_who_reads_slowly_but_reads_gets_all() -> None:
    whole = 4 * 1024 * 1024

    def large(environ: dict[str, Any], start: Start) -> list[bytes]:
        start("200 OK", [("Content-Length", str(whole))])
        return [b"x" * whole]

    with serving(large, Limits(head=1.0, idle=1.0, stall=2.0)) as server, closing(connect(server)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(GET)
        got = 0
        while got < whole and (part := sock.recv(131072)):
            got += len(part)
            time.sleep(0.05)
        assert got >= whole
        assert not server.admission.refused


# -- what two servers could read in two ways ------------------------------------------------------------------------------
def test_who_asks_without_reading_holds_neither_threads_nor_files(tmp_path: Path) -> None:
    with served_site(tmp_path, "v1", "v2") as shop, ExitStack() as stack:
        host = shop.web_state.place.base.removeprefix("http://")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(60):
            wire = stack.enter_context(closing(Wire(shop)))
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(f"GET /static/deployctl.css HTTP/1.1\r\nHost: {host}\r\n\r\n" * 60)
        with closing(Wire(shop)) as other:
            other.send(f"GET /login HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert "200 OK" in other.until("csrf_token")
        assert len(list(Path("/proc/self/fd").iterdir())) - before <= 2 * 60 + 10, "both ends of each connection, no more"


def test_who_sends_a_hundred_requests_at_once_is_answered_a_few() -> None:
    with serving(hello) as server, closing(connect(server)) as sock:
        sock.sendall(100 * GET)
        told = b""
        while part := sock.recv(65536):
            told += part
    assert 4 <= told.count(b"HTTP/1.1 200") <= 100
    assert told.count(b"HTTP/1.1 429") <= 1
    assert server.admission.refused[AdmissionRefusal.PIPELINED] == told.count(b"HTTP/1.1 429") == 1


def test_strangers_do_not_fill_the_journal() -> None:
    said: list[str] = []
    unlog = log_to(said.append)
    try:
        with serving(hello) as server, ExitStack() as stack:
            for sock in crowd(stack, server, "127.0.0.9", each=60):
                sock.sendall(2 * GET)
            for text in (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", GET[:-2] + b"\xff: \r\n\r\n"):
                ask(server, request=text)
            assert ask(server).startswith(b"HTTP/1.1 200")
    finally:
        unlog()
    assert said == []


FIVE = b"hello"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("request_", [
    POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + FIVE,
    POST + b"content-length: 5\r\nCONTENT-LENGTH: 0\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5, 5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5,\r\n\r\n" + FIVE,
    POST + b"Content-Length:\r\n\r\n" + FIVE,
    POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    POST + b"Content-Length: +5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5 5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 0x5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n" + FIVE,
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    POST + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 5\r\n\t5\r\n\r\n" + FIVE,
    b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length : 5\r\n\r\n" + FIVE,
    POST + b" Content-Length: 5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 5\nX: y\r\n\r\n" + FIVE,
    POST + b"X: y\rContent-Length: 5\r\n\r\n" + FIVE,
    POST + b"X: \x00\r\n\r\n",
    POST + b"No colon\r\n\r\n",
    POST + b": empty\r\n\r\n",
    POST + b"Host: y\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", b"GET /\r\nHost: x\r\n\r\n", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", b"\r\n GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n" + GET,
    *(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks for chunks in (
        b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n\r\n", b"5\r\nhello0\r\n\r\n", b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n", b"5;a=\"\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n", b"\xd9\xa5\r\nhello\r\n0\r\n\r\n", b"5\r\r\nhello\r\n0\r\n\r\n")),
])  # fmt: skip
def test_an_ambiguous_request_is_answered_400_and_its_connection_closed(request_: bytes) -> None:
    heard: list[str] = []

    def app(environ: dict[str, Any], start: Start) -> list[bytes]:
        heard.append(environ["PATH_INFO"])
        return hello(environ, start)

    with serving(app, QUICK) as server, closing(connect(server)) as sock:
        with suppress(ConnectionError):
            sock.sendall(request_ + SMUGGLED)
        told = b""
        with suppress(ConnectionResetError):
            while part := sock.recv(65536):
                told += part
    assert re.match(rb"HTTP/1\.[01] 400 ", told), told[:200]
    assert (len(re.findall(rb"HTTP/1\.[01] \d", told)), heard) == (1, [])


@pytest.mark.parametrize("step", [1, 7, 4096])
@pytest.mark.parametrize("request_", [
    GET, b"\r\n" + GET, b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", POST + b"Content-Length: 5\r\n\r\n" + FIVE,
    POST + b"Content-Length: 0\r\n\r\n", POST + b"Transfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n0005\r\n\r\n\r\nx\r\n0\r\n\r\n",
    b"OPTIONS / HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Blank: \t a b \t\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
])  # fmt: skip
def test_a_plain_request_is_read_whole_however_it_is_cut(request_: bytes, step: int) -> None:
    bodies: list[bytes] = []

    def app(environ: dict[str, Any], start: Start) -> list[bytes]:
        bodies.append(environ["wsgi.input"].read())
        return hello(environ, start)

    with serving(app) as server, closing(connect(server)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(request_), step):
            sock.sendall(request_[place : place + step])
        assert b" 200 OK" in answer(sock, b"")
        assert b" 200 OK" in answer(sock), "and the connection goes on"
    assert bodies[0] in {b"", b"hello", b"\r\n\r\nx"}
    assert (bodies[0] == b"") == (b"hel" not in request_ and b"0005" not in request_)


def test_a_head_just_below_the_limit_is_answered() -> None:
    with serving(hello) as server:
        large = GET[:-2] + b"X: " + b"a" * (LARGEST_HEAD - 200) + b"\r\n\r\n"
        assert ask(server, request=large).startswith(b"HTTP/1.1 200")
