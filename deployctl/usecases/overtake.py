"""A rollback that may not wait: end what is under way as reverted, at once, and leave its tidying for later."""

from __future__ import annotations

from deployctl.domain.deployment import Phase
from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName
from deployctl.domain.release import Hold, Release
from deployctl.ports import Services
from deployctl.runner import Walk, end_reverted
from deployctl.usecases.observe import observe
from deployctl.usecases.recover import rebuilt


def overtake(app: AppName, s: Services, token: int) -> tuple[Facts, Release | None]:
    """Mark the open deployment reverted, and return the facts and the release that must serve again because the
    traffic had moved already; None when it had not.

    Its holder lives, but its lease is ours: it does nothing more. Nothing of the engine is asked to change, because
    that may be what it hangs in: its candidate stays behind, marked as failed, for `reconcile` and `prune`.
    """
    facts, opened = observe(app, s), s.ledger.find_open(app)
    if opened is None:
        return facts, None
    walk = rebuilt(opened, facts, s, token)
    if walk.promoted:
        end_reverted(walk, Phase.SUCCEEDED, f"{s.actor} rolled back before it had retired all")
        return facts, None
    moved = walk.switched and walk.plan.target is not None and facts.serving == walk.plan.target != walk.plan.source
    _set_aside(walk, facts)
    end_reverted(walk, Phase.REVERTED, f"{s.actor} rolled back while it was under way")
    back = facts.releases.get(walk.plan.source or 0) if moved else None
    return observe(app, s), back


def _set_aside(walk: Walk, facts: Facts) -> None:
    """Let the candidate never be taken for a release that served well; one that ran before stays what it was."""
    s, candidate = walk.services, facts.releases.get(walk.plan.target or 0)
    if candidate is None or any(change.target == candidate.number for change in facts.changes):
        return
    if candidate.number in facts.instances:
        s.ledger.set_instance(candidate.app, candidate.number, failed=True)
    served = {change.target for change in facts.changes}
    if not any(_same_build(release, candidate) for number, release in facts.releases.items() if number in served):
        s.ledger.set_hold(candidate.app, candidate.version, candidate.digest,
                          Hold(s.clock.utc(), s.actor, "its upgrade was overtaken by a rollback"))


def _same_build(one: Release, other: Release) -> bool:
    """A hold meets every release of a build, the one that served well with another bundle included."""
    return (one.version, one.digest) == (other.version, other.digest)
