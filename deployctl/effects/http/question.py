"""The HTTP request of a probe, and the judgement of its response; the caller brings the connection."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployctl.dataclass import replace
from deployctl.domain.change.probes import AnswerCode
from deployctl.effects.http.wire import MAX_HEADERS, Wire, read_body, read_head, remaining
from deployctl.pattern import pattern
from deployctl.ports import ProbeAnswer

if TYPE_CHECKING:
    from deployctl.domain.images.release import Probe
    from deployctl.effects.http.wire import Head

BODY = 64 * 2**10  # bytes of a response that are searched for probe.body

_PATH = pattern(r"/[!-~]*")
_HOST = pattern(r"[!-~]+")


def askable(probe: Probe, host: str) -> bool:
    """Return whether path and host contain nothing that HTTP does not allow there."""
    return bool(_PATH.fullmatch(probe.path) and _HOST.fullmatch(host))


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
