"""A socket in front of the engine that loses answers on purpose: the engine acts, and nobody hears of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread


class Relay:
    """`lose("POST /containers/create")` cuts the next connection that asks for it, after the engine has answered."""

    def __init__(self, listener: socket.socket, engine_path: str) -> None:
        self._listener, self._engine_path = listener, engine_path
        self._losing: list[bytes] = []
        self.lost: list[str] = []
        self._threads = [Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def lose(self, request: str) -> None:
        """Name the method and the path without its version."""
        self._losing.append(request.encode())

    def close(self) -> None:
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine_path)
                self._open += [client, engine]
                for pump, ends in ((self._ask, (client, engine)), (self._answer, (engine, client))):
                    self._threads.append(Thread(target=pump, args=ends))
                    self._threads[-1].start()

    def _ask(self, client: socket.socket, engine: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if (match := self._unlucky(data)) is not None:
                    self._losing.remove(match)
                    self.lost.append(match.decode())
                    client.shutdown(socket.SHUT_WR)  # from now on the client hears nothing
                engine.sendall(data)
            engine.shutdown(socket.SHUT_WR)

    def _unlucky(self, data: bytes) -> bytes | None:
        method, _, rest = data.partition(b" ")
        path = b"/" + rest.partition(b" ")[0].split(b"/", 2)[-1]  # without /v1.41
        return next((m for m in self._losing if m.split(b" ")[0] == method and path.startswith(m.split(b" ")[1])), None)

    def _answer(self, engine: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := engine.recv(65536):
                with suppress(BrokenPipeError):
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(listen_on: str | tuple[str, int], engine_url: str) -> Iterator[Relay]:
    """Listen on that path or address, in front of the engine at that unix:// address."""
    listener = socket.socket(socket.AF_UNIX if isinstance(listen_on, str) else socket.AF_INET)
    listener.bind(listen_on)
    listener.listen()
    running = Relay(listener, engine_url.removeprefix("unix://"))
    try:
        yield running
    finally:
        running.close()
        if isinstance(listen_on, str):
            Path(listen_on).unlink()
