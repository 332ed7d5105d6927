"""A HAProxy in the foreground that routes to one app as a home's does, and what it spends on each request.

The app is a HAProxy that responds immediately.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable, replica_server_id
from deployctl.effects.haproxy.config.files import HaproxyFiles
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.process import find_binary

APP = AppName("shop")
BURST = 20  # requests that a client sends at a time: the client is not what is measured
ANSWERING = """defaults
  mode http
  timeout client 60s
frontend app
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "ok"
"""


class OneApp:
    """Runs until the stack ends. `edit` may change haproxy.cfg before: that is what is compared."""

    def __init__(self, stack: ExitStack, folder: Path, edit: Callable[[str], str] = str, *, replicas: int = 0,
                 beside: bool = False) -> None:
        """With `replicas` as many lead to the app; `beside` is another release that has some, which nobody asks."""
        folder.mkdir()
        behind, self.port, home = _free_port(), _free_port(), HaproxyHome(folder)
        files = HaproxyFiles(home, ServerSpec())
        plain = Backend(APP, 1, Version("v1"), 1, "127.0.0.1", behind, None)
        backends = (*(_replicas(plain, replicas) or [plain]), *_replicas(replace(plain, release=2), int(beside)))
        table = files.leased(TrafficTable(listens={APP: ("127.0.0.1", self.port)}, actives={APP: 1}, backends=backends,
                                          replicated=int(bool(replicas)) + beside))
        files.write(table)
        files.write_routes({APP: "1"})
        home.config.write_text(edit(home.config.read_text()))
        (folder / "app.cfg").write_text(ANSWERING.format(port=behind))
        stack.enter_context(_running(folder / "app.cfg", behind))
        self.pid = stack.enter_context(_running(home.config, self.port))

    def cpu(self, requests: int, more: str = "") -> float:
        """Return the microseconds of CPU for each of that many requests. `more` are lines of its head."""
        asked = f"GET / HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\n{more}\r\n".encode() * BURST
        before = _spent(self.pid)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as visitor:
            for _ in range(requests // BURST):
                visitor.sendall(asked)
                _read_answers(visitor)
        return (_spent(self.pid) - before) / (requests // BURST * BURST) / 1000


def _replicas(one: Backend, count: int) -> list[Backend]:
    return [replace(one, server_id=replica_server_id(one.release, n), part="web.8080", replica=n) for n in range(1, count + 1)]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _running(config: Path, port: int) -> Iterator[int]:
    words = [find_binary(ServerSpec())[0], "-db", "-C", str(config.parent), "-f", str(config)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as child:
        try:
            _wait_for(port)
            yield child.pid
        finally:
            child.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _read_answers(visitor: socket.socket) -> None:
    seen = b""
    while seen.count(b"HTTP/1.1 200") < BURST or not seen.endswith(b"ok"):
        more = visitor.recv(65536)
        if not more:
            raise RuntimeError(f"HAProxy hung up after {seen[-200:]!r}")
        seen += more


def _spent(pid: int) -> int:
    """Return the nanoseconds that all threads of a process have run."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
