"""When an image's own HEALTHCHECK is asked: the engine's clock and not ours, so a deadline may be too short for it."""

from __future__ import annotations

from deployctl.dataclass import dataclass

STARTS_SOONER = (1, 44)  # the API from which on start_interval counts (Docker 25)


@dataclass(frozen=True, slots=True)
class HealthcheckTimes:
    """Seconds; what an image leaves out is as Docker fills it in."""

    interval: float = 30.0
    timeout: float = 30.0  # of one check
    start_period: float = 0.0
    start_interval: float = 5.0  # between two checks within start_period

    def first_after(self, api: str) -> float:
        """Return how long after the start of the container the first check begins, with an engine of that API version."""
        sooner = self.start_period > 0 and tuple(map(int, api.split("."))) >= STARTS_SOONER
        return min(self.start_interval, self.interval) if sooner else self.interval
