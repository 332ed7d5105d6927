"""What HAProxy rejected or responded itself, kept in its own memory and read over its socket: no log daemon, no reader.

A ring holds the lines of one worker. A response that an app wrote silences its line, so only HAProxy's own are left.
The ring disappears with its worker: its contents are saved before a reload. `show errors` has one rejected request and
one rejected response, the last ones, byte for byte: only where HAProxy stopped parsing is taken from it, no header's
value and no query, because those contain secrets. HAProxy 2.6 and 2.8 crash when asked for a rejected response whose
server was deleted since. So that is read only for a response of a moment ago, and under the proxy lock, without which
no server is deleted. A request has no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from deployctl.dataclass import dataclass, replace
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import Cause, Rejection, cause_of
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.answers import of_release
from deployctl.effects.linux.whole_file import write_whole
from deployctl.errors import ProxyUnavailable
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.effects.haproxy.socket.runtime import HaproxySockets

GATE = "-gate"  # the private bind's name; not a valid app name
MAX_KEPT_LINES = 1000  # lines that are kept across reloads
HAPROXY_MAX_HEADERS = 100  # HAProxy rejects messages with more
_LINE = 512  # bytes of one line
_SIZE = 131072  # bytes of the ring

RING = f"""ring refused
  format raw
  maxlen {_LINE}
  size {_SIZE}"""

# Each worker counts its requests (%rt), so no two lines are alike. A path is the last field and is escaped.
LOG = f"""  option dontlognull
  log ring@refused len {_LINE} format raw local0
  log-format "%[date(0,ms)] %ci:%cp %pid.%rt %[so_name] %[var(txn.server)] %[var(txn.app)] %[var(txn.asked)] \
%ST %ts %HM %{{+E}}HP\""""
LOG_SILENT = "  http-response set-log-level silent"  # a response of the app; the final setting for a response

_SHOW_RING = "show events refused"
_SHOW_REQUEST = "show errors pub request"
_ENTRY = pattern(r"(\d{13}) (\S+) (\d+\.\d+) (\S+) (\S+) (\S+) (\S+) (-?\d+) (\S{2})\S* (\S+) (.*)")


class HaproxyTrace:
    """Reads and saves the own responses of one home's HAProxy."""

    def __init__(self, home: HaproxyHome, sockets: HaproxySockets) -> None:
        self._home, self._sockets = home, sockets

    def read(self) -> list[Rejection]:
        """Return all that is known, oldest first."""
        captured = _captures(self._ask(_SHOW_REQUEST))
        found = (parse_line(line) for line in self._lines())
        return [_with_detail(refusal, captured) for refusal in found if refusal is not None]

    def find(self, client: str) -> Rejection | None:
        """Return the last one that came from there."""
        return next((one for one in reversed(self._in_ring()) if one.client == client), None)

    def with_detail(self, refusal: Rejection) -> Rejection:
        """Return a response that was rejected a moment ago with where HAProxy stopped parsing. The caller holds the
        lock."""
        refused = [one for one in self._in_ring() if one.cause is Cause.INVALID_ANSWER]
        if refused[-1:] != [refusal]:  # another one came after it
            return refusal
        return _with_detail(refusal, _captures(self._ask(f"show errors {self._backend_of(refusal)} response")))

    def _backend_of(self, refusal: Rejection) -> str:
        """Return the backend that its server is in. Of others nothing may be asked: their server may be deleted."""
        return self._home.leases().get(f"{refusal.app}.{refusal.release}", wire.APPS)

    def _in_ring(self) -> list[Rejection]:
        return [refusal for line in self._ring() if (refusal := parse_line(line)) is not None]

    def save(self) -> None:
        """Save what the worker holds, because it is about to exit. What cannot be written is lost, and stops
        nothing."""
        if fresh := self._ring():
            with suppress(OSError):
                write_whole(self._home.refused, "".join(f"{line}\n" for line in self._lines(fresh)))

    def _lines(self, fresh: list[str] | None = None) -> list[str]:
        """Return saved lines and those of the worker: after a rejected reload they partly overlap."""
        ring = self._ring() if fresh is None else fresh
        return list(dict.fromkeys([*self._saved(), *ring]))[-MAX_KEPT_LINES:]

    def _saved(self) -> list[str]:
        try:
            return self._home.refused.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _ring(self) -> list[str]:
        return [line for line in self._ask(_SHOW_RING).splitlines() if _ENTRY.fullmatch(line)]

    def _ask(self, command: str) -> str:
        try:
            return self._sockets.worker(command)
        except ProxyUnavailable:  # dead: what was saved is still available
            return ""


