"""Which containers stay warm, which stay stopped, and which may go. The next rollback targets are kept longest."""

from __future__ import annotations

from deployctl.dataclass import dataclass, replace
from deployctl.domain.change.serving import find_previous
from deployctl.domain.host.networks import ADDRESSES
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts

MOST_KEPT = ADDRESSES - 3  # addresses for the live release, a candidate, and one that failed


def require_room(*, keep_warm: int, keep_stopped: int, where: str) -> None:
    """Raises Invalid when more versions would be kept than an app's network has addresses for."""
    if keep_warm + keep_stopped > MOST_KEPT:
        raise Invalid(f"{where}: keep_warm = {keep_warm} and keep_stopped = {keep_stopped} keep {keep_warm + keep_stopped} "
                      f"versions beside the live one. An app's network has addresses for {MOST_KEPT} of them.",
                      remedy=[f"Keep {MOST_KEPT} or fewer: keep_stopped = {max(0, MOST_KEPT - keep_warm)}."])

KEEP_SPENT = 1  # the last one, for inspection; of earlier ones only the log is kept


@dataclass(frozen=True, slots=True)
class Retirement:
    stop: tuple[int, ...] = ()  # running ones beyond keep_warm
    prune: tuple[int, ...] = ()  # stopped ones beyond keep_stopped, and earlier failed ones
    warm: tuple[int, ...] = ()  # that stay


def retire(facts: AppFacts, *, active: int | None, left: int | None, keep_failed: int = 1) -> Retirement:
    """Decide what retires once `active` is live and `left` has just been switched away from."""
    policy = facts.app.policy
    beside = {n for n in facts.kept if facts.is_beside(n) and facts.is_partly_up(n)}
    past = {facts.serving} if active == facts.app.active else set()  # live, unknown to the ledger: not ours to stop now
    order = sorted(facts.kept - beside - past - {active},
                   key=lambda n: (n == left, facts.last_served(n), n), reverse=True)
    failed = [n for n in order if facts.is_failed(n)]
    sound = [n for n in order if n not in failed]
    warm = [n for n in sound if facts.is_warm(n) and facts.can_stand_by(n)][: policy.keep_warm]
    cold = [n for n in sound if n not in warm]
    up = {n for n in order if facts.is_partly_up(n) or facts.is_routed(n)}  # one that restarts is neither running nor gone
    spent = [n for n in cold if _is_spent(facts, n)]
    good = [n for n in cold if n not in spent]
    stop = [n for n in order if n in up and n not in warm]
    wanted = {left, _goes_back_to(facts, active)}
    beyond = (*good[policy.keep_stopped :], *spent[min(KEEP_SPENT, policy.keep_stopped) :], *failed[keep_failed:])
    surplus = [n for n in beyond if n not in wanted]
    return Retirement(tuple(stop), tuple(surplus), tuple(warm))


def _is_spent(facts: AppFacts, number: int) -> bool:
    """Return whether nobody can roll back to it: a deployment that was rolled back, or never became healthy. Such a
    release does not take the place of a version that served well."""
    release = facts.releases.get(number)
    return release is None or release.hold is not None or release.proven_at is None


def _goes_back_to(facts: AppFacts, active: int | None) -> int | None:
    """Return the rollback target once `active` is live: it is never pruned, whatever the limits say."""
    found = find_previous(replace(facts, app=replace(facts.app, active=active)))
    return found.number if found else None
