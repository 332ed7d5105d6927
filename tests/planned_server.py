"""A server that answers by plan: its nth request gets the nth act, whatever connection it came on.

After the plan's end every request is answered well. `acts` tells what was really done, in order, and
`heads` what was asked.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "ok": OK,
    "v2": OK.replace(b"v1", b"v2"),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK,
    "empty": b"HTTP/1.1 204 No Content\r\nX-Version: v1\r\n\r\n",
    "app 500": b"HTTP/1.1 500 Oops\r\nX-Version: v1\r\nContent-Length: 0\r\n\r\n",
    "marked 500": b"HTTP/1.1 500 Oops\r\nX-Deployctl-Version: v1\r\nContent-Length: 0\r\n\r\n",
    "app 404": b"HTTP/1.1 404 Not Found\r\nX-Version: v1\r\nContent-Length: 0\r\n\r\n",
    "proxy 503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "proxy 404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
}
LAST_WORDS = {
    "garbage": b"220 mail.example.com ESMTP\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "half head": b"HTTP/1.1 200 OK\r\nX-Ver",
    "half body": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
    "to the end": b"HTTP/1.1 200 OK\r\nX-Version: v1\r\n\r\nall that comes",
    "goodbye": OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "drop": b"",
}
SLOW = 0.3  # seconds


class PlannedServer:
    """Listens on a port of 127.0.0.1 until closed."""

    def __init__(self, plan: Sequence[str]) -> None:
        self._plan = iter(plan)
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self.acts: list[str] = []
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def close(self) -> None:
        """Cut every connection and wait for every thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=[connection])
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while head := connection.recv(65536):  # visitors send a request in one piece, and one at a time
                if not self._act(connection, self._take(head)):
                    return

    def _take(self, head: bytes) -> str:
        with self._lock:
            self.heads.append(head)
            self.acts.append(next(self._plan, "ok"))
            return self.acts[-1]

    def _act(self, connection: socket.socket, act: str) -> bool:
        """Do it, and tell whether the connection stays open."""
        if act in LAST_WORDS:
            connection.sendall(LAST_WORDS[act])
            return False
        if act == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if act == "silence":
            return bool(connection.recv(1))
        if act == "slow":
            time.sleep(SLOW)
        connection.sendall(ANSWERS.get(act, OK))
        return True


@contextmanager
def planned_server(plan: Sequence[str] = ()) -> Iterator[PlannedServer]:
    server = PlannedServer(plan)
    try:
        yield server
    finally:
        server.close()
