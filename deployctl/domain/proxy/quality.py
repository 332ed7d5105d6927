"""Whether the active release serves its clients well: judged by what HAProxy counted, compared with the release before.

A release that fails no more than the one before it is not the problem, and a rollback would not help.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Point, Recent

POINT = 10  # seconds
WINDOW = 300  # seconds: long enough for a meaningful share, short enough to show an improvement
LEAST_SHARE = 0.01  # less than 1 in 100 is what many apps always have
TIMES = 2.0  # as often as before: less is the variation of an hour or of a client
MAX_ERROR_SHARE_ALONE = 0.05  # when nothing was live before, 1 in 20 is too much for any app
LEAST_REQUESTS = 20  # with fewer, one client decides
LEAST_FAILURES = 3  # one or two happen
LEAST_UNANSWERED = 10  # in a minute, with none answered: that is not a bad moment


@dataclass(frozen=True, slots=True)
class Quality:
    """Requests to one release, and how many of them ended in a 5xx or without a valid response."""

    requests: int
    failures: int

    @property
    def share(self) -> float:
        return min(1.0, self.failures / self.requests) if self.requests else 0.0


def quality_of(points: Iterable[Point], release: int) -> Quality:
    own = [point for point in points if point.release == release]
    return Quality(sum(p.requests for p in own), sum(p.answers_5xx + p.failed for p in own))


def answers_nobody(recent: Recent) -> bool:
    """Return whether clients get nothing, whatever the probe says: it reaches the instance, not by the route that
    clients take."""
    return recent.answered == 0 and recent.failed >= LEAST_UNANSWERED


def may_be_degraded(active: Quality) -> bool:
    """Return whether it fails enough for a comparison with the release before."""
    return (active.requests >= LEAST_REQUESTS and active.failures >= LEAST_FAILURES and active.share >= LEAST_SHARE)


def is_degraded(active: Quality, former: Quality | None) -> bool:
    """Return whether it fails far more than the release before, or far too much if nothing is known of that one."""
    if not may_be_degraded(active):
        return False
    if former is None or former.requests < LEAST_REQUESTS:
        return active.share >= MAX_ERROR_SHARE_ALONE
    return active.share >= TIMES * former.share


@dataclass(frozen=True, slots=True)
class Trouble:
    """What people should know of a version that fails its clients; `compared` is how the release before it did."""

    message: str
    compared: str = ""

    @property
    def sentence(self) -> str:
        return "; ".join(filter(None, (self.message, self.compared)))


def trouble_of(active: tuple[str, Quality], former: tuple[str, Quality] | None) -> Trouble:
    """Return it as text. Each is a version and what was counted of it."""
    version, quality = active
    message = f"{version} fails {_percent(quality)} of its requests in the last 5 minutes"
    if former is None or former[1].requests < LEAST_REQUESTS:
        return Trouble(message)
    return Trouble(message, f"{former[0]} failed {_percent(former[1])}")


def _percent(quality: Quality) -> str:
    return "<0.1 %" if 0 < quality.share < 0.0005 else f"{100 * quality.share:.1f} %"
