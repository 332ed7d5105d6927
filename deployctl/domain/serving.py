"""Which release to go back to, read from the serving history and never from creation times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deployctl.domain.facts import Facts
from deployctl.domain.release import Change, Release


@dataclass(frozen=True, slots=True)
class Stay:
    """One time that a release served, and the stay that an upgrade ended with it."""

    release: int
    before: Stay | None = None


def find_previous(facts: Facts) -> Release | None:
    """Return the release that served well before the active one; held ones and those that came later are skipped.

    Only an upgrade lengthens the chain of stays. A rollback or an undo moves along it, and a stop leaves it alone,
    so going back twice never comes forward again. One that failed when it was last tried is the last choice.
    """
    known = (facts.releases.get(n) for n in _behind(facts) if n != facts.app.active)
    fit = [release for release in known if release and release.proven_at and not release.hold]
    return next((release for release in fit if not release.failure), next(iter(fit), None))


def _behind(facts: Facts) -> Iterator[int]:
    """Yield what served before the active release, the nearest first; when nothing is active, what served last too."""
    here, last = _replayed(facts)
    active = facts.app.active
    if active is not None and (stay := _find(here, active) or last.get(active)):
        here = stay.before
    while here is not None:
        yield here.release
        here = here.before


def _replayed(facts: Facts) -> tuple[Stay | None, dict[int, Stay]]:
    """Return the stay that the history ends with, and the last one of each release."""
    here: Stay | None = None
    left: Stay | None = None  # by the change before: where an undo leads
    last: dict[int, Stay] = {}
    for change in reversed(facts.changes):
        here, left = _moved(here, left, change, last), here
        if here is not None:
            last[here.release] = here
    return here, last


def _moved(here: Stay | None, left: Stay | None, change: Change, last: dict[int, Stay]) -> Stay | None:
    number = change.target
    if number is None or (here and here.release == number):
        return here
    if change.kind == "upgrade":
        return Stay(number, here)
    if change.kind == "undo" and left and left.release == number:
        return left
    return _find(here, number) or last.get(number) or Stay(number, here)


def _find(stay: Stay | None, number: int) -> Stay | None:
    while stay is not None and stay.release != number:
        stay = stay.before
    return stay


def why_nothing(facts: Facts) -> str:
    """Say in one sentence why find_previous gave nothing."""
    served = {c.target for c in facts.changes if c.target is not None} - {facts.app.active}
    held = list(dict.fromkeys(r.version for n in sorted(served) if (r := facts.releases.get(n)) and r.hold))
    if not served:
        return "no other version has served here yet"
    if held:
        return f"{', '.join(held)} {'is' if len(held) == 1 else 'are'} on hold and nothing else served before"
    return "nothing served before the version that serves now"
