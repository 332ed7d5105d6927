"""Which release a rollback goes to, and what that restores: decided here for command line, page, keys and API alike."""

from __future__ import annotations

from deployctl.domain.change.serving import find_meant, find_previous, release_name, why_nothing
from deployctl.errors import EngineUnavailable, NotFound, NothingToGoBackTo, OnHold
from deployctl.usecases.read_facts import no_such_version, require_numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import Version


def brings_back_text(facts: AppFacts, target: Release) -> str:
    """Return in one sentence what `target` would restore."""
    from deployctl.usecases.view.diff import changed_names

    name, active = release_name(target, facts.releases.values()), facts.releases.get(facts.app.active or 0)
    if active is None:
        return f"Env, limits and command of {name} are restored."
    names = changed_names(active.bundle, target.bundle)
    return f"Restores of {name}: {', '.join(names)}." if names else f"{name} runs with the same image and settings."


def choose_target(facts: AppFacts, version: Version | None = None, release: int | None = None) -> Release:
    """Return the release that a rollback goes to: the single answer for command line, page, keys and API.

    By number (`release`) exactly that one; by version what `find_meant` returns; with neither, the one that was live
    and healthy before the active one. Raises NothingToGoBackTo, NotFound or OnHold with the reason.
    """
    if release is not None:
        return _allowed(facts, require_numbered(facts, version, release))
    if version is None:
        return _before_this(facts)
    meant = find_meant(facts, version)
    if meant is None:
        if any(r.version == version for r in facts.releases.values()):
            raise _never_proven(facts, version)
        raise no_such_version(facts.app.name, version, [r.version for r in facts.releases.values()])
    return _allowed(facts, meant)


def _allowed(facts: AppFacts, target: Release) -> Release:
    if not target.proven_at:
        raise _never_proven(facts, target.version)
    if target.hold and target.number != facts.app.active:
        raise on_hold(target)
    return target


def _never_proven(facts: AppFacts, version: Version) -> NotFound:
    return NotFound(f"{facts.app.name} {version} never passed its health check, so it cannot be rolled back to",
                    remedy=[f"deployctl upgrade {facts.app.name} {version}"])


def _before_this(facts: AppFacts) -> Release:
    found = find_previous(facts)
    if found is None:
        raise NothingToGoBackTo(f"{facts.app.name} has nothing to roll back to: {why_nothing(facts)}. Nothing was changed.",
                                remedy=[f"deployctl history {facts.app.name}"])
    return found


def on_hold(release: Release) -> OnHold:
    hold = release.hold
    assert hold is not None  # noqa: S101  callers ask first
    return OnHold(f"{release.app} {release.version} is on hold since {hold.at} by {hold.actor}: {hold.reason}",
                  remedy=[f"deployctl unhold {release.app} {release.version}", "or choose another version"])


def require_reachable(facts: AppFacts, target: Release) -> None:
    """Raises EngineUnavailable if the target must boot and the engine is not responding."""
    if facts.engine_away and not facts.is_warm(target.number):
        raise EngineUnavailable(f"{target.version} is not running and would have to be started. {facts.engine_away}",
                                remedy=["sudo systemctl start docker", "deployctl doctor"])
