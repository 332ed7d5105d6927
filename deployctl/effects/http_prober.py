"""Asks one instance once, from outside, by HTTP or TCP. Whatever happens is an Answer; nothing is raised.

This runs inside every rollback: imports stay light, and probe.timeout covers the whole question.
"""

from __future__ import annotations

import errno
import re
import socket
import time
from dataclasses import replace

from deployctl.domain.release import Probe, ProbeKind
from deployctl.effects.http_wire import Closed, Head, NotHttp, Wire, read_body, read_head, remaining
from deployctl.ports import Answer

BODY = 64 * 2**10  # bytes of an answer that are searched for probe.body
GREETING = 0.05  # seconds in which a published port without a listener behind it hangs up

_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[!-~]+")


class SocketProber:
    def ask(self, probe: Probe, address: str, port: int, *, host: str, bridge: str | None = None) -> Answer:
        """Ask once within probe.timeout, through that bridge and no other way when one is named."""
        begun = time.monotonic()
        try:
            answer = _ask(probe, (address, port), host=probe.host or host, bridge=bridge)
        except (OSError, NotHttp, Closed, ValueError) as e:
            answer = Answer(False, _why_not(e, probe, address=address, bridge=bridge))
        return replace(answer, ms=(time.monotonic() - begun) * 1000)


def _ask(probe: Probe, to: tuple[str, int], *, host: str, bridge: str | None) -> Answer:
    if probe.kind not in {ProbeKind.HTTP, ProbeKind.TCP}:
        return Answer(False, f"a probe of kind {probe.kind} cannot be asked from outside")
    if probe.kind is ProbeKind.HTTP and not (_PATH.fullmatch(probe.path) and _HOST.fullmatch(host)):
        return Answer(False, "the path or the host of this probe holds characters that HTTP does not allow")
    deadline = time.monotonic() + probe.timeout
    with _connect(to, deadline=deadline, bridge=bridge) as sock:
        if probe.kind is ProbeKind.TCP:
            return _accepted(sock, to[1], direct=bridge is not None, deadline=deadline)
        return _http(sock, probe, host=host, deadline=deadline)


def _connect(to: tuple[str, int], *, deadline: float, bridge: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    socket.inet_pton(family, to[0])  # a name would be looked up, and that heeds no deadline
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
    except PermissionError:  # kernels before 5.7 want root for it; the guard route still holds
        return


def _accepted(sock: socket.socket, port: int, *, direct: bool, deadline: float) -> Answer:
    # docker-proxy accepts for everybody on a published port and hangs up when nobody listens behind it
    if not direct and _hung_up(sock, within=min(GREETING, remaining(deadline) or GREETING)):
        return Answer(False, f"port {port} hung up at once")
    return Answer(True, f"port {port} accepts connections")


def _hung_up(sock: socket.socket, *, within: float) -> bool:
    sock.settimeout(within)
    try:
        return not sock.recv(1)
    except TimeoutError:
        return False


def _http(sock: socket.socket, probe: Probe, *, host: str, deadline: float) -> Answer:
    request = f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: deployctl\r\nAccept: */*\r\n"
    sock.settimeout(remaining(deadline))
    sock.sendall(f"{request}Connection: close\r\n\r\n".encode("ascii"))
    wire = Wire(sock, deadline=deadline)
    head = read_head(wire)
    answer = _judge(head, probe)
    if answer.ok and probe.body is not None and not _body_has(probe.body.encode(), wire, head):
        return replace(answer, ok=False, sentence=f"{answer.sentence} without the text {probe.body!r}")
    return answer


def _judge(head: Head, probe: Probe) -> Answer:
    location = head.headers.get("location") if 300 <= head.status < 400 else None
    shown = None if location is None else _visible(location)
    gave = f"gave {head.status}" if shown is None else f"was redirected ({head.status}) to {shown}"
    accepted = any(low <= head.status <= high for low, high in probe.status)
    return Answer(accepted, f"GET {probe.path} {gave}", status=head.status, location=shown)


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


def _why_not(error: Exception, probe: Probe, *, address: str, bridge: str | None) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {probe.timeout:g} s"
        case ConnectionRefusedError():
            return "connection refused"
        case Closed() | ConnectionResetError() | BrokenPipeError():
            return "closed the connection without an answer"
        case NotHttp():
            return "answered something that is not HTTP"
        case OSError(errno=errno.ENODEV):
            return f"the bridge {bridge} is not there"
        case OSError(strerror=str(reason)):
            return f"{address} cannot be reached: {reason.lower()}"
        case _:
            return f"{address} cannot be reached: {error}"
