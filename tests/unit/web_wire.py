"""The dashboard of a home in memory behind its real web server on loopback, asked byte by byte."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployctl_web.address import WebAddress
from deployctl_web.http.admission import Limits
from deployctl_web.http.server import DEFAULT_LIMITS, DashboardServer, open_socket
from tests.unit.web_world import Site
from tests.unit.world import world


@contextmanager
def serving(made: Site, sock: socket.socket, limits: Limits = DEFAULT_LIMITS) -> Iterator[None]:
    """Answer on that socket what the site answers."""
    server = DashboardServer(made.app, sock, limits=limits)
    thread = threading.Thread(target=server.run, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop_accepting()
        made.web_state.close()
        server.finish()
        thread.join(10)
        server.close()


@contextmanager
def served_site(home: Path, *versions: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Site]:
    """Yield a site that is served where it says it is: `site.desk.place.base`."""
    sock = open_socket(("127.0.0.1", 0))
    place = WebAddress(("127.0.0.1", sock.getsockname()[1]), key=b"k" * 32)
    with world(home) as w:
        made = Site(w.upgraded(*versions), place)
        with serving(made, sock, limits):
            yield made


class Wire:
    """One connection to it. What is sent is sent as it is."""

    def __init__(self, made: Site, *, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(made.web_state.place.listen, timeout=timeout)

    def send(self, data: bytes | str) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
            self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def read(self, most: int = 1_000_000) -> str:
        """Return what comes until the other side closes, or until it has been silent for as long as we wait."""
        found = b""
        with suppress(TimeoutError, ConnectionResetError):
            while len(found) < most and (part := self.socket.recv(65536)):
                found += part
        return found.decode("latin-1")

    def until(self, text: str, within: float = 10.0) -> str:
        """Return what comes, up to that text at least."""
        found, end = "", time.monotonic() + within
        while text not in found:
            assert time.monotonic() < end, f"{text} did not come, only {found[-500:]!r}"
            part = self.socket.recv(65536)
            assert part, f"it was closed after {found!r}"
            found += part.decode("latin-1")
        return found

    def close(self) -> None:
        self.socket.close()


def allow_many_files(number: int = 8192) -> None:
    """Let this process have so many open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number if hard == resource.RLIM_INFINITY else min(number, hard), hard))
