"""When an image's own HEALTHCHECK runs: on the engine's clock, not ours, so a deadline may be too short for it."""

from __future__ import annotations

from deployctl.dataclass import dataclass

STARTS_SOONER = (1, 44)  # the API version that start_interval needs (Docker 25)


@dataclass(frozen=True, slots=True)
class HealthcheckTimes:
    """Seconds; what an image omits is filled in as Docker does."""

    interval: float = 30.0
    timeout: float = 30.0  # of one check
    start_period: float = 0.0
    start_interval: float = 5.0  # between two checks within start_period

    def first_after(self, api: str) -> float:
        """Return how long after the container's start the first check runs, on an engine of that API version."""
        sooner = self.start_period > 0 and tuple(map(int, api.split("."))) >= STARTS_SOONER
        return min(self.start_interval, self.interval) if sooner else self.interval
