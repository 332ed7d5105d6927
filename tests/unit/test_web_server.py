"""The web server: what strangers send has limits, its end is tidy, and the watcher beside it never waits for it."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from deployctl.cli import serve as beside
from deployctl.cli.serve import Dashboard, Wiring
from deployctl.config.settings import Settings
from deployctl.domain.host.access import Role, given
from deployctl.domain.host.server import WebSpec
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.usecases.access.users import add_user, make_link
from deployctl.watch.sampler import MetricsSampler
from deployctl.watch.watch import Watch
from deployctl_web.app import MAX_BODY_BYTES
from deployctl_web.http import server as module
from deployctl_web.http.server import LARGEST_HEAD, DashboardServer, log_to, open_socket
from deployctl_web.http.threads import FIRST
from tests.support import free_port
from tests.unit import cli_world
from tests.unit.world import World, world

Start = Callable[[str, list[tuple[str, str]]], object]


# -- the server itself -------------------------------------------------------------------------------------------------
@contextmanager
def serving(app: Any, proxies: tuple[str, ...] = ()) -> Iterator[tuple[int, DashboardServer]]:
    sock = open_socket(("127.0.0.1", 0))
    port, server = sock.getsockname()[1], DashboardServer(app, sock, proxies)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield port, server
    finally:
        server.stop_accepting()
        server.finish()
        thread.join(5)
        server.close()
        assert not thread.is_alive()


def echo(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    seen = {name: str(value) for name, value in environ.items() if "FORWARDED" in name or name.startswith("REMOTE")}
    return [f"{seen} {environ['wsgi.url_scheme']}".encode()]


def ask(port: int, path: str = "/", **more: Any) -> tuple[HTTPResponse, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(more.pop("method", "GET"), path, **more)
        answer = connection.getresponse()
        return answer, answer.read().decode()


CLAIMS = {"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "https", "Forwarded": "for=10.9.9.9;proto=https",
          "X-Forwarded-Host": "evil.example.com", "X_Forwarded_For": "10.9.9.8"}


@pytest.mark.parametrize(("proxies", "address"), [
    ((), "127.0.0.1"), (("10.0.0.0/8",), "127.0.0.1"), (("127.0.0.0/8",), "10.9.9.9"),
])  # fmt: skip
def test_of_what_a_proxy_claims_the_address_is_believed_where_it_is_ours(proxies: tuple[str, ...], address: str) -> None:
    with serving(echo, proxies) as (port, _):
        _, told = ask(port, headers=CLAIMS)
    assert f"'REMOTE_ADDR': '{address}'" in told
    assert "10.9.9.9" not in told.replace(f"'REMOTE_ADDR': '{address}'", "")
    assert not re.search("https|evil", told)


@pytest.mark.parametrize(("more", "status"), [
    ({"method": "POST", "body": b"x" * (MAX_BODY_BYTES + 1)}, 413),
    ({"headers": {"X": "a" * LARGEST_HEAD}}, 431),
    ({"headers": {"Transfer-Encoding": "magic"}, "method": "POST"}, 501),
])  # fmt: skip
def test_what_is_too_much_is_refused_before_the_application_hears_of_it(more: dict[str, Any], status: int) -> None:
    def never(environ: dict[str, Any], start: Start) -> list[bytes]:
        raise AssertionError

    with serving(never) as (port, _):
        answer, _ = ask(port, **more)
    assert (answer.status, answer.getheader("Server")) == (status, None)


def test_a_mistake_tells_the_asker_nothing_and_the_journal_everything_but_the_secret() -> None:
    def broken(environ: dict[str, Any], start: Start) -> list[bytes]:
        raise RuntimeError("the price of the basket")

    said: list[str] = []
    unlog = log_to(said.append)
    try:
        with serving(broken) as (port, _):
            answer, told = ask(port, "/start/7hQ2-secret")
            logging.getLogger("deployctl_web").error("Exception on %s [%s]", "/start/7hQ2-secret", "POST")
    finally:
        unlog()
    assert (answer.status, "basket" in told, "Traceback" in told) == (500, False, False)
    assert any("the price of the basket" in line for line in said)
    assert "web: Exception on /start/… [POST]" in said
    assert not any("7hQ2" in line or "\n" in line for line in said)


def test_the_end_answers_what_was_begun_and_takes_nothing_more() -> None:
    begun, answers = threading.Event(), []

    def slow(environ: dict[str, Any], start: Start) -> list[bytes]:
        begun.set()
        time.sleep(0.5)
        start("200 OK", [("Content-Length", "4")])
        return [b"done"]

    with serving(slow) as (port, server):
        asker = threading.Thread(target=lambda: answers.append(ask(port)[1]))
        asker.start()
        assert begun.wait(5)
        server.stop_accepting()
        time.sleep(0.1)
        with pytest.raises(ConnectionRefusedError):
            ask(port)
    asker.join(5)
    assert answers == ["done"]
    open_socket(("127.0.0.1", port)).close()


def test_a_thread_that_hangs_does_not_keep_the_end_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_ANSWERS", 0.2)
    begun, let_go = threading.Event(), threading.Event()

    def hangs(environ: dict[str, Any], start: Start) -> list[bytes]:
        begun.set()
        let_go.wait(20)
        start("200 OK", [])
        return [b"too late"]

    with serving(hangs) as (port, server), closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as asker:
        asker.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert begun.wait(5)
        started = time.monotonic()
        server.finish()
        assert time.monotonic() - started < 2
        assert asker.recv(100) == b""
        pipe = server._server.trigger.trigger
        server.close()
        os.fstat(pipe)  # still ours: a late wake-up writes into no other file
        let_go.set()
        while server._server.task_dispatcher.threads:
            time.sleep(0.01)
        server._server.trigger.close()


def test_a_browser_that_goes_away_frees_its_thread_at_once() -> None:
    ended = threading.Event()

    def stream(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        try:
            while True:
                yield b": here\n\n"
                time.sleep(0.05)
        finally:
            ended.set()

    with serving(stream) as (port, _):
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"here" in browser.recv(4096) + browser.recv(4096)
        assert ended.wait(2)


# -- beside the watcher ------------------------------------------------------------------------------------------------
class Beside:
    """A dashboard over a home in memory, on a real port."""

    def __init__(self, home: Path, w: World, **limits: Any) -> None:
        self.w, self.port, self.said = w, free_port(), list[str]()
        web = WebSpec(("127.0.0.1", self.port), **limits)
        wiring = Wiring(Settings(home), web, lambda: w.services(ledger=w.open_ledger()), self.said.append,
                        self.said.append, lambda _port: "nginx (pid 812)", SystemClock())
        wiring.settings.ensure_state()
        self.dashboard = Dashboard(wiring, web, MetricsSampler(wiring.connect))

    def wait(self, words: str) -> None:
        until = time.monotonic() + 10
        while not any(words in line for line in self.said):
            assert time.monotonic() < until, self.said
            time.sleep(0.02)

    def ask(self, path: str = "/healthz") -> int:
        return ask(self.port, path)[0].status


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Beside]:
    with world(tmp_path) as w:
        made = Beside(tmp_path, w.upgraded("v1"))
        try:
            yield made
        finally:
            made.dashboard.close()


def test_the_dashboard_answers_until_its_end_and_gives_the_port_back(here: Beside) -> None:
    here.dashboard.start()
    here.wait(f"serve: dashboard on http://127.0.0.1:{here.port}")
    assert (here.ask(), here.ask("/login"), here.ask("/nowhere")) == (200, 200, 404)
    threads = {thread.name for thread in threading.enumerate()}
    here.dashboard.close()
    with pytest.raises(ConnectionRefusedError):
        here.ask()
    ours = {"dashboard", "poller", *(f"waitress-{number}" for number in range(FIRST))}
    assert (ours & {thread.name for thread in threading.enumerate()}, ours <= threads) == (set(), True)


def test_the_limits_are_those_of_the_servers_file(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        made = Beside(tmp_path, w, connections=9, head_timeout=3.0, streams=2)
        made.dashboard.start()
        made.wait("serve: dashboard on")
        server, pages = made.dashboard._server, made.dashboard._made
        made.dashboard.close()
    assert server is not None
    assert pages is not None
    limits = server.admission.limits
    assert (limits.each, limits.head, pages[0].broker._each) == (9, 3.0, 2)


def test_a_port_that_is_taken_is_named_with_its_holder_once_and_tried_again(
        here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PORT_RETRY_SECONDS", 0.05)
    with closing(open_socket(("127.0.0.1", here.port))):
        here.dashboard.start()
        here.wait("nginx (pid 812) is listening there")
        time.sleep(0.3)
        assert len(here.said) == 1
        assert here.said[0].startswith(f"serve: no dashboard on 127.0.0.1:{here.port} yet: ")
    here.wait("serve: dashboard on")
    assert here.ask() == 200


def test_a_key_that_others_may_read_is_not_used(here: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PORT_RETRY_SECONDS", 0.05)
    key = here.w.home / "state/web.key"
    key.write_bytes(b"x" * 32)
    key.chmod(0o644)
    here.dashboard.start()
    here.wait("cannot be trusted")
    key.unlink()
    here.wait("serve: dashboard on")
    assert key.stat().st_mode & 0o777 == 0o600


def test_an_end_that_comes_while_it_begins_is_an_end(here: Beside) -> None:
    here.dashboard.start()
    started = time.monotonic()
    here.dashboard.close()
    assert time.monotonic() - started < 0.5, "what is just being put together is not waited for"
    here.dashboard._thread.join(10)
    assert not here.dashboard._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        here.ask()


def test_a_ledger_that_was_put_back_is_followed_while_it_serves(here: Beside) -> None:
    import sqlite3

    here.dashboard.start()
    here.wait("serve: dashboard on")
    assert here.ask() == 200
    copy = here.w.home / "copy.db"
    with closing(sqlite3.connect(here.w.home / "ledger.db")) as db, closing(sqlite3.connect(copy)) as other:
        db.backup(other)
    add_user("late", given(Role.ADMIN, []), here.w.s)
    link = make_link("late", here.w.s)
    copy.replace(here.w.home / "ledger.db")
    for suffix in ("-wal", "-shm"):
        (here.w.home / f"ledger.db{suffix}").unlink(missing_ok=True)
    assert here.ask() == 200
    with closing(HTTPConnection("127.0.0.1", here.port, timeout=10)) as browser:
        browser.request("GET", f"/start/{link}")
        page = browser.getresponse()
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
        assert token
        cookie = str(page.getheader("Set-Cookie")).partition(";")[0]
        browser.request("POST", f"/start/{link}", f"csrf_token={token[1]}",
                        {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"})
        assert browser.getresponse().status == 401, "the copy knows nobody of that name"


# -- as it is typed ----------------------------------------------------------------------------------------------------
def test_serve_has_the_dashboard_and_names_the_command_for_the_first_admin(
        two: cli_world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    port, seen = free_port(), list[int]()

    def look(_watch: Watch, _rung: object) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                seen.append(ask(port, "/healthz")[0].status)
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "tick", look)
    said = two.deployctl("serve", "--listen", str(port))
    assert (said.code, seen) == (0, [200])
    assert f"serve: dashboard on http://127.0.0.1:{port}\n" in said.err
    assert f"deployctl --home {two.home} user add NAME --role admin" in said.err
    two.deployctl("user", "add", "mara", "--role", "admin")
    seen.clear()
    assert "no users yet" not in two.deployctl("serve", "--listen", str(port)).err


@pytest.mark.parametrize("listen", ["", "x", "0", "127.0.0.1", "example.com:80", "70000"])
def test_where_nobody_can_listen_is_a_usage_error(two: cli_world.World, listen: str) -> None:
    assert two.deployctl("serve", "--listen", listen).code == 2


def test_an_address_for_other_machines_comes_with_a_warning(two: cli_world.World, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(_watch: Watch, _rung: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "tick", ends)
    assert "without TLS" in two.deployctl("serve", "--listen", f"0.0.0.0:{free_port()}").err
    assert "without TLS" not in two.deployctl("serve", "--no-web").err


def test_who_only_watches_loads_nothing_of_the_web(tmp_path: Path) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "deployctl", "--home", str(tmp_path), "serve", "--no-web"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with child:
        try:
            lines = []
            assert child.stderr
            for line in child.stderr:
                lines.append(line)
                if "serve: watching" in line:
                    child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=20) == 0
        finally:
            child.kill()
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
    assert "sqlite3" in loaded
    assert not loaded & {"flask", "waitress", "werkzeug", "jinja2"}
