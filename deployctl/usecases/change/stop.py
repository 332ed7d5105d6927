"""Stop a version; its container and its place in the history are kept."""

from __future__ import annotations

from deployctl.domain.change.plan import PlanKind
from deployctl.domain.change.planner import plan_nothing, plan_stop
from deployctl.domain.inputs.names import owner_of
from deployctl.errors import AttentionNeeded, ConfirmationNeeded
from deployctl.usecases.read_facts import observe, require_engine, require_release
from deployctl.usecases.results import Done, Preview
from deployctl.usecases.steps.execute import walk_plan
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.release import Release
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services


def stop(app: AppName, version: Version, s: Services, *, release: int | None = None,
         options: ChangeOptions = ChangeOptions()) -> Done:
    """Take it out of HAProxy, drain it, stop it. Asks first for the active one: afterwards the app has no live
    version."""
    with lease(app, "stop", s, options) as token:
        recover(app, s, token)
        facts = observe(app, s, version, release)
        require_revision(facts, options)
        one = _running(facts, version, release)
        if not _is_up(facts, one.number):
            return Done("Stop", app, f"{app} {version} is not running", changed=False)
        active = one.number == facts.app.active
        if active and not options.confirmed:
            raise ConfirmationNeeded(f"{app} {version} is live: after stopping it {_unserved(facts)}. Stop it?",
                                     revision=facts.app.revision)
        require_engine(facts)
        walk_plan(plan_stop(facts, one), facts, s, token=token, options=options)
        now = f"{app} has no live version: {_unserved(facts)}" if active else f"{facts.version(facts.app.active)} is still live"
        return Done("Stop", app, f"{app} {version} was stopped, its container is kept; {now}",
                    (f"Start it again: deployctl {'upgrade' if facts.app.is_backing else 'start'} {app} {version}",))


def _unserved(facts: AppFacts) -> str:
    """Return what clients of the live version notice when it is stopped."""
    return f"{owner_of(facts.app.name)} cannot reach it" if facts.app.is_backing else "clients get 503"


def _require_agreement(facts: AppFacts, release: Release) -> None:
    """Raises AttentionNeeded if HAProxy routes clients to what the ledger records as a version without traffic."""
    if release.number == facts.serving != facts.app.active:
        app, active = facts.app.name, facts.version(facts.app.active)
        raise AttentionNeeded(f"HAProxy routes {app} to {release.version}, although the ledger says "
                              f"{active or 'no version'}. Nothing was changed: stopping it would take {app} down.",
                              remedy=[f"deployctl upgrade {app} {release.version} to keep it",
                                      f"deployctl rollback {app} {active or ''}".rstrip() + " to leave it"])


def preview_stop(app: AppName, version: Version, s: Services, *, release: int | None = None,
                 options: ChangeOptions = ChangeOptions()) -> Preview:
    """Return the plan that `stop` would carry out now, and change nothing."""
    facts = observe(app, s, version, release)
    require_revision(facts, options)
    one = _running(facts, version, release)
    if not _is_up(facts, one.number):
        return Preview(plan_nothing(facts, PlanKind.STOP, one, f"{app} {version} is not running"))
    return Preview(plan_stop(facts, one))


def _running(facts: AppFacts, version: Version, number: int | None) -> Release:
    """Return a running release of that version, preferring one without traffic; else what it means. With `number`
    exactly that one."""
    up = [n for n in facts.kept if _is_up(facts, n) and facts.version(n) == version]
    named = sorted(up, key=lambda n: (n == facts.app.active, -n))
    release = facts.releases[named[0]] if named and number is None else require_release(facts, version, number)
    _require_agreement(facts, release)
    return release


def _is_up(facts: AppFacts, number: int) -> bool:
    """Return whether it runs, or is restarting: HAProxy still routes to it then."""
    return facts.is_partly_up(number) or facts.is_routed(number)
