"""The demo's application: one file, standard library only, so that its container responds immediately.

It finishes what it has begun: on SIGTERM it accepts no new connections, finishes open requests, and exits with 0.
Every page carries `X-Version`: a response without it did not come from this program.

PORT, HOST      where it listens; 8080 on every address
VERSION, COLOR  what it shows; RELEASE is added to the version if it is set
FAULT=1/12      the built-in defect: one request in twelve, health checks excepted, gets a 500
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count

MAX_HEAD = MAX_BODY = 65536  # bytes
KEPT_CONNECTION_SECONDS = 75.0  # seconds that a kept connection may be silent: longer than a proxy keeps it
GRACE = 60.0  # seconds that a response may still take after SIGTERM
LAST_REQUEST_SECONDS = 0.1  # seconds in which a request already in flight may still arrive
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 411: "Length Required",
           413: "Content Too Large", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
           503: "Service Unavailable"}  # fmt: skip


class BadRequest(Exception):
    """What was sent cannot be handled as HTTP; the connection ends after the response."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Request:
    """The head of one request."""

    __slots__ = ("fields", "method", "path", "protocol", "query")

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        try:
            self.method, location, self.protocol = first.split(" ")
        except ValueError:
            raise BadRequest(400) from None
        self.path, _, query = location.partition("?")
        self.query = dict(pair.partition("=")[::2] for pair in query.split("&"))
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def keep_alive(self) -> bool:
        wish = self.fields.get("connection", "").lower()
        return wish != "close" if self.protocol == "HTTP/1.1" else wish == "keep-alive"

    def body_length(self) -> int:
        """Return how many bytes follow the head, or raise BadRequest if that is unclear or too much."""
        if "transfer-encoding" in self.fields:
            raise BadRequest(411)
        length = self.fields.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise BadRequest(400)
        if int(length) > MAX_BODY:
            raise BadRequest(413)
        return int(length)


class Response:
    """One response. A body that is not bytes is sent piece by piece."""

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, body: bytes | Iterable[bytes], kind: str = "text/plain", **fields: str) -> None:
        self.status, self.body = status, body
        self.fields = {"Content-Type": f"{kind}; charset=utf-8", **fields}

    def head(self, *, keep_alive: bool) -> bytes:
        size = f"Content-Length: {len(self.body)}" if isinstance(self.body, bytes) else "Transfer-Encoding: chunked"
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.fields.items())
        end = "" if keep_alive else "Connection: close\r\n"
        first = f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}"
        return f"{first}\r\n{fields}{size}\r\n{end}\r\n".encode("latin-1")


Answerer = Callable[[Request], Response]


