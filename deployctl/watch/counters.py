"""Resource usage of containers, every five seconds while somebody watches: CPU, memory, restarts. An engine that hangs
delays only this, and its last figures are shown for a few seconds more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Instance
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.errors import DeployctlError
from deployctl.memory import size_of
from deployctl.ports import Clock, Services
from deployctl.ports.metrics import ContainerNow, Now, Usage, sum_of
from deployctl.stdlib import datetime

USAGE_INTERVAL = 5.0  # seconds
SOON = 1.5  # seconds to the very second reading: CPU usage needs two, and the engine samples once a second
TRUE = 20.0  # seconds that a reading is shown, and compared with


@dataclass(frozen=True, slots=True)
class Gauge:
    at: float  # on the monotonic clock
    moment: float  # unix seconds
    usage: Usage
    restarts: int
    cpu_percent: float | None  # of one core; None: there is only one reading


class Gauges:
    """One thread reads, others use the results."""

    def __init__(self, watched: Callable[[], bool], looked_at: Callable[[], Collection[AppName] | None]) -> None:
        self._watched, self._looked_at = watched, looked_at
        self._read: dict[tuple[AppName, InstanceId], Gauge] = {}
        self._due = float("-inf")

    @property
    def bytes(self) -> int:
        return size_of(self._read)

    def containers(self, app: AppName, at: float) -> dict[InstanceId, ContainerNow]:
        """Return what the containers of the app used, if it was read shortly before that time (unix seconds)."""
        return {one: ContainerNow(gauge.cpu_percent, gauge.usage.memory, gauge.usage.memory_limit, gauge.restarts)
                for (of, one), gauge in self._read.items() if of == app and at - gauge.moment <= TRUE}

    def completed(self, app: AppName, readings: Mapping[int, Now]) -> dict[int, Now]:
        """Return the readings with what all containers of the release used at that time."""
        used: dict[int, list[ContainerNow]] = {}
        for one, now in self.containers(app, max((now.at for now in readings.values()), default=0.0)).items():
            used.setdefault(one.release, []).append(now)
        return {number: _completed(now, sum_of(used.get(number, []))) for number, now in readings.items()}

    def tick(self, s: Services) -> None:
        """Read each running container when it is due. Every DeployctlError is survived."""
        if not self._watched() or s.clock.now() < self._due:
            return
        try:
            self._read = self._ask(s)
        except DeployctlError:  # the ledger, or an unreachable engine: old figures expire
            self._due = s.clock.now() + USAGE_INTERVAL
            return
        first = any(gauge.cpu_percent is None for gauge in self._read.values())
        self._due = s.clock.now() + (SOON if first else USAGE_INTERVAL)

    def _ask(self, s: Services) -> dict[tuple[AppName, InstanceId], Gauge]:
        apps, found = self._looked_at(), dict[tuple[AppName, InstanceId], Gauge]()
        instances = s.ledger.instances()
        used = {(one.app, one.release) for one in instances if one.routed} | {
            (row.name, row.active) for row in s.ledger.backing() if row.active is not None}
        for one in instances:
            watched = apps is None or one.app in apps or owner_of(one.app) in apps
            if (one.app, one.release) in used and one.container and watched:
                gauge = self._gauge(one, one.container, s)
                found |= {(one.app, one.id): gauge} if gauge else {}
        return found

    def _gauge(self, instance: Instance, container: str, s: Services) -> Gauge | None:
        usage, at = s.engine.usage(container), s.clock.now()
        facts = s.engine.find_container(container) if usage else None
        if usage is None or facts is None:
            return None
        before = self._read.get((instance.app, instance.id))
        return Gauge(at, unix(s.clock), usage, facts.restarts, _percent(before, usage, at))


def _percent(before: Gauge | None, usage: Usage, at: float) -> float | None:
    """Return None if there is no recent earlier reading, or if the container was restarted since."""
    if before is None or not 0 < at - before.at <= TRUE or usage.cpu_seconds < before.usage.cpu_seconds:
        return None
    return round(100 * (usage.cpu_seconds - before.usage.cpu_seconds) / (at - before.at), 1)


def unix(clock: Clock) -> float:
    return datetime.fromisoformat(clock.utc()).timestamp()


def _completed(now: Now, used: ContainerNow | None) -> Now:
    if used is None:
        return now
    return replace(now, cpu_percent=used.cpu_percent, memory=used.memory, memory_limit=used.memory_limit,
                   restarts=used.restarts)
