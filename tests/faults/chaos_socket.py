"""A Unix socket before an engine: everything goes through it, but for the requests that a rule lets go wrong."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 65536
WAYS = ("delay", "hang", "refuse", "error", "lost", "cut")


@dataclass
class Rule:
    """What becomes of requests like that.

    delay   passed on after `seconds`            error   answered with a 500, not passed on
    hang    taken, and never answered            lost    done by the engine, its answer is thrown away
    refuse  closed without a word                cut     done by the engine, half of its answer comes through
    """

    way: str
    method: str = ".*"
    path: str = ""
    nth: int = 1  # the first that goes wrong
    times: int = 1_000_000
    seconds: float = 0.0
    seen: int = 0

    def strikes(self, method: str, path: str) -> bool:
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times

    @property
    def struck(self) -> int:
        """How many requests went wrong by it so far."""
        return max(0, min(self.seen - self.nth + 1, self.times))


@dataclass
class ChaosSocket:
    engine: Path
    path: Path
    rules: list[Rule] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _open: list[socket.socket] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    @property
    def env(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.url}

    @contextmanager
    def rule(self, way: str, method: str = ".*", path: str = "", **more: float) -> Iterator[Rule]:
        """Let requests like that go wrong while inside."""
        made = Rule(way, method, path, nth=int(more.get("nth", 1)), times=int(more.get("times", 1_000_000)),
                    seconds=more.get("seconds", 0.0))
        self.rules.append(made)
        try:
            yield made
        finally:
            self.rules.remove(made)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._handle, args=[client], daemon=True).start()

    def close(self) -> None:
        """End every connection, those too that hang."""
        self._over.set()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _handle(self, client: socket.socket) -> None:
        self._open.append(client)
        with client, suppress(OSError):
            head = _read_head(client)
            if head:
                self._treat(client, head)
            client.shutdown(socket.SHUT_RDWR)  # a thread that still reads from it would keep it open
        self._open.remove(client)

    def _treat(self, client: socket.socket, head: bytes) -> None:
        rule = self._find(head)
        match rule.way if rule else "":
            case "hang":
                self._over.wait()
            case "refuse":
                pass
            case "error":
                client.sendall(b"HTTP/1.1 500 Injected\r\nContent-Type: application/json\r\nContent-Length: 22\r\n"
                               b"Connection: close\r\n\r\n" + b'{"message":"injected"}')
            case way:
                if rule is not None and way == "delay":
                    self._over.wait(rule.seconds)
                self._pass_on(client, head, way)

    def _find(self, head: bytes) -> Rule | None:
        method, path = head.decode(errors="replace").split(" ")[:2]
        with self._lock:
            self.requests.append(f"{method} {path}")
            return next((rule for rule in list(self.rules) if rule.strikes(method, path)), None)

    def _pass_on(self, client: socket.socket, head: bytes, way: str) -> None:
        """Hand on one request, and its answer as far as the rule allows."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(self.engine))
            engine.sendall(_last_one(head))
            threading.Thread(target=_pump, args=[client, engine], daemon=True).start()
            while block := engine.recv(BLOCK):
                if way == "cut":
                    client.sendall(block[: len(block) // 2])
                    return
                if way != "lost":
                    client.sendall(block)


def _read_head(client: socket.socket) -> bytes:
    """Return the head of the request, and what came of its body with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        block = client.recv(BLOCK)
        if not block:
            return b""
        head += block
    return head


def _last_one(head: bytes) -> bytes:
    """Ask the engine to close after its answer, so that each request comes on a connection of its own."""
    if re.search(rb"(?i)\r\nupgrade:", head):
        return head
    kept = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head, count=1)
    return kept.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def chaos_socket(engine_url: str) -> Iterator[ChaosSocket]:
    """Hand out the socket; nothing goes wrong until a rule says so."""
    with tempfile.TemporaryDirectory(prefix="dctl-chaos-") as folder, socket.socket(socket.AF_UNIX) as listener:
        made = ChaosSocket(Path(engine_url.removeprefix("unix://")), Path(folder) / "docker.sock")
        listener.bind(str(made.path))
        listener.listen(64)
        thread = threading.Thread(target=made.serve, args=[listener], daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
