"""Which release to go back to, read from the serving history and never from creation times."""

from __future__ import annotations

from deployctl.domain.facts import Facts
from deployctl.domain.release import Release


def find_previous(facts: Facts) -> Release | None:
    """Return the release that served well before the active one; held, failed and newer ones are skipped.

    The history is walked by promotions only: what an upgrade replaced is what came before. A rollback or
    an undo moves along that chain and does not lengthen it, so going back twice never comes forward again.
    """
    seen: set[int] = set() if facts.app.active is None else {facts.app.active}
    number = _stopped_here(facts) if facts.app.active is None else _before(facts, facts.app.active)
    while number is not None and number not in seen:
        release = facts.releases.get(number)
        if release and release.proven_at and not release.hold:
            return release
        seen.add(number)
        number = _before(facts, number)
    return None


def _before(facts: Facts, number: int) -> int | None:
    """Return what served before that release was last promoted by an upgrade."""
    return next((c.source for c in facts.changes
                 if c.target == number and c.kind == "upgrade" and c.source != number), None)


def _stopped_here(facts: Facts) -> int | None:
    return next((c.target for c in facts.changes if c.target is not None), None)


def why_nothing(facts: Facts) -> str:
    """Say in one sentence why find_previous gave nothing."""
    served = {c.target for c in facts.changes if c.target is not None} - {facts.app.active}
    held = [facts.releases[n].version for n in sorted(served) if n in facts.releases and facts.releases[n].hold]
    if not served:
        return "no other version has served here yet"
    if held:
        return f"{', '.join(held)} {'is' if len(held) == 1 else 'are'} on hold and nothing else served before"
    return "nothing served before the version that serves now"
