"""Requests whose end two servers could see at different positions, or whose head is not plain: each is rejected with
400 and its connection closed. waitress rejects most; what it lets through is rejected here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver
from waitress.utilities import BadRequest, Error

ONCE = ("content-length", "transfer-encoding", "host")  # a second line of these is ambiguous between servers
_STARTS = re.compile(rb"(?:\r\n)?[A-Z]|(?:\r\n?)?\Z")  # at most one empty line, then a method: neither TLS nor blanks
_NAME = re.compile(rb"^([^:\r\n]*):", re.MULTILINE)

Admit = Callable[["StrictParser"], Error | None]


class StrictParser(HTTPRequestParser):
    """A request as it arrives. `admit` is called once its head is read, and returns what rejects it."""

    def __init__(self, adj: Any, admit: Admit = lambda _: None) -> None:
        super().__init__(adj)
        self._admit, self._asked = admit, False

    def received(self, data: bytes) -> int:
        if not self._asked and self._starts_wrongly(data):
            self._refuse(BadRequest("Not an HTTP request"))
            return len(data)
        consumed = int(super().received(data))
        if (self.headers_finished or self.completed) and not self._asked:
            self._asked = True
            if (refusal := self._admit(self)) is not None:
                self.error, self.completed = refusal, True
        return consumed

    def _starts_wrongly(self, data: bytes) -> bool:
        return not _STARTS.match((self.header_plus + data)[:3])

    def _refuse(self, error: Error) -> None:
        """Respond with that, in the form that waitress itself uses for what it cannot parse."""
        HTTPRequestParser.parse_header(self, b"GET / HTTP/1.0\r\n")
        self.error, self.completed, self._asked = error, True, True

    def parse_header(self, header_plus: bytes) -> None:
        _require_plain(header_plus)
        try:
            super().parse_header(header_plus)
        except ValueError as e:  # a length with thousands of digits, an invalid address
            raise ParsingError("Not an HTTP request") from e
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError("Only HTTP/1.0 and HTTP/1.1 are supported")
        if self.version == "1.0" and "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding is not allowed in HTTP/1.0")
        if self.body_rcv is not None and self.chunked:
            self.body_rcv = StrictChunks(self.body_rcv.buf)


def _require_plain(head: bytes) -> None:
    """Raise ParsingError for a folded line, trailing blanks on the first line, or a duplicate of a line that must be
    unique."""
    first, _, lines = head.partition(b"\r\n")
    if first != first.rstrip():
        raise ParsingError("The request line ends with whitespace")
    if b"\r\n " in head or b"\r\n\t" in head:
        raise ParsingError("Folded header lines are not allowed")
    names = [name.lower().decode("latin-1") for name in _NAME.findall(lines)]
    for name in ONCE:
        if names.count(name) > 1:
            raise ParsingError(f"{name} is given twice")
    if "content-length" in names and "transfer-encoding" in names:
        raise ParsingError("Content-Length and Transfer-Encoding cannot be combined")
    if re.search(rb"^transfer-encoding:[ \t]*(?:.*,.*)?\r?$", lines, re.MULTILINE | re.IGNORECASE):
        raise ParsingError("Transfer-Encoding must be chunked")


class StrictChunks(ChunkedReceiver):
    """A chunked body. An empty line in place of a chunk size is skipped by waitress, and rejected here."""

    def received(self, data: bytes) -> int:
        taken = 0
        while taken < len(data) and not (self.completed or self.error):
            piece = data[taken:]
            if self._at_size():
                piece = piece[: piece.find(b"\n") + 1 or None]
                if (self.control_line + piece).startswith((b"\r\n", b"\n")):
                    self.error = BadRequest("A chunk has no size")
                    break
            elif self.chunk_remainder:
                piece = piece[: self.chunk_remainder]
            elif self.validate_chunk_end:
                piece = piece[: 2 - len(self.chunk_end)]
            taken += int(super().received(piece))
        return taken

    def _at_size(self) -> bool:
        return not (self.chunk_remainder or self.validate_chunk_end or self.all_chunks_received)
