"""Which containers stay warm, which stay stopped, and which may go. What can be rolled back to first is kept longest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployctl.domain.facts import Facts
from deployctl.domain.serving import find_previous


@dataclass(frozen=True, slots=True)
class Retirement:
    stop: tuple[int, ...] = ()  # warm ones beyond keep_warm
    prune: tuple[int, ...] = ()  # stopped ones beyond keep_stopped, and older failed ones
    warm: tuple[int, ...] = ()  # that stay


def retire(facts: Facts, *, active: int | None, left: int | None) -> Retirement:
    """Decide what retires once `active` serves and `left` has just stopped serving."""
    policy = facts.app.policy
    spared = {active} | {n for n, i in facts.instances.items() if i.beside and n in facts.running}
    order = sorted(facts.instances, key=lambda n: (n == left, facts.last_served(n), n), reverse=True)
    served = [n for n in order if n in facts.running and n not in spared]
    warm, stop = served[: policy.keep_warm], served[policy.keep_warm :]
    failed = [n for n in order if facts.instances[n].failed]
    cold = [n for n in order if n not in spared and n not in warm and n not in failed]
    targets = {left, _goes_back_to(facts, active)}
    surplus = [n for n in cold[policy.keep_stopped :] if n not in targets]
    return Retirement(tuple(stop), tuple(surplus + failed[1:]), tuple(warm))


def _goes_back_to(facts: Facts, active: int | None) -> int | None:
    """Return the rollback target once `active` serves: it is never pruned, whatever the counts say."""
    found = find_previous(replace(facts, app=replace(facts.app, active=active)))
    return found.number if found else None
