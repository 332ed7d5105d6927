"""Which release to roll back to, read from the traffic history and never from creation times.

Every change carries the chain of releases that can be rolled back to from there; it ends with the one that was live
last. Only an upgrade extends it. A rollback or an undo moves along it and a stop leaves it alone, so rolling back twice
never moves forward again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deployctl.domain.inputs.names import ReleaseName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Change, Release
    from deployctl.domain.inputs.names import Version

MAX_SERVING_STACK = 100  # more than anyone rolls back; keeps a history row short

Chain = tuple[int, ...]


def chain_after(change: Change, history: Sequence[Change]) -> Chain:
    """Return the chain once `change` is made.

    Of the history it needs the last two changes and the last one to the same release; the latest comes first.
    """
    chain, number = history[0].chain if history else (), change.target
    if number is None or chain[-1:] == (number,):
        return chain
    if change.kind == "upgrade":
        return (*chain, number)[-MAX_SERVING_STACK:]
    if change.kind == "undo" and len(history) > 1 and history[1].chain[-1:] == (number,):
        return history[1].chain
    came = next((c.chain for c in history if c.chain[-1:] == (number,)), (*chain, number))
    return _up_to(chain, number) or came


def find_previous(facts: AppFacts) -> Release | None:
    """Return the release that was live and healthy before the active one; releases on hold and later ones are skipped.
    One that failed when it was last deployed is the last choice."""
    known = (facts.releases.get(number) for number in _behind(facts))
    fit = [release for release in known if release and release.proven_at and not release.hold]
    return next((release for release in fit if not release.failure), next(iter(fit), None))


def find_meant(facts: AppFacts, version: Version) -> Release | None:
    """Return the release that a rollback to `version` means: the live one, if it is of that version; else the one that
    was live last before it; else the newest. One on hold (a configuration that was rolled back from) only if there is
    no other."""
    active = facts.releases.get(facts.app.active or 0)
    if active is not None and active.version == version and active.proven_at:
        return active
    behind = _behind(facts)
    known = [r for r in facts.releases.values() if r.version == version and r.proven_at]
    return min(known, default=None, key=lambda r: (
        r.hold is not None, behind.index(r.number) if r.number in behind else len(behind), -r.number))


def release_name(release: Release, releases: Iterable[Release]) -> str:
    """Return the unambiguous name of that release: its version, with `@number` if several of that version can go
    live."""
    same = (r for r in releases if r.version == release.version and r.number != release.number)
    return str(ReleaseName(release.version, release.number if any(r.proven_at for r in same) else None))


def _behind(facts: AppFacts) -> list[int]:
    """Return what was live before the active release, nearest first; if nothing is active, starting with what was live
    last."""
    chain, active = facts.changes[0].chain if facts.changes else (), facts.app.active
    if active is not None:
        chain = _up_to(chain, active) or chain
    return [number for number in reversed(chain) if number != active]


def _up_to(chain: Chain, number: int) -> Chain:
    """Return the chain up to the last occurrence of that release; empty if it is not in it."""
    places = [at for at, there in enumerate(chain) if there == number]
    return chain[: places[-1] + 1] if places else ()


def why_nothing(facts: AppFacts) -> str:
    """Return in one sentence why find_previous found nothing."""
    served = {c.target for c in facts.changes if c.target is not None} - {facts.app.active}
    held = list(dict.fromkeys(r.version for n in sorted(served) if (r := facts.releases.get(n)) and r.hold))
    if not served:
        return "no other version has been live yet"
    if held:
        return f"{', '.join(held)} {'is' if len(held) == 1 else 'are'} on hold and no other version was live before"
    return "no version was live before this one"
