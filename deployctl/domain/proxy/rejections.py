"""What HAProxy answered itself instead of an app, and why: its own 4xx and 5xx as values.

A cause is derived from the status and the two letters by which HAProxy reports how a request ended (`%ts` in its
manual): who ended it (C client, S server, P HAProxy itself, L a rule, lower case: a timeout), and when (R request, C
connect, H response headers).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated

    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.inputs.units import At


class Cause(StrEnum):
    """Why clients got HAProxy's own response, or would get it."""

    BAD_REQUEST = "bad_request"  # what arrived is not a valid HTTP/1.1 request
    SLOW_REQUEST = "slow_request"  # its head did not arrive in time
    UNKNOWN_HOST = "unknown_host"  # no app has that name
    NO_RELEASE = "no_release"  # the app has no live version
    DENIED = "denied"  # by a rule
    UNREACHABLE = "unreachable"  # nothing accepts connections at the release's address
    NO_ANSWER = "no_answer"  # the app closed the connection without a response
    TIMEOUT = "timeout"  # the app did not respond in time
    NOT_HTTP = "not_http"  # the app responded, but not in HTTP/1.1
    INVALID_ANSWER = "invalid_answer"  # HTTP that HAProxy rejects
    NOT_ACCEPTED = "not_accepted"  # a valid response, but none that the probe accepts; only the gate reports this
    OTHER = "other"


CAUSE_MEANINGS: Mapping[Cause, str] = {
    Cause.BAD_REQUEST: "not a valid HTTP/1.1 request",
    Cause.SLOW_REQUEST: "the request did not arrive in time",
    Cause.UNKNOWN_HOST: "no app has this host name",
    Cause.NO_RELEASE: "the app has no live version",
    Cause.DENIED: "a rule denies it",
    Cause.UNREACHABLE: "the app does not accept connections",
    Cause.NO_ANSWER: "the app closed the connection without a response",
    Cause.TIMEOUT: "the app did not respond in time",
    Cause.NOT_HTTP: "the app's response is not HTTP/1.1",
    Cause.INVALID_ANSWER: "the app's response is not valid HTTP",
    Cause.NOT_ACCEPTED: "the probe does not accept the response",
    Cause.OTHER: "another reason",
}

_USUALLY: Mapping[Cause, str] = {
    Cause.BAD_REQUEST: "often a raw character outside ASCII in its address, or a head that is too long",
}

_BY_ENDING: Mapping[tuple[int, str], Cause] = {
    (400, "PR"): Cause.BAD_REQUEST, (408, "cR"): Cause.SLOW_REQUEST, (404, "LR"): Cause.UNKNOWN_HOST,
    (503, "LR"): Cause.NO_RELEASE, (502, "PH"): Cause.INVALID_ANSWER, (502, "SH"): Cause.NO_ANSWER,
    (504, "sH"): Cause.TIMEOUT, (504, "sC"): Cause.UNREACHABLE, (503, "sC"): Cause.UNREACHABLE,
    (503, "SC"): Cause.UNREACHABLE,
}  # fmt: skip
_BY_STATUS: Mapping[int, Cause] = {
    400: Cause.BAD_REQUEST, 414: Cause.BAD_REQUEST, 431: Cause.BAD_REQUEST, 403: Cause.DENIED, 408: Cause.SLOW_REQUEST,
    502: Cause.NO_ANSWER, 503: Cause.UNREACHABLE, 504: Cause.TIMEOUT,
}  # fmt: skip


def cause_of(status: int, ending: str = "") -> Cause:
    """Return why HAProxy gave that status itself; without the two letters, the status's usual cause."""
    return _BY_ENDING.get((status, ending[:2])) or _BY_STATUS.get(status, Cause.OTHER)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One request that HAProxy answered itself."""

    at: At  # to the millisecond
    app: Annotated[AppName | None, "null: the host name belongs to no app, or could not be read."]
    release: Annotated[int | None, "null: no release was contacted."]
    status: int
    cause: Cause
    client: Annotated[str, "Address and port."]
    method: Annotated[str, "Empty if no request could be read; then so are host and path."] = ""
    path: Annotated[str, "Without its query."] = ""  # which may hold secrets
    host: Annotated[str, "Only for unknown_host."] = ""
    detail: Annotated[str, "Where HAProxy stopped reading; known for the last one only."] = ""
    gate: Annotated[bool, "Sent by an upgrade, not by a client."] = False

    @property
    def sentence(self) -> str:
        """Return it as text."""
        asked = " ".join(filter(None, (self.method, self.host + self.path))) or "a request that could not be read"
        detail = self.detail or _USUALLY.get(self.cause)
        why = CAUSE_MEANINGS[self.cause] + (f": {detail}" if detail else "")
        return f"{self.status} {self.cause}  {asked}: {why}  (from {'the upgrade itself' if self.gate else self.client})"
