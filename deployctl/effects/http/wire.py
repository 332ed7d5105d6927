"""Reads HTTP/1.1 responses from a socket, each read before one deadline that a slow drip cannot extend.

Probes and engine reads share it because http.client costs a rollback 20 ms of imports (mail parser and TLS).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from deployctl.dataclass import dataclass, field
from deployctl.stdlib import socket

MAX_LINE_BYTES = 64 * 2**10  # bytes: with a longer line, or more than 100 headers, it is not a response
MAX_HEADERS = 100
READ_BYTES = 64 * 2**10
ABANDON_CHECK_SECONDS = 0.5  # seconds within which a waiting read notices that its result is no longer wanted

# Parsed by hand: compiling expressions takes longer than reading all responses of a command.
_VERSIONS = (b"HTTP/1.0", b"HTTP/1.1")
_HEX = b"0123456789abcdefABCDEF"
_MAX_DIGITS = 15


class NotHttp(Exception):
    """What arrived is not an HTTP/1.x response."""


class TooManyHeaders(NotHttp):
    """It is one, with more headers than HAProxy accepts."""


class Closed(Exception):
    """The peer closed the connection before its response was complete."""


class AnswerUnwanted(Exception):
    """The reader no longer wants the response."""


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case; the last of several wins


class Wire:
    """Bytes of a connected socket. A read raises TimeoutError once the deadline (monotonic seconds) has passed."""

    def __init__(self, sock: socket.socket, *, deadline: float | None) -> None:
        self._sock = sock
        self._deadline = deadline
        self._quiet: float | None = None
        self._left: Callable[[], bool] | None = None
        self._kept = b""

    def wait_for_ever(self, *, quiet: float | None = None, left: Callable[[], bool] | None = None) -> None:
        """Drop the deadline; a pause longer than `quiet` seconds raises TimeoutError, and a reader who has `left`
        raises Left soon after."""
        self._deadline, self._quiet, self._left = None, quiet, left

    def line(self) -> bytes:
        """Return the next line without its end. Raises Closed if there is none, NotHttp if it is endless."""
        while (end := self._kept.find(b"\n")) < 0:
            if len(self._kept) > MAX_LINE_BYTES:
                raise NotHttp("a line without an end")
            self._receive_more()
        line, self._kept = self._kept[:end], self._kept[end + 1 :]
        return line.removesuffix(b"\r")

    def take(self, most: int) -> bytes:
        """Return what is available, at least one byte and at most `most`. Raises Closed at the end."""
        if not self._kept:
            self._receive_more()
        taken, self._kept = self._kept[:most], self._kept[most:]
        return taken

    def _receive_more(self) -> None:
        until = self._deadline if self._quiet is None else time.monotonic() + self._quiet
        data = self._receive(until) if self._left is None else self._receive_unless(self._left, until)
        if not data:
            raise Closed
        self._kept += data

    def _receive(self, until: float | None) -> bytes:
        self._sock.settimeout(remaining(until))
        return self._sock.recv(READ_BYTES)

    def _receive_unless(self, left: Callable[[], bool], until: float | None) -> bytes:
        while not left():
            soon = time.monotonic() + ABANDON_CHECK_SECONDS
            try:
                return self._receive(soon if until is None else min(soon, until))
            except TimeoutError:
                remaining(until)
        raise AnswerUnwanted


def remaining(deadline: float | None) -> float | None:
    """Return the seconds left; None without a deadline. Raises TimeoutError if none are."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def read_head(wire: Wire, *, most: int = MAX_HEADERS) -> Head:
    """Return status and headers of the final response; interim ones (1xx) are skipped."""
    while True:
        head = Head(_parse_status(wire.line()), _read_headers(wire, most))
        if head.status >= 200:
            return head


def _parse_status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest.partition(b" ")[0]
    if version not in _VERSIONS or len(code) != 3 or not code.isdigit() or code.startswith(b"0") or b"\n" in rest:
        raise NotHttp("no status line")
    return int(code)


def _read_headers(wire: Wire, most: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(most + 1):
        line = wire.line()
        if not line:
            return headers
        name, colon, value = line.partition(b":")
        if name and colon and all(33 <= character <= 126 for character in name):
            headers[name.decode("ascii").lower()] = value.strip(b" \t").decode("latin-1")
    raise TooManyHeaders


def read_body(wire: Wire, head: Head) -> Iterator[bytes]:
    """Yield the body piece by piece as it arrives. Raises Closed if it ends early."""
    if head.status in {204, 304}:
        return
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        yield from _chunked(wire)
    elif (length := head.headers.get("content-length")) is not None:
        yield from _exactly(wire, _parse_length(length))
    else:
        yield from _to_the_end(wire)


def _parse_length(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise NotHttp("no readable content-length")
    return int(text)


def _chunked(wire: Wire) -> Iterator[bytes]:
    while True:
        digits = wire.line().partition(b";")[0].rstrip(b" \t")
        if not 1 <= len(digits) <= _MAX_DIGITS or digits.strip(_HEX):
            raise NotHttp("no chunk size")
        if (size := int(digits, 16)) == 0:
            return
        yield from _exactly(wire, size)
        wire.line()


def _exactly(wire: Wire, size: int) -> Iterator[bytes]:
    while size:
        piece = wire.take(min(size, READ_BYTES))
        size -= len(piece)
        yield piece


def _to_the_end(wire: Wire) -> Iterator[bytes]:
    while True:
        try:
            yield wire.take(READ_BYTES)
        except Closed:
            return
