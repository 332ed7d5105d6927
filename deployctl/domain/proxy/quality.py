"""Does the active release answer its visitors well? Judged by what HAProxy counted, against who served before.

A release that fails no more than the one before it did is not what is wrong, and going back would not help.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass

if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Point, Recent

POINT = 10  # seconds
WINDOW = 300  # seconds: long enough for a share to mean something, short enough that a person sees it getting better
LEAST_SHARE = 0.01  # less than 1 of 100 is what many apps always have
TIMES = 2.0  # as often as before: less is the change of an hour or of a visitor
MAX_ERROR_SHARE_ALONE = 0.05  # when nobody served before, 1 of 20 is too much for anybody
LEAST_REQUESTS = 20  # with fewer, one visitor decides
LEAST_FAILURES = 3  # one or two happen
LEAST_UNANSWERED = 10  # of a minute, and none answered beside them: that is no bad moment


@dataclass(frozen=True, slots=True)
class Quality:
    """Requests to one release, and how many of them ended in a 5xx or without a valid answer."""

    requests: int
    failures: int

    @property
    def share(self) -> float:
        return min(1.0, self.failures / self.requests) if self.requests else 0.0


def quality_of(points: Iterable[Point], release: int) -> Quality:
    own = [point for point in points if point.release == release]
    return Quality(sum(p.requests for p in own), sum(p.answers_5xx + p.failed for p in own))


def answers_nobody(recent: Recent) -> bool:
    """Tell whether visitors get nothing, whatever the probe says: it asks the instance and not the way they come."""
    return recent.answered == 0 and recent.failed >= LEAST_UNANSWERED


def may_be_degraded(active: Quality) -> bool:
    """Tell whether it fails enough for a comparison with who served before."""
    return (active.requests >= LEAST_REQUESTS and active.failures >= LEAST_FAILURES and active.share >= LEAST_SHARE)


def is_degraded(active: Quality, former: Quality | None) -> bool:
    """Tell whether it fails far more than the one before, or far too much when nothing is known of that one."""
    if not may_be_degraded(active):
        return False
    if former is None or former.requests < LEAST_REQUESTS:
        return active.share >= MAX_ERROR_SHARE_ALONE
    return active.share >= TIMES * former.share


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a person should know of a version that fails its visitors; `compared` is how the one before it did."""

    message: str
    compared: str = ""

    @property
    def sentence(self) -> str:
        return "; ".join(filter(None, (self.message, self.compared)))


def trouble_of(active: tuple[str, Quality], former: tuple[str, Quality] | None) -> Trouble:
    """Return it in words. Each is a version and what was counted of it."""
    version, quality = active
    message = f"{version} fails {_percent(quality)} of its requests in the last 5 minutes"
    if former is None or former[1].requests < LEAST_REQUESTS:
        return Trouble(message)
    return Trouble(message, f"{former[0]} failed {_percent(former[1])}")


def _percent(quality: Quality) -> str:
    return "<0.1 %" if 0 < quality.share < 0.0005 else f"{100 * quality.share:.1f} %"
