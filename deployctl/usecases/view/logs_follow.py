"""Lines as they are written, of an app and not of a container: containers that start are joined, those that end are
left.

Each container is read by a thread of its own; the engine is polled for which exist. So a switch, a crash and a restart
are followed without a gap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.serving import release_name
from deployctl.domain.images.component import InstanceId
from deployctl.errors import DeployctlError
from deployctl.execution.labels import instance_id
from deployctl.usecases.clock_math import unix
from deployctl.usecases.view.logs import Printed
from deployctl.usecases.view.thread_handover import Handover, Left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import ContainerFacts, LogLine, Services

FOLLOW_POLL_SECONDS = 0.5  # seconds between two polls for running containers
MAX_LINES_AHEAD = 1000  # lines that are read ahead of the consumer
FOLLOW_IDLE_SECONDS = 10.0  # seconds without a running container before following ends: a crashed app is restarted within them

_Key = tuple[str, str]  # container, when it was started


@dataclass
class Following:
    """`named` and `release` restrict it to one version, or to one release."""

    app: AppName
    s: Services
    begun: str  # when the earlier lines were read, or a moment before
    named: Version | None = None
    release: int | None = None
    left: Callable[[], bool] = bool  # the consumer has gone
    _lines: Handover[tuple[_Key, ContainerFacts, LogLine | None]] = field(default_factory=lambda: Handover(MAX_LINES_AHEAD))
    _open: set[_Key] = field(default_factory=set)
    _known: set[_Key] = field(default_factory=set)
    _before: dict[_Key, str] = field(default_factory=dict)  # time of the last line that had been yielded when it was joined
    _last: dict[InstanceId, str] = field(default_factory=dict)  # time of its last line that was yielded
    _names: dict[InstanceId, str] = field(default_factory=dict)

    def after(self, before: Iterable[Printed]) -> Iterator[Printed]:
        """Yield the lines `before`, then those that follow; until nothing has run for a while."""
        for one in before:
            self._last[InstanceId(one.release, one.component)] = one.line.at
            yield one
        try:
            yield from self._those_that_come()
        finally:
            self._lines.leave()

    def _those_that_come(self) -> Iterator[Printed]:
        idle = 0.0
        while idle <= FOLLOW_IDLE_SECONDS and not self.left():
            self._join()
            if not self._open and self._lines.empty:
                self.s.clock.sleep(FOLLOW_POLL_SECONDS)
                idle += FOLLOW_POLL_SECONDS
                continue
            idle = 0.0
            yield from self._come()

    def _come(self) -> Iterator[Printed]:
        """Yield what is available, or arrives within a moment."""
        end = self.s.clock.now() + FOLLOW_POLL_SECONDS
        try:
            while True:
                key, seen, line = self._lines.take(FOLLOW_POLL_SECONDS)
                if line is None:
                    self._open.discard(key)
                    del self._before[key]
                elif line.at > self._before[key]:
                    self._last[_instance(seen)] = line.at
                    yield self._printed(seen, line)
                if self.s.clock.now() >= end or (not self._open and self._lines.empty):
                    return
        except TimeoutError:
            return

    def _printed(self, seen: ContainerFacts, line: LogLine) -> Printed:
        one = _instance(seen)
        return Printed(one.release, seen.labels.get("deployctl.version", ""), self._names[one], line, one.component)

    # -- which containers -----------------------------------------------------------------------------------------------
    def _join(self) -> None:
        """Start reading every container that runs and is not read yet. An engine that is not responding is polled again
        later."""
        try:
            listed = self.s.engine.containers()
            self._known &= {key for key in self._known if any(seen.id == key[0] for seen in listed)}
            for seen in listed:
                if seen.running and self._meant(seen) and not any(seen.id == of for of, _ in self._open):
                    self._read_along(seen)
        except DeployctlError:
            return

    def _meant(self, seen: ContainerFacts) -> bool:
        labels = seen.labels
        return (labels.get("deployctl.app") == self.app and instance_id(labels) is not None
                and self.named in {None, labels.get("deployctl.version")}
                and self.release in {None, _instance(seen).release})

    def _read_along(self, seen: ContainerFacts) -> None:
        whole = self.s.engine.find_container(seen.id)
        key = (seen.id, whole.started_at if whole else "")
        if whole is None or key in self._known:
            return
        self._known.add(key)
        self._open.add(key)
        self._name(_instance(seen))
        self._before[key] = last = self._last.get(_instance(seen), "")
        since = last or (self.begun if whole.started_at < self.begun else None)
        threading.Thread(target=self._read, args=(key, seen, since), daemon=True, name=f"logs {seen.name}").start()

    def _name(self, one: InstanceId) -> None:
        if one not in self._names:
            known = {r.number: r for r in self.s.ledger.releases_within_reach(self.app, [one.release])}
            release = known.get(one.release)
            name = release_name(release, known.values()) if release else f"release {one.release}"
            self._names[one] = f"{name} {one.component}" if release and release.components[1:] else name

    def _read(self, key: _Key, seen: ContainerFacts, since: str | None) -> None:
        """Put its lines into the queue until it ends, in a thread of its own."""
        with suppress(Left):
            with suppress(DeployctlError):  # it will be found again, and read on from the last line
                for line in self.s.engine.logs(seen.id, since=None if since is None else unix(since), follow=True,
                                               left=self._lines.has_left):
                    self._lines.put((key, seen, line))
            self._lines.put((key, seen, None))


def _instance(seen: ContainerFacts) -> InstanceId:
    """Return which instance a container is whose labels were looked at before."""
    return instance_id(seen.labels) or InstanceId(0)
