"""Reads from the engine, and never changes it: GET only, one attempt, a quick response or EngineUnavailable.

What a warm rollback reads goes this way over the Unix socket, because docker-py costs 160 ms of imports. An engine
elsewhere is read through docker-py. Paths carry no API version: each engine responds with its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import takewhile

from deployctl.effects.http.wire import AnswerUnwanted, Closed, NotHttp, Wire, read_body, read_head
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from docker import APIClient

    class Reader(Protocol):
        def get(self, path: str, *, timeout: float) -> Any:
            """Return the decoded JSON, or None if there is no such object (404)."""

        def ask(self, path: str, *, timeout: float, headers: Mapping[str, str]) -> tuple[int, str]:
            """Return status and body, whatever they are: for queries whose errors have a meaning of their own."""

        def stream(self, path: str, *, timeout: float, quiet: float | None = None,
                   left: Callable[[], bool] | None = None) -> Iterator[bytes]:
            """Yield the body as it arrives, possibly without end; `timeout` is for its beginning.

            A pause longer than `quiet` seconds raises EngineSilent. Ends soon after its reader has `left`.
            """


_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@")


def quoted(text: str) -> str:
    """Return it percent-encoded for a path or a query value; `/`, `:` and `@` stay, as references need them."""
    return "".join(chr(b) if chr(b) in _PLAIN else f"%{b:02X}" for b in text.encode())


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return path and query; a mapping or a list becomes JSON, as the engine expects of filters."""
    words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
    return f"{path}?{'&'.join(f'{key}={quoted(value)}' for key, value in words.items())}"


class SocketReader:
    """One short connection per request: nothing that a restarted engine could have closed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._address = f"unix://{path}"

    def get(self, path: str, *, timeout: float) -> Any:
        with self._asked(path, timeout=timeout) as (status, wire_body):
            body = b"".join(wire_body)
        if status == 404:
            return None
        try:
            decoded = json.loads(body)
        except ValueError as e:
            from deployctl.effects.docker.errors import unavailable

            raise unavailable(self._address, "the response is not JSON") from e
        if status != 200:
            raise _refusal(status, decoded, path, self._address)
        return decoded

    def ask(self, path: str, *, timeout: float, headers: Mapping[str, str]) -> tuple[int, str]:
        with self._asked(path, timeout=timeout, headers=headers) as (status, pieces):
            return status, b"".join(pieces).decode(errors="replace")

    def stream(self, path: str, *, timeout: float, quiet: float | None = None,
               left: Callable[[], bool] | None = None) -> Iterator[bytes]:
        with self._asked(path, timeout=timeout, endless=True, quiet=quiet, left=left) as (status, pieces):
            if status != 200:
                raise _refusal(status, _json_or_text(b"".join(pieces)), path, self._address)
            with suppress(AnswerUnwanted):
                yield from pieces

    @contextmanager
    def _asked(self, path: str, *, timeout: float, endless: bool = False, quiet: float | None = None,
               left: Callable[[], bool] | None = None,
               headers: Mapping[str, str] | None = None) -> Iterator[tuple[int, Iterator[bytes]]]:
        lines = [f"GET {path} HTTP/1.1", "Host: docker", "Connection: close",
                 *(f"{name}: {text}" for name, text in (headers or {}).items())]
        deadline = time.monotonic() + timeout
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
                sock.settimeout(timeout)
                sock.connect(self._path)
                sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"))
                wire = Wire(sock, deadline=deadline)
                head = read_head(wire)
                if endless:
                    wire.wait_for_ever(quiet=quiet, left=left)
                yield head.status, read_body(wire, head)
        except (NotHttp, Closed) as e:
            from deployctl.effects.docker.errors import unavailable

            raise unavailable(self._address, "it closed the connection or the response is not HTTP") from e
        except OSError as e:
            from deployctl.effects.docker.errors import from_os_error

            raise from_os_error(e, self._address) from e


class SdkReader:
    """The same requests through docker-py, for an engine over tcp or ssh."""

    def __init__(self, client: Callable[[], APIClient], address: str) -> None:
        self._client = client
        self._address = address

    def get(self, path: str, *, timeout: float) -> Any:
        from deployctl.effects.docker.errors import translated

        api = self._client()
        with translated("read", self._address):
            answer = api.get(f"{api.base_url}{path}", timeout=timeout)
            if answer.status_code == 404:
                return None
            decoded = answer.json()
        if answer.status_code != 200:
            raise _refusal(answer.status_code, decoded, path, self._address)
        return decoded

    def ask(self, path: str, *, timeout: float, headers: Mapping[str, str]) -> tuple[int, str]:
        from deployctl.effects.docker.errors import translated

        api = self._client()
        with translated("read", self._address):
            answer = api.get(f"{api.base_url}{path}", timeout=timeout, headers=dict(headers))
            return answer.status_code, answer.text

    def stream(self, path: str, *, timeout: float, quiet: float | None = None,
               left: Callable[[], bool] | None = None) -> Iterator[bytes]:
        from deployctl.effects.docker.errors import translated

        api = self._client()
        asked: dict[str, Any] = {"timeout": (timeout, quiet), "stream": True}
        with translated("read", self._address), api.get(f"{api.base_url}{path}", **asked) as got:
            if got.status_code != 200:
                raise _refusal(got.status_code, _json_or_text(got.content), path, self._address)
            yield from takewhile(lambda _piece: left is None or not left(), got.iter_content(chunk_size=None))


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _refusal(status: int, body: Any, path: str, address: str) -> Exception:
    from deployctl.effects.docker.errors import from_answer

    words = body.get("message", "") if isinstance(body, dict) else str(body)
    return from_answer(status, words, doing=f"read {path.partition('?')[0]}", address=address)
