"""A command in a container with the streams of the person who typed it: every byte is passed on as it is, both ways.

The engine leaves running what an exec started when its client goes away (with a terminal everything, without one all that
does not read its input), so whatever ends the command here also ends that session there.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property

from deployctl.domain.host.home import ONE_OFF
from deployctl.effects.docker.client import socket_path
from deployctl.effects.docker.errors import from_answer, from_os_error, translated, unavailable
from deployctl.effects.docker.facts import container_summary
from deployctl.effects.docker.inside.session_end import SessionGuard, end_session
from deployctl.effects.docker.reader import with_query
from deployctl.effects.docker.requests import MANAGED
from deployctl.effects.docker.streams import frames
from deployctl.errors import DeployctlError, EngineRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.effects.docker.client import DockerClient
    from deployctl.ports import ContainerFacts
    from deployctl.ports.inside import Streams

PIECE = 64 * 2**10  # bytes
NEVER_STARTED = 126
_STARTED_WITHIN = 2.0  # seconds in which the engine knows the process that it started
_SETTLED_WITHIN = 2.0


class Attachments:
    """What is typed into containers of one engine of this machine; elsewhere nothing can be attached."""

    def __init__(self, docker: DockerClient, home: HomeIdentity, require_own: Callable[[str], ContainerFacts]) -> None:
        self._docker, self._home, self._require_own, self._address = docker, home, require_own, docker.address

    @cached_property
    def _api(self) -> APIClient:
        return self._docker.sdk()

    def execute(self, container: str, command: Sequence[str], streams: Streams) -> int:
        container = self._require_own(container).id
        with translated(f"run {command[0]}", self._address):
            id_ = str(self._api.exec_create(container, [*command], stdin=streams.stdin is not None, tty=streams.terminal)["Id"])
        asked = {"Detach": False, "Tty": streams.terminal}
        def resize(rows: int, columns: int) -> None:
            self._api.exec_resize(id_, rows, columns)

        with closing(self._hijacked(f"/exec/{id_}/start", asked, doing=f"run {command[0]}")) as line, _resized(streams, resize):
            pid = self._pid_of(id_)
            with SessionGuard(pid, container):
                try:
                    line.pump(streams)
                finally:
                    if self._inspect(id_)["Running"]:
                        end_session(pid, container)
        return self._exit_code(id_)

    def run(self, container: str, streams: Streams) -> int:
        container = self._require_own(container).id
        query = f"stream=1&stdout=1&stderr=1&stdin={int(streams.stdin is not None)}"
        with closing(self._hijacked(f"/containers/{container}/attach?{query}", None, doing="attach to it")) as line:
            with translated("start it", self._address):
                self._api.start(container)
            with _resized(streams, lambda rows, columns: self._api.resize(container, rows, columns)):
                line.pump(streams)
        if _is_gone(streams):
            with translated("end it", self._address):
                self._api.stop(container, timeout=1)
        with translated("wait for it", self._address):
            return int(self._api.wait(container)["StatusCode"])

    def one_offs(self) -> list[ContainerFacts]:
        path = with_query("/containers/json", {"all": "1", "filters": {"label": [f"{MANAGED}=1", ONE_OFF]}})
        found = [container_summary(raw) for raw in self._docker.reader.get(path, timeout=self._docker.timeout)]
        return [one for one in found if self._home.owns(one.labels) and one.labels.get(ONE_OFF)]

    def _pid_of(self, exec_id: str) -> int:
        """Return its process on this host; 0 if it has ended already, or was never started."""
        until = time.monotonic() + _STARTED_WITHIN
        while not (found := self._inspect(exec_id))["Pid"] and found["ExitCode"] is None and time.monotonic() < until:
            time.sleep(0.01)
        return int(found["Pid"] or 0)

    def _exit_code(self, exec_id: str) -> int:
        until = time.monotonic() + _SETTLED_WITHIN
        while (found := self._inspect(exec_id))["Running"] and time.monotonic() < until:
            time.sleep(0.02)
        return NEVER_STARTED if found["ExitCode"] is None else int(found["ExitCode"])

    def _inspect(self, exec_id: str) -> Any:
        with translated("read how the command is doing", self._address):
            return self._api.exec_inspect(exec_id)

    def _hijacked(self, path: str, body: object, *, doing: str) -> _Line:
        """Return the connection as it is once HTTP has ended on it. docker-py's own way loses the first bytes."""
        text = b"" if body is None else json.dumps(body).encode()
        head = (f"POST /v{self._api.api_version}{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n")
        path_here = socket_path(self._address)
        if path_here is None:
            raise EngineRefused(f"the engine at {self._address} is on another machine: a command inside a container needs its "
                                "socket", remedy=["run deployctl on that machine"])
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._api.timeout)
            sock.connect(path_here)
            sock.sendall(head.encode("ascii") + text)
            first = _answer(sock, self._address, doing=doing)
            sock.settimeout(None)
        except OSError as e:
            sock.close()
            raise from_os_error(e, self._address) from e
        except BaseException:
            sock.close()
            raise
        return _Line(sock, first)


