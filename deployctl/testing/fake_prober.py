"""Answers probes from a script instead of the network, and records them."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.dataclass import dataclass
from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.release import Probe, ProbeKind
from deployctl.ports import ProbeAnswer

Reply = int | str | ProbeAnswer  # a status that the probe judges, a failure message, or the answer itself


@dataclass(frozen=True, slots=True)
class AskedProbe:
    probe: Probe
    address: str
    port: int
    host: str
    bridge: str | None


class FakeProber:
    """Without a script every instance is healthy."""

    def __init__(self, script: Callable[[AskedProbe], Reply] | None = None) -> None:
        self.script = script or (lambda asked: 200)
        self.asked: list[AskedProbe] = []

    def ask(self, probe: Probe, address: str, port: int, *, host: str, bridge: str | None = None) -> ProbeAnswer:
        asked = AskedProbe(probe, address, port, probe.host or host, bridge)
        self.asked.append(asked)
        if probe.kind not in {ProbeKind.HTTP, ProbeKind.TCP}:
            return ProbeAnswer(False, f"a probe of kind {probe.kind} cannot run outside the container",
                               code=AnswerCode.NOT_ASKED)
        return _answer(self.script(asked), asked)


def _answer(reply: Reply, asked: AskedProbe) -> ProbeAnswer:
    if isinstance(reply, ProbeAnswer):
        return reply
    if isinstance(reply, str):
        return ProbeAnswer(False, reply, code=_CODES.get(reply, AnswerCode.TIMEOUT))
    if asked.probe.kind is ProbeKind.TCP:
        return ProbeAnswer(True, f"port {asked.port} accepts connections")
    ok = any(low <= reply <= high for low, high in asked.probe.status)
    code = None if ok else AnswerCode.WRONG_STATUS
    return ProbeAnswer(ok, f"GET {asked.probe.path} gave {reply}", ms=1.0, status=reply, code=code)


_CODES = {"connection refused": AnswerCode.REFUSED}  # of what a script replies as text