class DemoServer:
    """Serves HTTP/1.1, one thread for each connection, until asked to stop."""

    def __init__(self, answer: Answerer, host: str, port: int) -> None:
        self._answer = answer
        self._draining = False
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._listener = socket.create_server((host, port), backlog=1024)
        self._door = threading.Thread(target=self._accept, daemon=True)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        self._door.start()

    def stop(self, *, within: float = GRACE) -> bool:
        """Accept waiting connections, close the listener, and wait for open requests. Return whether all were
        finished."""
        self._draining = True
        self._close_door()
        time.sleep(LAST_REQUEST_SECONDS)
        with self._changed:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)  # open requests are finished, idle connections are closed
            return self._changed.wait_for(lambda: not self._connections, within)

    def _close_door(self) -> None:
        self._listener.setblocking(False)
        self._accept()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread; closing alone would not
        self._door.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed, or nobody waits any more
            while True:
                connection, _ = self._listener.accept()
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.add(connection)
        try:
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()
        except RuntimeError:  # no more threads: better to reject one client than to lose the server
            self._forget(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(KEPT_CONNECTION_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._converse(connection)
        except BadRequest as bad:
            with suppress(OSError):
                _send(connection, Response(bad.status, f"{bad}\n".encode()), keep_alive=False)
        except OSError:
            pass  # the client disconnected
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def _converse(self, connection: socket.socket) -> None:
        rest: bytes | None = b""
        while rest is not None:
            asked = _read_head(connection, rest)
            if asked is None:
                return
            request, rest = asked
            rest = _skip_body(connection, rest, request.body_length())
            response = self._answer(request)
            keep_alive = request.keep_alive and not self._draining
            _send(connection, response, keep_alive=keep_alive, bodyless=request.method == "HEAD")
            rest = rest if keep_alive else None


def _read_head(connection: socket.socket, buffer: bytes) -> tuple[Request, bytes] | None:
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEAD:
            raise BadRequest(431)
        data = connection.recv(65536)
        if not data:
            return None
        buffer += data
    return Request(buffer[:end]), buffer[end + 4 :]


def _skip_body(connection: socket.socket, buffer: bytes, length: int) -> bytes:
    while len(buffer) < length:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError
        buffer += data
    return buffer[length:]


def _send(connection: socket.socket, response: Response, *, keep_alive: bool, bodyless: bool = False) -> None:
    head = response.head(keep_alive=keep_alive)
    if bodyless:
        connection.sendall(head)
    elif isinstance(response.body, bytes):
        connection.sendall(head + response.body)
    else:
        connection.sendall(head)
        for piece in response.body:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")


class DemoFault:
    """A defect that affects the same share of requests however they arrive: `part` of every `whole`."""

    def __init__(self, share: str) -> None:
        part, _, whole = (share or "0/1").partition("/")
        self._part, self._whole = int(part), int(whole or 1)
        self._requests = count()

    def hits(self) -> bool:
        return next(self._requests) % self._whole >= self._whole - self._part


class DemoApp:
    """The pages. `answer` is what a server calls."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.version = env.get("VERSION", "v1")
        self.color = env.get("COLOR", "#2158e8")
        facts = {"version": self.version, "color": self.color, "release": env.get("RELEASE")}
        self.facts = {name: value for name, value in facts.items() if value}
        self.fault = DemoFault(env.get("FAULT", ""))

    def answer(self, request: Request) -> Response:
        response = self.healthz(request) if request.path == "/healthz" else self.unless_faulty(request)
        response.fields["X-Version"] = self.version
        return response

    def unless_faulty(self, request: Request) -> Response:
        if not self.fault.hits():
            return self.page(request)
        say(f"ERROR {request.method} {request.path}: price of the basket is None")
        return Response(500, b"price of the basket is None\n")

    def healthz(self, request: Request) -> Response:
        return Response(200, b"ok\n")

    def page(self, request: Request) -> Response:
        pages = {"/": self.home, "/version": self.about, "/slow": self.slow}
        found = pages.get(request.path)
        return found(request) if found else Response(404, b"no such page\n")

    def home(self, request: Request) -> Response:
        html = PAGE.replace("{version}", escape(self.version)).replace("{color}", escape(self.color))
        return Response(200, html.encode(), "text/html")

    def about(self, request: Request) -> Response:
        return Response(200, json.dumps(self.facts).encode() + b"\n", "application/json")

    def slow(self, request: Request) -> Response:
        """Respond after `s` seconds, 60 at most: a request that a switch or a stop must not cut off."""
        try:
            seconds = min(max(float(request.query.get("s", "1")), 0.0), 60.0)
        except ValueError:
            return Response(400, b"s is a number of seconds\n")
        time.sleep(seconds)
        return Response(200, f"{self.version} took {seconds:g} s\n".encode())


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(answer: Answerer, name: str) -> None:
    """Serve until SIGTERM or SIGINT. As process 1 of a container it must install these handlers: it gets no
    defaults."""
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    server = DemoServer(answer, os.environ.get("HOST", ""), int(os.environ.get("PORT", "8080")))
    server.start()
    say(f"{name} listens on port {server.port}")
    asked_by = signal.sigwait(stopping)
    say(f"{name} received {signal.Signals(asked_by).name}: finishing open requests")
    finished = server.stop()
    say(f"{name} stops" if finished else f"{name} stops with requests still open")


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{version} – demo</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 1.5rem; text-align: center;
         font: 1rem/1.5 Inter, system-ui, sans-serif; color: #fff; background: #12151c }
  h1 { margin: 0; padding: 2rem 4rem; border-radius: 14px; background: var(--c); font-size: 4rem }
  ol { list-style: none; margin: 0; padding: 0; height: 2rem; display: flex; gap: 3px; justify-content: center }
  li { width: 8px; border-radius: 2px; background: var(--c) }  li.bad { background: #ff6b5e }
</style>
<h1 style="--c: {color}">{version}</h1>
<p>This page requests the version twice a second. A red bar is a failed request.</p>
<ol aria-hidden="true"></ol>
<script>
  const title = document.querySelector("h1"), bars = document.querySelector("ol")
  async function ask() {
    const bar = document.createElement("li")
    try {
      const answer = await fetch("/version", {cache: "no-store"})
      if (!answer.ok) throw answer.status
      const {version, color} = await answer.json()
      title.textContent = version
      document.title = `${version} – demo`
      title.style.setProperty("--c", color)
      bar.style.setProperty("--c", color)
    } catch { bar.className = "bad" }
    bars.append(bar)
    if (bars.children.length > 60) bars.firstChild.remove()
  }
  setInterval(ask, 500)
</script>
</html>
"""

if __name__ == "__main__":
    app = DemoApp(os.environ)
    run(app.answer, f"demo {app.version}")
