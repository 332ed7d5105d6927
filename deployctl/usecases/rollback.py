"""Go back to an earlier release: the same plan as an upgrade, with another target."""

from __future__ import annotations

from deployctl.domain.facts import Facts
from deployctl.domain.names import AppName, Version
from deployctl.domain.plan import Kind
from deployctl.domain.planner import plan_move, plan_nothing, without_retiring
from deployctl.domain.release import Release
from deployctl.domain.serving import find_previous, why_nothing
from deployctl.errors import ConfirmationNeeded, EngineUnavailable, NotFound, NothingToGoBackTo, OnHold
from deployctl.ports import Services
from deployctl.usecases.lease import lease
from deployctl.usecases.move import holds_of, move
from deployctl.usecases.observe import no_such_version, observe
from deployctl.usecases.overtake import Overtaken, look_ahead, overtake
from deployctl.usecases.recover import recover
from deployctl.usecases.results import Moved, Preview
from deployctl.usecases.wish import Wish, require_revision


def rollback(app: AppName, s: Services, *, version: Version | None = None, wish: Wish = Wish(),
             abort: bool = False) -> Moved:
    """Send the traffic to the release that served well before, or to the newest proven one of `version`.

    With `abort` it waits for nobody: a deployment that is under way is ended as reverted. When that one had moved
    the traffic already, going back means to where it was. Raises NothingToGoBackTo, NotFound, OnHold,
    ConfirmationNeeded (the target has to boot), NotHealthy; with `abort` LeaseHeld (the target is being stopped).
    """
    started = s.clock.now()
    if abort:  # what cannot be done disturbs nobody
        _decide(look_ahead(app, s), version, wish)
    with lease(app, "rollback", s, wish, by_force=abort) as token:
        found = look_ahead(app, s, token=token) if abort else Overtaken(_settled(app, s, token))
        target = _decide(found, version, wish)
        facts, end_other = overtake(found, s)
        if _serves(facts, target):
            end_other()
            return already(facts, target, Kind.ROLLBACK, s, started)
        plan = plan_move(facts, Kind.ROLLBACK, target)
        if abort:  # what goes may hang in an engine that hangs: the next change retires it
            plan = without_retiring(plan)
        return move(plan, facts, s, token=token, wish=wish, started=started, beginning=end_other)


def _decide(found: Overtaken, version: Version | None, wish: Wish) -> Release:
    """Return the release that is to serve, or raise why not."""
    facts = found.facts
    require_revision(facts, wish)
    target = found.back if found.back and version is None else choose_target(facts, version)
    if not _serves(facts, target):
        found.require_staying(target)
        require_reachable(facts, target)
        if not facts.is_warm(target.number) and not wish.confirmed:
            raise ConfirmationNeeded(_cold_question(facts, target), revision=facts.app.revision)
    return target


def _serves(facts: Facts, target: Release) -> bool:
    return target.number == facts.app.active == facts.serving and target.number in facts.running


def _settled(app: AppName, s: Services, token: int) -> Facts:
    recover(app, s, token)
    return observe(app, s)


def preview_rollback(app: AppName, s: Services, *, version: Version | None = None, wish: Wish = Wish()) -> Preview:
    """Return the plan that `rollback` would walk now, and change nothing."""
    facts = observe(app, s)
    require_revision(facts, wish)
    target = choose_target(facts, version)
    if _serves(facts, target):
        return Preview(plan_nothing(facts, Kind.ROLLBACK, target, f"{target.version} already serves {app}"))
    require_reachable(facts, target)
    plan = plan_move(facts, Kind.ROLLBACK, target)
    restores = [f"Env, limits and command of {target.version} come back as they were.",
                "Not rolled back: databases, files in volumes."]
    if held := facts.version(holds_of(plan, facts).held):
        restores.insert(0, f"Would put {held} on hold.")
    return Preview(plan, tuple(restores))


def choose_target(facts: Facts, version: Version | None) -> Release:
    """Return the release to go back to. Raises NothingToGoBackTo, NotFound or OnHold with the reason."""
    if version is None:
        return _before_this(facts)
    release = facts.newest_proven(version)
    if release is None:
        if any(r.version == version for r in facts.releases.values()):
            raise NotFound(f"{facts.app.name} {version} was never proven healthy: there is nothing to go back to",
                           remedy=[f"deployctl upgrade {facts.app.name} {version}"])
        raise no_such_version(facts.app.name, version, [r.version for r in facts.releases.values()])
    if release.hold and release.number != facts.app.active:
        raise on_hold(release)
    return release


def _before_this(facts: Facts) -> Release:
    found = find_previous(facts)
    if found is None:
        raise NothingToGoBackTo(f"{facts.app.name} has nothing to roll back to: {why_nothing(facts)}. Nothing was done.",
                                remedy=[f"deployctl history {facts.app.name}"])
    return found


def on_hold(release: Release) -> OnHold:
    hold = release.hold
    assert hold is not None  # noqa: S101  callers ask first
    return OnHold(f"{release.app} {release.version} is on hold since {hold.at} by {hold.actor}: {hold.reason}",
                  remedy=[f"deployctl unhold {release.app} {release.version}", "or choose another version"])


def require_reachable(facts: Facts, target: Release) -> None:
    """Raise EngineUnavailable when the target must boot and the engine cannot be asked."""
    if facts.engine_away and not facts.is_warm(target.number):
        raise EngineUnavailable(f"{target.version} is not running and would have to be started. {facts.engine_away}",
                                remedy=["sudo systemctl start docker", "deployctl doctor"])


def _cold_question(facts: Facts, target: Release) -> str:
    what = "is not running" if target.number in facts.present else "was removed and has to be made again from its image"
    if target.number in facts.other_image:
        what = "has a container that somebody made again of another image, and has to be made anew from its own"
    active = facts.version(facts.app.active)
    keeps = f"{active} keeps serving until {target.version} is healthy. " if active else ""
    return f"{target.version} {what}: it must boot first, so this is not instant. {keeps}Go back to {target.version}?"


def already(facts: Facts, target: Release, kind: Kind, s: Services, started: float) -> Moved:
    """Return the answer to a wish that is fulfilled: nothing was done and all is so."""
    return Moved(
        kind=kind.capitalize(), app=facts.app.name, source=target.version, target=target.version,
        revision=facts.app.revision, switch_ms=0.0, total_ms=round((s.clock.now() - started) * 1000, 3), confirmed=True,
        failed_requests=0, changed=False, colour=target.colour, image_checked=facts.engine_away is None)
