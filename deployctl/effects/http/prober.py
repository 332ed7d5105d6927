"""Probes one instance once, from outside, by HTTP or TCP. Whatever happens is an Answer; nothing is raised.

This runs inside every rollback: imports stay light, and probe.timeout covers the whole probe.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from contextlib import closing

from deployctl.dataclass import replace
from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import ProbeKind
from deployctl.effects.http.wire import (
    MAX_HEADERS,
    Closed,
    NotHttp,
    TooManyHeaders,
    Wire,
    read_body,
    read_head,
    remaining,
)
from deployctl.ports import ProbeAnswer
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Probe
    from deployctl.effects.http.wire import Head

BODY = 64 * 2**10  # bytes of a response that are searched for probe.body



def askable(probe: Probe, host: str) -> bool:
    """Return whether path and host contain nothing that HTTP does not allow there."""
    return probe.path.startswith("/") and _is_plain(probe.path) and host != "" and _is_plain(host)


def _is_plain(word: str) -> bool:
    """Return whether every character is a visible one of ASCII."""
    return word.isascii() and word.isprintable() and " " not in word


def put(sock: socket.socket, probe: Probe, *, host: str, deadline: float,
        more: Mapping[str, str] | None = None, most: int = MAX_HEADERS) -> tuple[Head, Wire]:
    """Send the request, with `more` headers; return the head of the response, of at most `most` headers, and what its
    body is read from.

    `deadline`: monotonic seconds. Raises OSError, NotHttp or Closed.
    """
    headers = {"Host": host, "User-Agent": "deployctl", "Accept": "*/*", **(more or {}), "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sock.settimeout(remaining(deadline))
    sock.sendall(f"GET {probe.path} HTTP/1.1\r\n{lines}\r\n".encode("ascii"))
    wire = Wire(sock, deadline=deadline)
    return read_head(wire, most=most), wire


def judge(head: Head, wire: Wire, probe: Probe) -> ProbeAnswer:
    """Return whether the probe accepts that response."""
    answer = _judge_head(head, probe)
    if answer.ok and probe.body is not None and not _body_has(probe.body.encode(), wire, head):
        return replace(answer, ok=False, code=AnswerCode.WRONG_BODY,
                       sentence=f"{answer.sentence} without the text {probe.body!r}")
    return answer


def _judge_head(head: Head, probe: Probe) -> ProbeAnswer:
    location = head.headers.get("location") if 300 <= head.status < 400 else None
    shown = None if location is None else _visible(location)
    gave = f"gave {head.status}" if shown is None else f"was redirected ({head.status}) to {shown}"
    accepted = any(low <= head.status <= high for low, high in probe.status)
    code = None if accepted else AnswerCode.WRONG_STATUS if shown is None else AnswerCode.REDIRECTED
    return ProbeAnswer(accepted, f"GET {probe.path} {gave}", status=head.status, location=shown, code=code)


def _visible(text: str) -> str:
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in text)[:200]


def _body_has(wanted: bytes, wire: Wire, head: Head) -> bool:
    seen = b""
    for piece in read_body(wire, head):
        seen += piece
        if wanted in seen[:BODY]:
            return True
        if len(seen) >= BODY:
            break
    return wanted in seen[:BODY]


GREETING = 0.05  # seconds in which a published port without a listener behind it disconnects


class SocketProber:
    def ask(self, probe: Probe, address: str, port: int, *, host: str, bridge: str | None = None) -> ProbeAnswer:
        """Probe once within probe.timeout; if a bridge is named, only through that."""
        begun = time.monotonic()
        try:
            answer = _ask(probe, (address, port), host=probe.host or host, bridge=bridge)
        except (OSError, NotHttp, Closed, ValueError) as e:
            code, why = _why_not(e, probe, address=address, bridge=bridge)
            answer = ProbeAnswer(False, why, code=code)
        return replace(answer, ms=(time.monotonic() - begun) * 1000)


def _ask(probe: Probe, to: tuple[str, int], *, host: str, bridge: str | None) -> ProbeAnswer:
    if probe.kind not in {ProbeKind.HTTP, ProbeKind.TCP}:
        return ProbeAnswer(False, f"a probe of kind {probe.kind} cannot run outside the container", code=AnswerCode.NOT_ASKED)
    if probe.kind is ProbeKind.HTTP and not askable(probe, host):
        return ProbeAnswer(False, "the path or the host of this probe contains characters that HTTP does not allow",
                      code=AnswerCode.NOT_ASKED)
    deadline = time.monotonic() + probe.timeout
    with closing(_connect(to, deadline=deadline, bridge=bridge)) as sock:
        if probe.kind is ProbeKind.TCP:
            return _accepted(sock, to[1], direct=bridge is not None, deadline=deadline)
        return judge(*put(sock, probe, host=host, deadline=deadline), probe)


def _connect(to: tuple[str, int], *, deadline: float, bridge: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    socket.inet_pton(family, to[0])  # a name would be resolved, which ignores deadlines
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if bridge is not None:
            _bind_to(sock, bridge)
        sock.settimeout(remaining(deadline))
        sock.connect(to)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_to(sock: socket.socket, bridge: str) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode())
    except PermissionError:  # kernels before 5.7 need root for it; the guard route still holds
        return


def _accepted(sock: socket.socket, port: int, *, direct: bool, deadline: float) -> ProbeAnswer:
    # docker-proxy accepts every connection on a published port and closes it if nothing listens behind it
    if not direct and _hung_up(sock, within=min(GREETING, remaining(deadline) or GREETING)):
        return ProbeAnswer(False, f"port {port} closed the connection immediately", code=AnswerCode.CLOSED)
    return ProbeAnswer(True, f"port {port} accepts connections")


def _hung_up(sock: socket.socket, *, within: float) -> bool:
    sock.settimeout(within)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return False


def _why_not(error: Exception, probe: Probe, *, address: str, bridge: str | None) -> tuple[AnswerCode, str]:
    match error:
        case TimeoutError():
            return AnswerCode.TIMEOUT, f"no response within {probe.timeout:g} s"
        case ConnectionRefusedError():
            return AnswerCode.REFUSED, "connection refused"
        case Closed() | ConnectionResetError() | BrokenPipeError():
            return AnswerCode.CLOSED, "closed the connection without a response"
        case TooManyHeaders():
            return AnswerCode.NOT_HTTP, f"sent more than {MAX_HEADERS} headers"
        case NotHttp():
            return AnswerCode.NOT_HTTP, "sent something that is not HTTP"
        case OSError(errno=errno.ENODEV):
            return AnswerCode.UNREACHABLE, f"the bridge {bridge} does not exist"
        case OSError(strerror=str(reason)):
            return AnswerCode.UNREACHABLE, f"{address} cannot be reached: {reason.lower()}"
        case _:
            return AnswerCode.UNREACHABLE, f"{address} cannot be reached: {error}"
