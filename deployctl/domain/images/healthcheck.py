"""What an image's own HEALTHCHECK asks, and how often it runs on the engine's clock."""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import parse_path
from deployctl.errors import Invalid
from deployctl.pattern import pattern


@dataclass(frozen=True, slots=True)
class HealthcheckTimes:
    """Seconds; what an image omits is filled in as Docker does."""

    interval: float = 30.0
    timeout: float = 30.0  # of one check
    start_period: float = 0.0
    start_interval: float = 5.0  # between two checks within start_period


_ASKED = pattern(
    r"(?<![\w./@-])(?:http://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\s\"'|;&<>)\\]*)?(?![\w.-])"
)


def asked_path(words: Iterable[str], port: int | None) -> str | None:
    """Return the path that a health check requests on that port over HTTP; None if it does something else."""
    asked = _ASKED.search(" ".join(words))
    if asked is None or int(asked["port"] or 80) != port:
        return None
    try:
        return parse_path(asked["path"] or "/")
    except Invalid:
        return None
