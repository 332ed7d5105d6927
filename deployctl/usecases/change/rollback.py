"""Roll back to an earlier release: the same plan as an upgrade, with another target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployctl.dataclass import replace
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_move, plan_nothing, without_retiring
from deployctl.domain.change.serving import find_previous, release_name
from deployctl.errors import ConfirmationNeeded, EngineUnavailable
from deployctl.usecases.change.rollback_target import brings_back_text, choose_target
from deployctl.usecases.read_facts import observe
from deployctl.usecases.results import Moved, Preview
from deployctl.usecases.steps.execute import holds_of, move
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.overtake import Overtaken, look_ahead, overtake
from deployctl.usecases.steps.recover import recover

if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services
    from deployctl.usecases.read_facts import Named


def rollback(app: AppName, s: Services, *, version: Version | None = None, release: int | None = None,
             options: ChangeOptions = ChangeOptions(), abort: bool = False) -> Moved:
    """Switch the traffic to the release that `choose_target` returns, the one that every surface offers.

    With `abort` it does not wait: a deployment in progress is ended as reverted. If that one had already switched the
    traffic, the rollback goes to where it was before. Raises NothingToGoBackTo, NotFound, OnHold, ConfirmationNeeded
    (the target has to boot), NotHealthy; with `abort` LeaseHeld (the target is being stopped).
    """
    started = s.clock.now()
    if abort:  # what cannot succeed must not disturb others
        _decide(look_ahead(app, s, version, release), version, release, options)
    with lease(app, "rollback", s, options, by_force=abort) as token:
        found = (look_ahead(app, s, version, release, token=token) if abort
                 else Overtaken(_settled(app, s, token, version, release)))
        target = _decide(found, version, release, options)
        facts, end_other = overtake(found, s, target.number)
        if _serves(facts, target):
            end_other()
            done = already(facts, target, PlanKind.ROLLBACK, s, started)
            return replace(done, hints=_same_version_before(facts, version, release))
        plan = plan_move(facts, PlanKind.ROLLBACK, target)
        if abort:  # stopping may hang in an engine that hangs: the next change retires it
            plan = without_retiring(plan)
        return move(plan, facts, s, token=token, options=options, started=started, beginning=end_other)


def _decide(found: Overtaken, version: Version | None, release: int | None, options: ChangeOptions) -> Release:
    """Return the release to make live, or raise why there is none."""
    facts = found.facts
    require_revision(facts, options)
    unnamed = version is None and release is None
    target = found.back if found.back and unnamed else choose_target(facts, version, release)
    if not _serves(facts, target):
        found.require_staying(target)
        require_reachable(facts, target)
        if not facts.is_warm(target.number) and not options.confirmed:
            raise ConfirmationNeeded(_cold_question(facts, target), revision=facts.app.revision)
    return target


def _serves(facts: AppFacts, target: Release) -> bool:
    return target.number == facts.app.active == facts.serving and target.number in facts.running


def _same_version_before(facts: AppFacts, version: Version | None, release: int | None) -> tuple[str, ...]:
    """Return how to get the configuration that the version ran with before, if only the version was named."""
    before = find_previous(facts)
    if version is None or release is not None or before is None or before.version != version:
        return ()
    app, name = facts.app.name, release_name(before, facts.releases.values())
    return (f"Its previous configuration is {name}: deployctl rollback {app} {name}",)


def _settled(app: AppName, s: Services, token: int, *named: Named) -> AppFacts:
    recover(app, s, token)
    return observe(app, s, *named)


def preview_rollback(app: AppName, s: Services, *, version: Version | None = None, release: int | None = None,
                     options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `rollback` would carry out now, and change nothing."""
    facts = observe(app, s, version, release)
    require_revision(facts, options)
    target = choose_target(facts, version, release)
    if _serves(facts, target):
        return Preview(plan_nothing(facts, PlanKind.ROLLBACK, target, f"{app} {target.version} is already live"))
    require_reachable(facts, target)
    plan = plan_move(facts, PlanKind.ROLLBACK, target)
    restores = [brings_back_text(facts, target), "Not rolled back: databases, files in volumes."]
    if held := facts.releases.get(holds_of(plan, facts).held or 0):
        restores.insert(0, f"Would put {release_name(held, facts.releases.values())} on hold.")
    return Preview(plan, tuple(restores))


def require_reachable(facts: AppFacts, target: Release) -> None:
    """Raises EngineUnavailable if the target must boot and the engine is not responding."""
    if facts.engine_away and not facts.is_warm(target.number):
        raise EngineUnavailable(f"{target.version} is not running and would have to be started. {facts.engine_away}",
                                remedy=["sudo systemctl start docker", "deployctl doctor"])


def _cold_question(facts: AppFacts, target: Release) -> str:
    name = release_name(target, facts.releases.values())
    what = "is not running" if target.number in facts.present else "was removed and has to be created again from its image"
    if target.number in facts.other_image:
        what = "has a container that someone recreated from a different image, and has to be created again from its own"
    active = facts.releases.get(facts.app.active or 0)
    keeps = f"{release_name(active, facts.releases.values())} stays live until {name} is healthy. " if active else ""
    return f"{name} {what}: it needs to boot, so this is not instant. {keeps}Roll back to {name}?"


def already(facts: AppFacts, target: Release, kind: PlanKind, s: Services, started: float) -> Moved:
    """Return the answer to a request for what is already the case: nothing was done."""
    return Moved(
        kind=kind.capitalize(), app=facts.app.name, source=target.version, target=target.version,
        source_release=target.number, target_release=target.number,
        revision=facts.app.revision, switch_ms=0.0, total_ms=round((s.clock.now() - started) * 1000, 3), confirmed=True,
        failed_requests=0, changed=False, colour=target.colour, image_checked=facts.engine_away is None)
