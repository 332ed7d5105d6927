"""A server of bytes: to each connection it sends what the test set up, piece by piece, with a pause before each
piece."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread

Piece = bytes | float  # bytes to send, or seconds to wait


class RawServer:
    """Reads one request first, unless it is `eager`; `requests` holds what was read."""

    def __init__(self, listener: socket.socket, pieces: Sequence[Piece], *, eager: bool, keep_open: bool) -> None:
        self._listener, self._pieces, self._eager, self._keep_open = listener, pieces, eager, keep_open
        self.requests: list[bytes] = []
        self._held: list[socket.socket] = []
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for sock in self._held:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._held):
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._held.append(sock)
                self._threads.append(Thread(target=self._serve, args=[sock]))
                self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if not self._eager:
                self.requests.append(sock.recv(65536))
            for piece in self._pieces:
                time.sleep(piece) if isinstance(piece, float) else sock.sendall(piece)
            if not self._keep_open:
                sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def raw_server(
    *pieces: Piece, path: str | None = None, eager: bool = False, keep_open: bool = False
) -> Iterator[tuple[RawServer, int]]:
    """Listen on a free port of 127.0.0.1, or on a Unix socket at that path; yield the server and the port."""
    listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0) if path is None else path)
    listener.listen()
    server = RawServer(listener, pieces, eager=eager, keep_open=keep_open)
    try:
        yield server, 0 if path else listener.getsockname()[1]
    finally:
        server.close()


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer with a content-length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
