"""How often an image's own HEALTHCHECK runs, on the engine's clock."""

from __future__ import annotations

from deployctl.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class HealthcheckTimes:
    """Seconds; what an image omits is filled in as Docker does."""

    interval: float = 30.0
    timeout: float = 30.0  # of one check
    start_period: float = 0.0
    start_interval: float = 5.0  # between two checks within start_period
