"""The last probe of a candidate takes the route that clients take; the response, and how a failure is named."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.domain.proxy.rejections import CAUSE_MEANINGS, Cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App

ANY = ((100, 999),)  # every HTTP status
_ADVICE: Mapping[Cause, str] = {
    Cause.NOT_HTTP: "Only HTTP/1.1 apps are supported, not h2c, gRPC, mail or databases",
    Cause.NO_ANSWER: "Only HTTP/1.1 apps are supported; one that expects h2c or gRPC closes the connection like this",
    Cause.TIMEOUT: "Only HTTP/1.1 apps are supported; one that expects another protocol may never respond",
}


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """One response of a candidate, probed through HAProxy. `cause` None: clients would get what the app wrote."""

    message: str  # "GET /healthz gave 200"
    cause: Cause | None = None
    status: int | None = None  # as received; None if nothing was
    detail: str = ""  # where HAProxy stopped parsing
    ms: float = 0.0

    @property
    def ok(self) -> bool:
        return self.cause is None


def question_of(probe: Probe, app: App) -> Probe:
    """Return the HTTP probe that stands for a client's request, with its Host. A probe that is not HTTP becomes `GET
    /`, for which any response from the app itself will do, with the same time limit as its health check."""
    host = probe.host or next(iter(app.hosts), None) or app.name
    if probe.kind is ProbeKind.HTTP:
        return replace(probe, host=host)
    return Probe(host=host, status=ANY, timeout=probe.deadline, fall=probe.fall)


def failed_sentence(version: str, answer: GateAnswer) -> str:
    """Return why that candidate cannot go live."""
    where, cause = f"{version} is not responding through HAProxy, as clients would reach it", answer.cause or Cause.OTHER
    if cause is Cause.NOT_ACCEPTED:
        return f"{where}, as its probe requires: {answer.message}."
    status = f"{answer.status}, " if answer.status is not None else ""
    stopped = f" ({answer.detail})" if answer.detail else ""
    advice = f". {_ADVICE[cause]}" if cause in _ADVICE else ""
    return f"{where}: {status}{CAUSE_MEANINGS[cause]}{stopped}{advice}."
