"""What runs inside the test images: the demo's application, spoilt in one way each.

Run as `image_app.py BEHAVIOUR`; the container has this file and the demo's application, and no other package.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Thread, Timer
from urllib.request import urlopen

from deployctl.demo.webapp import DemoApp, Request, Response, run, say

STARTS = Path("/data/starts")
SECRETS = Path("/run/secrets")
MEMORY_BOUND = 1 << 30  # bytes that memhog takes at most, should nobody have given it a limit


class Web(DemoApp):
    """A good application, with pages that tests ask for."""

    def page(self, request: Request) -> Response:
        pages = {"/sse": self.sse, "/status": self.status, "/env": self.environment, "/facts": self.process,
                 "/sibling": self.sibling, "/secrets": self.secrets}
        found = pages.get(request.path)
        return found(request) if found else super().page(request)

    def sse(self, request: Request) -> Response:
        return Response(200, self.events(request), "text/event-stream")

    def events(self, request: Request) -> Iterator[bytes]:
        for number in range(int(request.query.get("n", "10"))):
            yield f"id: {number}\ndata: {self.version}\n\n".encode()
            time.sleep(float(request.query.get("every", "1")))

    def status(self, request: Request) -> Response:
        return Response(int(request.query.get("code", "200")), b"as you wish\n")

    def environment(self, request: Request) -> Response:
        return Response(200, json.dumps(dict(os.environ)).encode(), "application/json")

    def sibling(self, request: Request) -> Response:
        """Ask another component by its bare name, a connection each time, and say who both are."""
        with urlopen(f"http://{request.query['of']}:8080/facts", timeout=5) as answer:
            told = json.load(answer)
        mine = {"version": self.version, "hostname": socket.gethostname()}
        return Response(200, json.dumps([mine, told]).encode(), "application/json")

    def secrets(self, request: Request) -> Response:
        """Say which secrets it has, by hashes: an answer is kept in logs and shown when a test fails."""
        files = {path.name: path.read_bytes() for path in sorted(SECRETS.iterdir())} if SECRETS.is_dir() else {}
        told = {"files": {name: sha256(value).hexdigest() for name, value in files.items()},
                "env": {name: sha256(value.encode()).hexdigest() for name, value in os.environ.items()}, "uid": os.getuid(),
                "modes": {name: f"{(SECRETS / name).stat().st_mode & 0o777:04o}" for name in files}}
        return Response(200, json.dumps(told).encode(), "application/json")

    def process(self, request: Request) -> Response:
        starts = STARTS.read_text().count("\n") if STARTS.exists() else 0
        facts = {"uid": os.getuid(), "pid": os.getpid(), "starts": starts, "hostname": socket.gethostname(),
                 "version": self.version}
        return Response(200, json.dumps(facts).encode(), "application/json")


class NeverHealthy(Web):
    def healthz(self, request: Request) -> Response:
        return Response(503, b"the cache is cold\n")


class Crash(Web):
    """Healthy for a quarter of a second, then gone as after a segmentation fault."""

    healthy = 0.25

    def healthz(self, request: Request) -> Response:
        Timer(self.healthy, os._exit, [139]).start()
        return super().healthz(request)


class Flaky(Web):
    """Every fifth request fails, health questions too."""

    requests = count(1)

    def answer(self, request: Request) -> Response:
        if next(self.requests) % 5:
            return super().answer(request)
        return Response(500, b"every fifth\n", **{"X-Version": self.version})


class Redirect(Web):
    def healthz(self, request: Request) -> Response:
        return Response(302, b"", Location=f"https://{request.fields.get('host', 'localhost')}/healthz")


class Laggy(Web):
    def answer(self, request: Request) -> Response:
        time.sleep(float(os.environ["LAG"]))
        return super().answer(request)


def serve(kind: type[DemoApp]) -> Callable[[], None]:
    def behave() -> None:
        app = kind(os.environ)
        run(app.answer, f"{sys.argv[1]} {app.version}")

    return behave


def telltale() -> None:
    """Print every secret, as careless programs do, and serve."""
    for path in sorted(SECRETS.iterdir()) if SECRETS.is_dir() else ():
        say(f"connecting with {path.name}={path.read_text()}")
    say(f"the variable is {os.environ.get('TOKEN', 'not set')}")
    serve(Web)()


def slowstart() -> None:
    say(f"warming up for {os.environ['START_SECONDS']} s")
    time.sleep(float(os.environ["START_SECONDS"]))
    serve(Web)()


def exitone() -> None:
    sys.exit(_saying("fatal: cannot read /etc/shop.conf: no such file", 3))


def exitzero() -> None:
    sys.exit(_saying("nothing to do", 0))


def _saying(line: str, code: int) -> int:
    say(line)
    return code


def needsenv() -> None:
    if not os.environ.get("DATABASE_URL"):
        raise KeyError("DATABASE_URL is not set")
    serve(Web)()


def noterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    app = Web(os.environ)
    Thread(target=run, args=[app.answer, "noterm"], daemon=True).start()
    while True:
        time.sleep(3600)


def memhog() -> None:
    Thread(target=_take_memory, daemon=True).start()
    serve(Web)()


def _take_memory() -> None:
    taken: list[bytes] = []
    while sum(len(piece) for piece in taken) < MEMORY_BOUND:
        taken.append(os.urandom(4096) * 1024)
        time.sleep(0.01)


def twice() -> None:
    """Answer with a header that only a proxy takes offence at."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    _raw(head + b"3\r\nv2\n\r\n0\r\n\r\n")


def mail() -> None:
    """Speak first, and not HTTP."""
    _raw(b"220 mail ESMTP\r\n", first=True)


def h2c() -> None:
    """Speak HTTP/2 without its upgrade: hang up on everybody who begins in HTTP/1.1."""
    _raw(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), to=b"PRI")


def _raw(answer: bytes, *, to: bytes = b"", first: bool = False) -> None:
    """Send that to a client that begins so, before anything was received or after it."""
    with socket.create_server(("0.0.0.0", int(os.environ.get("PORT", "8080")))) as server:
        while True:
            sock, _ = server.accept()
            with sock, suppress(OSError):
                sock.settimeout(1)
                if first or sock.recv(65536).startswith(to):
                    sock.sendall(answer)
                    sock.recv(65536)


def volume() -> None:
    with STARTS.open("a") as starts:
        starts.write("started\n")
    serve(Web)()


def ask() -> None:
    """Be the HEALTHCHECK: ask the application beside, end with 0 when it says 200."""
    with socket.create_connection(("127.0.0.1", 8080), timeout=2) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = connection.recv(4096).split(b"\r\n")[0].decode()
    sys.exit(_saying(line, 0 if " 200 " in line else 1))


BEHAVIOURS: dict[str, Callable[[], None]] = {
    "web": serve(Web),
    "graceful": serve(Web),
    "neverhealthy": serve(NeverHealthy),
    "crash": serve(Crash),
    "flaky": serve(Flaky),
    "redirect": serve(Redirect),
    "laggy": serve(Laggy),
    **{each.__name__: each for each in (slowstart, telltale, exitone, exitzero, needsenv, noterm, memhog, twice, mail, h2c,
                                       volume, ask)},
}

if __name__ == "__main__":
    BEHAVIOURS[sys.argv[1]]()
