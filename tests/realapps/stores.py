"""Real programs that only one process at a time may run on their data: Redis with its append-only file, PostgreSQL, and a
web application that writes a file. Each has a client that writes numbers and reads back which are there.

The clients are ordinary ones: one connection, a long time-out, connected again when it breaks.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from deployctl.demo.image_tar import TarImage, file_layer
from deployctl.demo.load_image import load_images
from deployctl.demo.python_layer import ENTRYPOINT, python_layer
from tests import support
from tests.images import CACHE
from tests.realapps.debian import POSTGRES, REDIS, debian_layer

DATA = "/data"
PATIENCE = 60.0  # seconds for one answer: the system's own time-outs decide

WEB_PROGRAM = b"""
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
time.sleep(0.3)  # its boot
numbers, one = open("/data/numbers", "ab+", buffering=0), Lock()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        with one:
            numbers.write(self.path[1:].encode() + b"\\n")
            os.fsync(numbers.fileno())
        self.answer(b"ok")
    def do_GET(self):
        with one:
            numbers.seek(0)
            text = numbers.read()
        self.answer(text)
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words):
        pass
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
POSTGRES_PROGRAM = """
set -e
export PATH=/usr/lib/postgresql/15/bin:$PATH
if ! test -s /data/db/PG_VERSION; then
  initdb -D /data/db -U postgres -A trust --no-sync >/dev/null
  echo 'host all all 0.0.0.0/0 trust' >>/data/db/pg_hba.conf
fi
exec postgres -D /data/db -k /tmp -c 'listen_addresses=*'
"""


class Client(Protocol):
    """One connection. Raises OSError when it breaks, and ValueError when the server cannot answer yet."""

    def put(self, number: int) -> None:
        """Return once the server has acknowledged it."""
    def numbers(self) -> list[int]: ...
    def close(self) -> None: ...


class RedisClient:
    def __init__(self, address: str, *, timeout: float = PATIENCE) -> None:
        self._socket = socket.create_connection((address, 6379), timeout=timeout)
        self._socket.settimeout(PATIENCE)
        self._file = self._socket.makefile("rb")

    def put(self, number: int) -> None:
        self._ask("RPUSH", "numbers", str(number))

    def numbers(self) -> list[int]:
        count = self._ask("LRANGE", "numbers", "0", "-1")
        return [int(self._item()) for _ in range(int(count[1:]))]

    def _ask(self, *words: str) -> bytes:
        told = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self._socket.sendall(f"*{len(words)}\r\n{told}".encode())
        answer = self._line()
        if answer.startswith(b"-"):
            raise ValueError(answer.decode())
        return answer

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("it closed the connection")
        return line.strip()

    def _item(self) -> bytes:
        self._line()
        return self._line()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class PostgresClient:
    def __init__(self, address: str, *, timeout: float = PATIENCE) -> None:
        self._socket = socket.create_connection((address, 5432), timeout=timeout)
        self._socket.settimeout(PATIENCE)
        self._file = self._socket.makefile("rb")
        try:
            words = b"user\0postgres\0database\0postgres\0\0"
            self._socket.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
            self._answer()
            self._ask("SET client_min_messages = error")
            self._ask("CREATE TABLE IF NOT EXISTS numbers (n bigint)")
        except BaseException:
            self.close()
            raise

    def put(self, number: int) -> None:
        self._ask(f"INSERT INTO numbers VALUES ({number})")

    def numbers(self) -> list[int]:
        return [int(row) for row in self._ask("SELECT n FROM numbers")]

    def _ask(self, text: str) -> list[bytes]:
        told = text.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!I", len(told) + 4) + told)
        return self._answer()

    def _answer(self) -> list[bytes]:
        """Return the first column of what it answers."""
        rows, failed = list[bytes](), ""
        while True:
            head = self._read(5)
            body = self._read(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] == b"D":
                rows.append(body[6:6 + struct.unpack("!i", body[2:6])[0]])
            if head[:1] == b"E":
                failed = body.replace(b"\0", b" ").decode()
                if b"FATAL" in body:
                    raise ValueError(failed)
            if head[:1] == b"Z":
                break
        if failed:
            raise ValueError(failed)
        return rows

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("it closed the connection")
        return data

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class WebClient:
    def __init__(self, address: str, *, timeout: float = PATIENCE, port: int = 8080) -> None:
        self._connection = http.client.HTTPConnection(address, port, timeout=timeout)
        self._connection.connect()
        self._connection.sock.settimeout(PATIENCE)
        self._connection.auto_open = 0  # one connection, as the others

    def put(self, number: int) -> None:
        self._ask("POST", f"/{number}")

    def numbers(self) -> list[int]:
        return [int(line) for line in self._ask("GET", "/").split()]

    def _ask(self, method: str, path: str) -> bytes:
        try:
            self._connection.request(method, path)
            answer = self._connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as e:
            raise ConnectionError(str(e)) from e
        if answer.status != http.client.OK:
            raise ValueError(f"{answer.status} {text[:100]!r}")
        return text

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Store:
    name: str
    image: Callable[[], TarImage]
    connect: Callable[..., Client]  # address, and `timeout`: seconds to connect
    port: int
    user: str | None = None
    stop_signal: str = "SIGTERM"


def _redis() -> TarImage:
    return TarImage(layers=(debian_layer(REDIS, CACHE),), tags=(), command=(
        "redis-server", "--dir", DATA, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
        "--protected-mode", "no"))


def _postgres() -> TarImage:
    return TarImage(layers=(debian_layer(POSTGRES, CACHE),), tags=(), entrypoint=("/bin/sh", "-c"), command=(POSTGRES_PROGRAM,))


def _web() -> TarImage:
    layers = python_layer(CACHE), file_layer({"/app/writer.py": WEB_PROGRAM}, folders={DATA: 0o1777})
    return TarImage(layers=layers, tags=(), entrypoint=ENTRYPOINT, command=("/app/writer.py",))


STORES = (
    Store("redis", _redis, RedisClient, 6379),
    Store("postgres", _postgres, PostgresClient, 5432, user="1000", stop_signal="SIGINT"),
    Store("web", _web, WebClient, 8080),
)


@contextmanager
def loaded(url: str, store: Store, *versions: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Put its image into the engine under one tag for each version; yield name and image id of each. Raises
    Unobtainable."""
    name = f"{support.IMAGES}{store.name}-{secrets.token_hex(4)}"
    built = store.image()
    images = {version: replace(built, tags=(f"{name}:{version}",), labels={"version": version}) for version in versions}
    try:
        ids = load_images(url, *images.values(), timeout=120)
        yield {version: (name, digest) for version, digest in zip(images, ids, strict=True)}
    finally:
        with support.engine(url) as api:
            for image in images.values():
                support.remove_image(api, image.tags[0])


def connected(connect: Callable[..., Client], address: str, *, seconds: float = 60) -> Client:
    """Return a connection to a server that may still be starting."""
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError, ValueError):
            return connect(address)
        if time.monotonic() > until:
            raise TimeoutError(f"nothing answers at {address}")
        time.sleep(0.002)


def is_in_container(pid: int, main: int) -> bool:
    """Return whether a process lives in the same container as that main process."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path(f"/proc/{main}/ns/pid").readlink()
    return False
