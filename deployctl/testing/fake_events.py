"""Events of a fake engine: all are kept, and a stream ends where the real one would become silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from deployctl.domain.host.home import HomeIdentity
from deployctl.ports import ContainerFacts, EngineEvent
from deployctl.testing.fake_clock import FakeClock

FAKE_APP_LABEL = "deployctl.app"


class FakeEvents:
    def __init__(self, home: Callable[[], HomeIdentity], clock: FakeClock) -> None:
        self._home, self._clock = home, clock
        self._events: list[EngineEvent] = []

    def tell(self, action: str, container: ContainerFacts) -> None:
        """Record it, if the container is of this home; no two events have the same time."""
        if self._home().owns(container.labels):
            now = int(datetime.fromisoformat(self._clock.utc()).timestamp() * 10**9)
            at = max(now, self._events[-1].at + 1 if self._events else 0)
            self._events.append(EngineEvent(at, action, container.id, container.labels.get(FAKE_APP_LABEL, "")))

    def after(self, since: int | None) -> Iterator[EngineEvent]:
        """Return the events after that; none from the past if `since` is None."""
        return iter([event for event in self._events if since is not None and event.at > since])
