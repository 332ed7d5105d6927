"""A real HAProxy for a test: a folder of its own, backends on 127.0.0.1, and an end whatever happened."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable, replica_server_id
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.master import members
from deployctl.effects.haproxy.process import group_name
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.outlive import HERE
from deployctl.effects.linux.system_clock import SystemClock
from tests.support import free_port

SHOP, BLOG = AppName("shop"), AppName("blog")
BINARY = "DEPLOYCTL_TEST_HAPROXY"  # the program to test with; unset it is the bundled one


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """HAProxy may end an idle connection at any time."""


class Instance:
    """A tiny app that answers with its name, and remembers what it was asked."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.lines: list[list[tuple[str, str]]] = []  # the headers of each request, as they came
        self.let_go = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def end(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(instance: Instance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_GET(self) -> None:
            self._remember()
            if self.path == "/wait":
                instance.let_go.wait(60)
            self._answer(500 if self.path == "/fail" else int(self.path.partition("/status/")[2] or 200))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._remember()
            if self.path == "/drop":
                self.close_connection = True  # without a word of answer
            else:
                self._answer(200)

        def _remember(self) -> None:
            instance.lines.append(self.headers.items())
            instance.seen.append((self.command, self.path, dict(self.headers.items())))

        def _answer(self, status: int) -> None:
            body = instance.name.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            pass

    return Handler


class HurriedClock(SystemClock):
    """Time that passes a thousand times as fast while it waits."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += 1000 * seconds


@dataclass
class Ledger:
    """The table that HAProxy should carry, changed by the test at will."""

    table: TrafficTable = field(default_factory=TrafficTable)

    def __call__(self) -> TrafficTable:
        return self.table

    def listen(self, app: AppName, port: int, *, address: str = "127.0.0.1") -> None:
        self.table = replace(self.table, listens={**self.table.listens, app: (address, port)})

    def open_port(self, name: str, port: int) -> None:
        """Let HAProxy listen for a further port, APP.PORT."""
        self.table = replace(self.table, ports={**self.table.ports, name: ("127.0.0.1", port)})

    def add(self, *backends: Backend) -> None:
        names = {backend.name for backend in backends}
        self._put(*(backend for backend in self.table.backends if backend.name not in names), *backends)

    def let_wait(self, *apps: AppName) -> None:
        self.table = replace(self.table, queues=frozenset(apps))

    def drop(self, app: AppName, release: int, *, replica: int = 0) -> None:
        self._put(*(b for b in self.table.backends if (b.app, b.release) != (app, release) or replica not in {0, b.replica}))

    def _put(self, *backends: Backend) -> None:
        replicated = {(b.app, b.release) for b in backends if b.replica}
        self.table = replace(self.table, backends=backends, replicated=len(replicated))

    def forget(self, app: AppName) -> None:
        table = self.table
        self.table = TrafficTable(
            listens={other: listen for other, listen in table.listens.items() if other != app},
            hosts={host: other for host, other in table.hosts.items() if other != app},
            backends=tuple(b for b in table.backends if b.app != app),
            actives={other: number for other, number in table.actives.items() if other != app},
        )


_APPS = {SHOP: 100, BLOG: 200}


def backend(app: AppName, release: int, port: int, *, preview: bool = True, held: bool = False,
            address: str = "127.0.0.1", bridge: str | None = None, gateway: str | None = None) -> Backend:
    return Backend(
        app=app, release=release, version=Version(f"v{release}"), server_id=_APPS.get(app, 300) + release,
        address=address, port=port, bridge=bridge, preview=preview, held=held, gateway=gateway,
    )  # fmt: skip


def replicas(app: AppName, release: int, *ports: int, main: bool = True, part: str = "web.8080",
             further: tuple[str, ...] = ()) -> list[Backend]:
    """Return the servers of one component of a release that may have several replicas."""
    made = backend(app, release, ports[0] if ports else 1)
    return [replace(made, server_id=replica_server_id(made.server_id, n), port=port, part=part, replica=n, main=main,
                    ports=further) for n, port in enumerate(ports, start=1)]


@dataclass
class Proxy:
    """One home's HAProxy with two apps of two releases each, not yet started."""

    folder: Path
    spec: ServerSpec
    ledger: Ledger
    instances: dict[str, Instance]

    @property
    def home(self) -> HaproxyHome:
        return HaproxyHome(self.folder)

    def traffic(self) -> HaproxyTraffic:
        return HaproxyTraffic(self.folder, self.spec, self.ledger, SystemClock())

    def port(self, app: AppName) -> int:
        return self.ledger.table.listens[app][1]

    def ask(self, app: AppName = SHOP, path: str = "/", **headers: str) -> tuple[int, str]:
        """Send one request to the app's public address; return status and text."""
        status, text, _ = ask(self.port(app), path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        return status, text


def ask(port: int, path: str = "/", *, method: str = "GET", headers: dict[str, str] | None = None,
        body: str | None = None, address: str = "127.0.0.1") -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


@contextmanager
def proxy(folder: Path | None = None, spec: ServerSpec | None = None) -> Iterator[Proxy]:
    """Hand out a proxy; with the test its HAProxy, its instances and its folder end."""
    made = Path(tempfile.mkdtemp(prefix="dctl-hap-", dir="/tmp"))
    instances = {name: Instance(name) for name in ("shop.1", "shop.2", "blog.1", "blog.2")}
    ledger = Ledger()
    for app in (SHOP, BLOG):
        ledger.listen(app, free_port())
        ledger.add(*(backend(app, number, instances[f"{app}.{number}"].port) for number in (1, 2)))
    asked = spec or ServerSpec(http=("127.0.0.1", free_port()))
    spec = replace(asked, haproxy_binary=asked.haproxy_binary or os.environ.get(BINARY))
    found = Proxy(made / (folder or "haproxy"), spec, ledger, instances)
    found.folder.parent.mkdir(parents=True, exist_ok=True)  # the state folder is there before HAProxy's
    try:
        yield found
    finally:
        for instance in instances.values():
            instance.end()
        end(found.home)
        shutil.rmtree(made, ignore_errors=True)


def end(home: HaproxyHome) -> None:
    """End that home's HAProxy however it was started, by the command lines that name its files."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in members(home):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        wait_for(lambda: not members(home), seconds=5, fail=False)
    if home.folder.exists() and home.sockets != home.folder:
        shutil.rmtree(home.sockets, ignore_errors=True)
    HERE.forget(group_name(home))


def wait_for(holds: Callable[[], object], *, seconds: float = 10, fail: bool = True) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            assert not fail, "it did not happen in time"
            return
        time.sleep(0.01)
