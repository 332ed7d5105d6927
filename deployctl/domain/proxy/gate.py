"""The last question to a candidate goes the way that visitors come; the answer, and what a failure is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.domain.proxy.rejections import CAUSE_MEANINGS, Cause

if TYPE_CHECKING:
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import Version

ANY = ((100, 999),)  # every status that HTTP has
_ADVICE: Mapping[Cause, str] = {
    Cause.NOT_HTTP: "Only HTTP/1.1 apps are supported, not h2c, gRPC, mail or databases",
    Cause.NO_ANSWER: "Only HTTP/1.1 apps are supported; one that expects h2c or gRPC closes the connection like this",
    Cause.TIMEOUT: "Only HTTP/1.1 apps are supported; one that expects another protocol may never respond",
}


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """One answer of a candidate, asked through HAProxy. `cause` None: visitors would get what the app wrote."""

    said: str  # "GET /healthz gave 200"
    cause: Cause | None = None
    status: int | None = None  # as it reached us; None when nothing did
    detail: str = ""  # what HAProxy stopped at
    ms: float = 0.0

    @property
    def ok(self) -> bool:
        return self.cause is None


def question_of(probe: Probe, app: App) -> Probe:
    """Return the question in HTTP that stands for a visitor's, with his Host. One that is no HTTP becomes `GET /`, to
    which anything will do that the app itself wrote, as late as its health may come."""
    host = probe.host or next(iter(app.hosts), None) or app.name
    if probe.kind is ProbeKind.HTTP:
        return replace(probe, host=host)
    return Probe(host=host, status=ANY, timeout=probe.deadline, fall=probe.fall)


def failed_sentence(version: Version, answer: GateAnswer) -> str:
    """Return why that candidate cannot serve."""
    where, cause = f"{version} is not responding through HAProxy, as clients would reach it", answer.cause or Cause.OTHER
    if cause is Cause.NOT_ACCEPTED:
        return f"{where}, as its probe requires: {answer.said}."
    status = f"{answer.status}, " if answer.status is not None else ""
    stopped = f" ({answer.detail})" if answer.detail else ""
    advice = f". {_ADVICE[cause]}" if cause in _ADVICE else ""
    return f"{where}: {status}{CAUSE_MEANINGS[cause]}{stopped}{advice}."
