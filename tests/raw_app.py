"""An app that sees requests to the byte and answers with any headers, behind a real HAProxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deployctl.domain.host.server import ServerSpec
from tests.proxies import SHOP, Proxy, backend, proxy
from tests.support import free_port


class RawApp:
    """An app that remembers each request to the byte, and answers with the headers that a test gives it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.status, self.headers = b"200 OK", list[bytes]()
        self._sock = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._sock.getsockname()[1])

    def _run(self) -> None:
        while True:
            try:
                visitor, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[visitor], daemon=True).start()

    def _answer(self, visitor: socket.socket) -> None:
        with visitor:
            visitor.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head and (more := visitor.recv(65536)):
                head += more
            self.requests.append(head)
            length = [] if self.status.startswith(b"101") else [b"Content-Length: 2", b"Connection: close"]
            visitor.sendall(b"\r\n".join([b"HTTP/1.1 " + self.status, *self.headers, *length, b"", b"ok"]))

    def cookies(self) -> list[bytes]:
        """Return the values of the Cookie headers that came last."""
        lines = [line.partition(b":") for line in self.requests[-1].split(b"\r\n")]
        return [value.strip() for name, _, value in lines if name.lower() == b"cookie"]

    def close(self) -> None:
        self._sock.close()


class Shop:
    def __init__(self, world: Proxy, app: RawApp) -> None:
        self.world, self.app = world, app

    def ask(self, *headers: bytes, ends: bytes = b"close") -> bytes:
        """Send one request to the byte; return the head of the answer."""
        with socket.create_connection(("127.0.0.1", self.world.port(SHOP)), timeout=5) as sock:
            sock.sendall(b"\r\n".join([b"GET / HTTP/1.1", b"Host: shop", *headers, b"Connection: " + ends, b"", b""]))
            found = b""
            while b"\r\n\r\n" not in found and (more := sock.recv(65536)):
                found += more
        return found

    def sent(self, *cookies: str) -> list[bytes]:
        """Return what the app got of these Cookie lines."""
        before = len(self.app.requests)
        self.ask(*(b"Cookie: " + text.encode("latin-1") for text in cookies))
        assert len(self.app.requests) == before + 1
        return self.app.cookies()

    def given(self, *lines: bytes) -> list[bytes]:
        """Return what a browser gets of these Set-Cookie lines, in order."""
        self.app.headers = [b"Set-Cookie: " + line for line in lines]
        parts = [line.partition(b": ") for line in self.ask().split(b"\r\n")]
        return [value for name, _, value in parts if name.lower() == b"set-cookie"]


@contextmanager
def opened_shop(spec: ServerSpec | None = None) -> Iterator[Shop]:
    """Run a HAProxy whose shop is a raw app, with a dashboard in its server's values."""
    with proxy(spec=spec or ServerSpec(http=("127.0.0.1", free_port()))) as world:
        app = RawApp()
        world.ledger.add(backend(SHOP, 1, app.port))
        world.traffic().switch(SHOP, 1)
        try:
            yield Shop(world, app)
        finally:
            app.close()
