"""One command, one connection, one reply within a time limit: HAProxy's two sockets.

The worker's socket is tried first; if its file is missing, the master passes the command on.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deployctl.effects.haproxy.socket import wire
from deployctl.errors import ProxyUnavailable

if TYPE_CHECKING:
    from deployctl.effects.haproxy.home import HaproxyHome

ANSWER_SECONDS = 3.0  # seconds for one reply
_NO_WORKER = (
    "Can't find the target PID",
    "Can't connect to the target CLI",  # it has just died, and its master has not noticed yet
)


def ask(path: Path, command: str, *, timeout: float) -> str:
    """Return the whole reply to one command. Raises OSError, including TimeoutError."""
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(command.encode("ascii") + b"\n")
        connection.shutdown(socket.SHUT_WR)  # HAProxy replies and closes; without it a reply may never end
        parts: list[bytes] = []
        while part := connection.recv(65536):
            parts.append(part)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
    return b"".join(parts).decode("utf-8", "replace")


def is_answered(path: Path) -> bool:
    """Return whether a HAProxy responds on that socket."""
    try:
        return bool(ask(path, wire.SHOW_VERSION, timeout=ANSWER_SECONDS).strip())
    except OSError:
        return False


class Talk:
    """One connection for many commands: the process that replied to the first one replies to all, even if another one
    has the socket's path by then. Raises OSError."""

    _PROMPT = b"\n> "

    def __init__(self, path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(ANSWER_SECONDS)
        try:
            self._connection.connect(str(path))
            self.ask("prompt")
        except OSError:
            self.close()
            raise

    def ask(self, command: str) -> str:
        """Return the whole reply."""
        self._connection.sendall(command.encode("ascii") + b"\n")
        said = b""
        while not said.endswith(self._PROMPT):
            more = self._connection.recv(65536)
            if not more:
                raise ConnectionError("it closed the connection")
            said += more
        return said.removesuffix(self._PROMPT).decode("utf-8", "replace")

    def close(self) -> None:
        self._connection.close()


class HaproxySockets:
    """HAProxy's replies, or ProxyUnavailable."""

    def __init__(self, home: HaproxyHome) -> None:
        self._home = home

    def worker(self, *commands: str) -> str:
        """Send to the worker that receives traffic. Several commands are one request, and their replies follow each
        other."""
        try:
            return ask(self._home.worker, ";".join(commands), timeout=ANSWER_SECONDS)
        except (FileNotFoundError, ConnectionError):
            reply = self.master(";".join(wire.FIRST_WORKER + command for command in commands))
        except OSError as e:  # it may have received the command: never send that twice
            raise _silent(self._home.worker, e) from e
        if reply.startswith(_NO_WORKER):
            raise ProxyUnavailable("HAProxy's master has no worker", remedy=["deployctl doctor"])
        return reply

    def leaving(self, pid: int, command: str) -> str:
        """Send to a worker that only finishes open requests; an empty reply if it has just exited."""
        reply = self.master(wire.at_worker(pid, command))
        return "" if reply.startswith(_NO_WORKER) else reply

    def master(self, command: str, *, timeout: float = ANSWER_SECONDS) -> str:
        """Send to the master process. It rejects commands for a moment while it reloads."""
        try:
            return ask(self._home.master, command, timeout=timeout)
        except OSError as e:
            raise _silent(self._home.master, e) from e


def _silent(path: Path, error: OSError) -> ProxyUnavailable:
    why = error.strerror or error
    return ProxyUnavailable(f"HAProxy is not responding on {path}: {why}", remedy=["deployctl doctor"])