def parse_line(line: str) -> Rejection | None:
    """Read one line of the ring; None for one that is not about HAProxy's own response."""
    found = _ENTRY.fullmatch(line)
    if found is None or not 400 <= int(found[8]) <= 599:  # a client that disconnected before the response has -1
        return None
    bind, server, app, asked = (_known(found[n]) for n in (4, 5, 6, 7))
    name, _, number = server.rpartition(".")
    method, path = ("", "") if found[10] == "<BADREQ>" else (found[10], found[11])
    owner = name or app or (bind if not bind.startswith("-") else "")
    status = int(found[8])
    return Rejection(
        at=_moment(int(found[1])), app=AppName(owner) if owner else None, release=int(number) if number.isdecimal() else None,
        status=status, cause=cause_of(status, found[9]), client=found[2], method=method, path=path, host=asked,
        gate=bind == GATE)  # fmt: skip


def _known(text: str) -> str:
    return "" if text == "-" else text


def _moment(ms: int) -> str:
    from deployctl.stdlib import UTC, datetime  # not needed by a rollback

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- where it stopped parsing --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Capture:
    """One message that HAProxy could not parse, as far as it may be shown."""

    of: str  # request or response
    server: str  # app.release; <NONE> for a request
    client: str  # address:port
    position: int
    lines: tuple[tuple[int, str], ...]  # offset and text, with non-ASCII escaped
    length: int

    @property
    def first(self) -> str:
        return self.lines[0][1].removesuffix(r"\n").removesuffix(r"\r")[:80] if self.lines else ""

    @property
    def speaks_http(self) -> bool:
        return self.first.startswith("HTTP/1.")

    @property
    def detail(self) -> str:
        """Return where HAProxy stopped, without any value that came with the message."""
        before = [text for offset, text in self.lines if offset <= self.position]
        if self.of == "request" and self.position >= self.length:
            return "its headers exceed HAProxy's buffer"
        if self.speaks_http and _END_OF_HEAD in before[:-1]:
            return "HAProxy stopped in its body"
        if len(before) > HAPROXY_MAX_HEADERS + 1:  # the first line is not a header
            return f"it has more than {HAPROXY_MAX_HEADERS} headers"
        if self.of == "response" and not self.speaks_http:
            return f"it started with {self.first!r}" if self.first else ""
        if len(before) > 1:
            return f"HAProxy stopped in the header {before[-1].partition(':')[0][:60]}"
        path, query, _ = self.first.partition("?")
        inside = query and self.position > len(path)
        return f"HAProxy stopped at byte {self.position}" + (" in the query of " if inside else " of ") + f"“{path}”"


_END_OF_HEAD = r"\r\n"  # an empty line, as HAProxy logs it
_CAPTURED = pattern(r"^\[.*\] (?:frontend|backend) .*: invalid (request|response)$", re.MULTILINE)
_DUMPED = pattern(r"^  (\d{5,}) ( |\+) ?(.*)$", re.MULTILINE)


def _captures(reply: str) -> list[Capture]:
    """Read `show errors`."""
    starts = [*_CAPTURED.finditer(reply)]
    return [*_each(reply, starts)]


def _each(reply: str, starts: list[re.Match[str]]) -> Iterator[Capture]:
    ends = [*(found.start() for found in starts), len(reply)][1:]
    for start, end in zip(starts, ends, strict=True):
        text = reply[start.end() : end]
        server, client = re.search(r"server (\S+)", text), re.search(r"src (\S+)", text)
        position, length = re.search(r"error at position (\d+)", text), re.search(r"\blen (\d+)", text)
        if server and client and position and length:
            lines = tuple((int(m[1]), m[3]) for m in _DUMPED.finditer(text) if m[2] == " ")
            yield Capture(start[1], server[1], client[1], int(position[1]), lines, int(length[1]))


def _with_detail(refusal: Rejection, captured: list[Capture]) -> Rejection:
    """Return it with where HAProxy stopped, if that is still known."""
    release = f"{refusal.app}.{refusal.release}"
    for one in captured:
        if one.of == "request" and refusal.cause is Cause.BAD_REQUEST and one.client == refusal.client:
            return replace(refusal, detail=one.detail)
        if one.of == "response" and refusal.cause is Cause.INVALID_ANSWER and of_release(one.server) == release:
            cause = Cause.INVALID_ANSWER if one.speaks_http else Cause.NOT_HTTP
            return replace(refusal, cause=cause, detail=one.detail)
    return refusal
