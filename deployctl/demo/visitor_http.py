"""One visitor's side of HTTP/1.1: send a request on a connection, read exactly one response, say what went wrong.

A connection that died while idle is not used; one that dies during a request loses that request.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Mapping

from deployctl.dataclass import dataclass

MARKS = ("x-version", "x-deployctl-version")  # a response with one of these comes from the app, or was passed on from it
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?\r\n")
_OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS}
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}


class VisitorNotHttp(Exception):
    """The peer's response is not HTTP/1.1."""


class Stale(Exception):
    """A kept connection was closed before the first byte of a response."""


@dataclass(frozen=True, slots=True)
class VisitorAnswer:
    status: int
    version: str | None  # the app's mark
    keep_alive: bool

    @property
    def outcome(self) -> str:
        if self.status < 400:
            return "ok"
        return f"{'proxy' if self.version is None else 'app'}_{self.status // 100}xx"


class VisitorConnection:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._used = False

    @classmethod
    async def open(cls, host: str, port: int) -> VisitorConnection:
        return cls(*await asyncio.open_connection(host, port))

    @property
    def alive(self) -> bool:
        return not (self._reader.at_eof() or self._reader.exception() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def ask(self, request: bytes) -> VisitorAnswer:
        reused, self._used = self._used, True
        self._writer.write(request)
        try:
            first = await self._reader.readexactly(1)
        except (ConnectionError, EOFError) as e:
            raise Stale if reused else e from e
        return await self._answer(first)

    async def _answer(self, first: bytes) -> VisitorAnswer:
        minor, status = await self._status(first)
        fields = await self._fields()
        while status < 200:
            minor, status = await self._status(b"")
            fields = await self._fields()
        reusable = await self._skip_body(status, fields)
        wish = fields.get("connection", "keep-alive" if minor else "close").lower()
        version = next((fields[mark] for mark in MARKS if mark in fields), None)
        return VisitorAnswer(status, version, reusable and wish != "close")

    async def _status(self, first: bytes) -> tuple[int, int]:
        try:
            line = first + await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as cut:
            line = first + cut.partial
            if line[:5] == b"HTTP/"[: len(line)]:
                raise
        match = _STATUS.fullmatch(line)
        if not match:
            raise VisitorNotHttp(repr(line[:80]))
        return int(match[1]), int(match[2])

    async def _fields(self) -> Mapping[str, str]:
        fields: dict[str, str] = {}
        while (line := await self._reader.readuntil(b"\r\n")) != b"\r\n":
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise VisitorNotHttp(repr(line[:80]))
            fields[name.lower()] = value.strip()
        return fields

    async def _skip_body(self, status: int, fields: Mapping[str, str]) -> bool:
        """Read the body to its end, and return whether the connection can carry another response."""
        if status in (204, 304):
            return True
        if "chunked" in fields.get("transfer-encoding", "").lower():
            await self._skip_chunks()
            return True
        if "content-length" not in fields:
            await self._reader.read()
            return False
        await self._reader.readexactly(_number(fields["content-length"], base=10))
        return True

    async def _skip_chunks(self) -> None:
        size = -1
        while size:
            line = await self._reader.readuntil(b"\r\n")
            size = _number(line.decode("latin-1").partition(";")[0], base=16)
            await self._reader.readexactly(size)
            if size:
                await self._reader.readexactly(2)
        await self._fields()  # trailers


def _number(text: str, *, base: int) -> int:
    try:
        number = int(text.strip(), base)
    except ValueError:
        number = -1
    if number < 0:
        raise VisitorNotHttp(f"{text!r} is not a length")
    return number


def outcome_of(error: BaseException) -> str:
    """Return the class of a request that ended without a response."""
    kinds: list[tuple[type[BaseException], str]] = [
        (Stale, "stale"),
        (VisitorNotHttp, "protocol"),
        (asyncio.LimitOverrunError, "protocol"),
        (TimeoutError, "timeout"),
        (ConnectionRefusedError, "refused"),
        (ConnectionError, "reset"),
        (EOFError, "eof"),
    ]
    number = getattr(error, "errno", None)
    by_number = "client" if number in _OURS else "unreachable" if number in _UNREACHABLE else None
    return by_number or next((name for kind, name in kinds if isinstance(error, kind)), "unreachable")
