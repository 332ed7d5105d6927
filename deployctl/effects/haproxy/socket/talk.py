"""One connection to HAProxy for many commands."""

from __future__ import annotations

from deployctl.effects.haproxy.socket.runtime import ANSWER_SECONDS
from deployctl.paths import Path
from deployctl.stdlib import socket


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
