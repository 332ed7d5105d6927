"""The demo's application as a process: what it answers, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from deployctl.demo import webapp
from tests.support import free_port


class Running:
    """One process of the application, and what a visitor can do to it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def send(self, raw: bytes) -> bytes:
        """Send these bytes on a fresh connection and return all that comes back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(raw)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def running(**env: str) -> Iterator[Running]:
    port = free_port()
    told = {"PORT": str(port), "HOST": "127.0.0.1", "VERSION": "v7", **env}
    command = [sys.executable, "-E", "-s", "-S", webapp.__file__]
    with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "listens on" in process.stdout.readline()
            yield Running(process, port)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def app() -> Iterator[Running]:
    with running(COLOR='"><script>') as started:
        yield started


def test_every_page_names_the_version(app: Running) -> None:
    for path, status in [("/", 200), ("/version", 200), ("/healthz", 200), ("/slow?s=0", 200), ("/nothing", 404)]:
        answer, _ = app.ask(path)
        assert (answer.status, answer.getheader("X-Version")) == (status, "v7"), path


def test_the_version_page_is_json_and_tells_a_release_only_when_it_knows_one(app: Running) -> None:
    assert json.loads(app.ask("/version")[1]) == {"version": "v7", "color": '"><script>'}
    with running(RELEASE="12") as released:
        assert json.loads(released.ask("/version")[1])["release"] == "12"


def test_values_from_the_environment_are_text_on_the_page(app: Running) -> None:
    _, page = app.ask("/")
    assert b"<script>\n" in page  # its own
    assert page.count(b"<script>") == 1
    assert b"v7</h1>" in page


def test_a_head_request_gets_no_body(app: Running) -> None:
    answer = app.send(b"HEAD /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_requests_sent_together_on_one_connection_are_answered_in_order(app: Running) -> None:
    two = b"POST /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n"
    answers = app.send(two)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.index(b"200 OK") < answers.index(b"404 Not Found")


def test_a_client_of_http_1_0_gets_its_answer_and_the_end(app: Running) -> None:
    assert app.send(b"GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 80000, b"431"),
    ],
)
def test_what_is_no_proper_request_is_told_so_and_ends(app: Running, raw: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)
    assert app.ask("/healthz")[0].status == 200


def test_one_request_in_twelve_fails_and_health_never_does() -> None:
    with running(FAULT="1/12") as faulty:
        seen = []
        for _ in range(36):
            answer, _body = faulty.ask("/version")
            seen.append(answer.status)
            assert answer.getheader("X-Version") == "v7"
            assert faulty.ask("/healthz")[0].status == 200
    assert [number for number, status in enumerate(seen, 1) if status == 500] == [12, 24, 36]


def test_sigterm_finishes_what_is_open_takes_nobody_new_and_ends_with_zero() -> None:
    with running() as app:
        answers: list[tuple[HTTPResponse, bytes]] = []
        visitor = threading.Thread(target=lambda: answers.append(app.ask("/slow?s=1.5")))
        visitor.start()
        time.sleep(0.5)
        app.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        with pytest.raises(ConnectionRefusedError):
            app.ask("/healthz")
        visitor.join()
        assert app.process.wait(timeout=20) == 0
    answer, body = answers[0]
    assert (answer.status, body) == (200, b"v7 took 1.5 s\n")
    assert answer.getheader("Connection") == "close"


def test_a_silent_kept_connection_does_not_hold_up_the_end() -> None:
    with running() as app, socket.create_connection(("127.0.0.1", app.port), timeout=20) as silent:
        silent.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert silent.recv(4096).startswith(b"HTTP/1.1 200")
        app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(timeout=20) == 0
        assert silent.recv(1) == b""


def test_it_needs_nothing_but_the_standard_library() -> None:
    source = Path(webapp.__file__).read_text()
    assert "import deployctl" not in source
    assert "from deployctl" not in source
