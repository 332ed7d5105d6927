"""Probes one instance once, from outside, by HTTP or TCP. Whatever happens is an Answer; nothing is raised.

This runs inside every rollback: imports stay light, and probe.timeout covers the whole probe.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

from deployctl.dataclass import replace
from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import ProbeKind
from deployctl.effects.http.question import askable, judge, put
from deployctl.effects.http.wire import MAX_HEADERS, Closed, NotHttp, TooManyHeaders, remaining
from deployctl.ports import ProbeAnswer

if TYPE_CHECKING:
    from deployctl.domain.images.release import Probe

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
    with _connect(to, deadline=deadline, bridge=bridge) as sock:
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
