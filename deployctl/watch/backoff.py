"""What failed is retried after a delay that doubles each time, so that a hopeless case costs nothing."""

from __future__ import annotations

from collections.abc import Container, Hashable

from deployctl.dataclass import dataclass, field

FIRST_DELAY = 5.0  # seconds
MAX_DELAY = 300.0


@dataclass(slots=True)
class Backoff:
    """Keys are apps, and None for the home."""

    _until: dict[Hashable, tuple[float, float]] = field(default_factory=dict)  # retry time, and the delay before it

    def waits(self, key: Hashable, now: float) -> bool:
        return key in self._until and now < self._until[key][0]

    def failed(self, key: Hashable, now: float) -> None:
        """Double the delay."""
        pause = min(self._until[key][1] * 2, MAX_DELAY) if key in self._until else FIRST_DELAY
        self._until[key] = (now + pause, pause)

    def keep(self, keys: Container[Hashable]) -> None:
        """Forget all others."""
        self._until = {key: until for key, until in self._until.items() if key in keys}

    def well(self, key: Hashable) -> None:
        self._until.pop(key, None)