def _answer(sock: socket.socket, address: str, *, doing: str) -> bytes:
    """Return what follows the head of the response. Raises what the engine answered unless it agreed."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = sock.recv(PIECE)
        if not piece:
            raise unavailable(address, "it closed the connection")
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status not in {101, 200}:
        raise from_answer(status, _message(rest), doing=doing, address=address)
    return rest


def _message(body: bytes) -> str:
    with suppress(ValueError, AttributeError):
        return str(json.loads(body)["message"])
    return body.decode(errors="replace")


class _Line:
    """The connection to one command."""

    def __init__(self, sock: socket.socket, first: bytes) -> None:
        self._sock, self._first = sock, first

    def close(self) -> None:
        self._sock.close()

    def pump(self, streams: Streams) -> None:
        """Pass everything on until the command has closed its output."""
        out = self._received(streams)
        if streams.terminal:
            for data in out:
                _write(streams.stdout, data)
            return
        for stream, data in frames(out):
            _write(streams.stderr if stream == "stderr" else streams.stdout, data)

    def _received(self, streams: Streams) -> Iterator[bytes]:
        if self._first:
            yield self._first
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        for descriptor in (streams.stdin, streams.gone):
            if descriptor is not None:
                waiting.register(descriptor, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            if streams.gone in ready:
                return
            if streams.stdin in ready and not self._typed(streams.stdin):
                waiting.unregister(streams.stdin)
            if self._sock.fileno() in ready:
                try:
                    piece = self._sock.recv(PIECE)
                except ConnectionResetError:
                    return
                if not piece:
                    return
                yield piece

    def _typed(self, stdin: int | None) -> bool:
        """Pass on what was typed; return whether more may come."""
        assert stdin is not None  # noqa: S101  it was registered
        piece = os.read(stdin, PIECE)
        with suppress(BrokenPipeError, ConnectionResetError):  # the command has ended: its output says so
            if piece:
                self._sock.sendall(piece)
            else:
                self._sock.shutdown(socket.SHUT_WR)
        return bool(piece)


def _is_gone(streams: Streams) -> bool:
    return streams.gone is not None and bool(select.select([streams.gone], [], [], 0)[0])


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data):]


@contextmanager
def _resized(streams: Streams, resize: Callable[[int, int], object]) -> Iterator[None]:
    """Give the command's terminal the size of this one, and this one's keys to the command."""
    if not streams.terminal or streams.stdin is None:
        yield
        return
    stdin = streams.stdin

    def follow(*_: object) -> None:
        rows, columns, *_rest = struct.unpack("HHHH", fcntl.ioctl(stdin, termios.TIOCGWINSZ, b"\0" * 8))
        with suppress(DeployctlError), translated("resize it", "the engine"):  # it may have ended
            resize(rows, columns)

    before, handler = termios.tcgetattr(stdin), signal.getsignal(signal.SIGWINCH)
    try:
        tty.setraw(stdin, termios.TCSADRAIN)  # what was typed ahead is kept
        signal.signal(signal.SIGWINCH, follow)
        follow()
        yield
    finally:
        signal.signal(signal.SIGWINCH, handler)
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)
