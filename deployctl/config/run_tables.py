"""The tables of a component that say how it is checked, what it may use, and what is kept of its output."""

from __future__ import annotations

from typing import Annotated

from deployctl.config.app_rules import parse_body, parse_statuses
from deployctl.config.fields import ConfigTable, by, one_of
from deployctl.domain.images.release import LogCap, Probe, ProbeKind, Resources
from deployctl.domain.inputs.names import parse_host, parse_path, parse_words
from deployctl.domain.inputs.quantities import DAY_SECONDS, parse_amount, parse_count, parse_duration, parse_size

HOUR = DAY_SECONDS / 24
UPTIME = 5.0  # seconds that a process must have run where nothing can be asked
PROBE, LIMITS, LOG = Probe(), Resources(), LogCap()  # where every default is defined

ConfigWords = Annotated[tuple[str, ...] | None, by(parse_words)]
HostName = Annotated[str, by(parse_host)]


class HealthSpec(ConfigTable):
    """How the candidate's health is checked, and how the active release is watched."""

    kind: Annotated[str, one_of(*ProbeKind)] = PROBE.kind
    path: Annotated[str, by(parse_path)] = PROBE.path
    host: HostName | None = PROBE.host
    status: Annotated[tuple[tuple[int, int], ...], by(parse_statuses)] = PROBE.status
    body: Annotated[str | None, by(parse_body)] = PROBE.body
    command: ConfigWords = PROBE.command
    interval: Annotated[float, by(parse_duration, low=0.1, high=HOUR)] = PROBE.interval
    timeout: Annotated[float, by(parse_duration, low=0.1, high=HOUR)] = PROBE.timeout
    rise: Annotated[int, by(parse_count, low=1, high=100)] = PROBE.rise
    fall: Annotated[int, by(parse_count, low=1, high=100)] = PROBE.fall
    start_grace: Annotated[float, by(parse_duration, high=HOUR)] = PROBE.start_grace
    deadline: Annotated[float, by(parse_duration, low=0.1)] = PROBE.deadline
    uptime: Annotated[float, by(parse_duration, high=HOUR)] = UPTIME

    def probe(self) -> Probe:
        uptime = self.uptime if self.kind == ProbeKind.PROCESS else 0.0  # the others have none
        return Probe(**{**dict(self), "kind": ProbeKind(self.kind), "uptime": uptime})


class ResourceSpec(ConfigTable):
    memory: Annotated[int, by(parse_size, low=6 * 2**20)] = LIMITS.memory  # 6m is Docker's minimum
    cpus: Annotated[float, by(parse_amount, low=0.01, high=1024)] = LIMITS.cpus  # 0.01 is Docker's minimum
    pids: Annotated[int, by(parse_count, low=1, high=4_194_304)] = LIMITS.pids  # Linux's maximum


class LogSpec(ConfigTable):
    max_size: Annotated[int, by(parse_size, low=4 * 2**10, high=2**40)] = LOG.max_size
    max_file: Annotated[int, by(parse_count, low=1, high=1000)] = LOG.max_file
