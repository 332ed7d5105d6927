"""Restart containers of the live version where they are, one after the other, each healthy before the next one ends."""

from __future__ import annotations

from deployctl.domain.images.component import in_order, instance_name
from deployctl.errors import ConfirmationNeeded, NotFound
from deployctl.execution.health_gate import HealthGate
from deployctl.execution.interrupts import shielded
from deployctl.execution.pins import try_to_settle, try_to_unpin
from deployctl.usecases.read_facts import observe, require_engine, target_of
from deployctl.usecases.results import Done
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions, require_revision
from deployctl.usecases.steps.recover import recover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Instance, Release
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import Services

DRAIN_LOOK = 0.05  # seconds between two readings of the open requests


def restart(app: AppName, s: Services, *, component: ComponentName | None = None,
            options: ChangeOptions = ChangeOptions()) -> Done:
    """Restart the containers of the component, or of all, each with its stop signal and grace.

    One of several replicas gets no requests meanwhile, so none is lost. What has only one container keeps its visitors
    waiting: it asks first. Raises NotHealthy for one that does not come back; the rest is then left as it was.
    """
    app, component = target_of(app, component, s)
    with lease(app, "restart", s, options) as token:
        recover(app, s, token)
        s = fenced_by(app, token, s)
        facts = observe(app, s)
        require_revision(facts, options)
        release = _live(facts)
        ids = _which(release, component)
        require_engine(facts)
        if not options.confirmed and (alone := [one for one in ids if _keeps_waiting(release, one)]):
            raise ConfirmationNeeded(_question(release, alone), revision=facts.app.revision)
        for one in ids:
            _restart(facts, release, one, s)
        names = ", ".join(dict.fromkeys(one.component for one in ids))
        return Done("Restart", app, f"{names} of {app} {release.version} restarted" if release.components[1:] else
                    f"{app} {release.version} restarted", changed=bool(ids))


def _live(facts: AppFacts) -> Release:
    release = facts.releases.get(facts.app.active or 0)
    if release is None:
        raise NotFound(f"{facts.app.name} has no live version", remedy=[f"deployctl status {facts.app.name}"])
    return release


def _which(release: Release, name: ComponentName | None) -> list[InstanceId]:
    """Return the instances, those first that others need. Raises NotFound for a component that there is not."""
    known = [one for one in in_order(release.components) if not one.is_job]
    chosen = [one.name for one in known if name in {None, one.name}]
    if not chosen:
        raise NotFound(f"{release.app} {release.version} has no component {name} that runs, only "
                       f"{', '.join(one.name for one in known)}")
    return [one for part in chosen for one in release.ids_of(part)]


def _keeps_waiting(release: Release, one: InstanceId) -> bool:
    """Return whether clients wait for it: it is what they reach, and nothing stands in for it."""
    return one in release.fronts and len(release.ids_of(one.component)) == 1


def _question(release: Release, alone: list[InstanceId]) -> str:
    names = ", ".join(instance_name(release, one) for one in alone)
    return (f"New requests wait while {names} restarts; those that wait for more than some seconds, or that it does not finish "
            "within its stop_grace, are lost. An upgrade to the same version with a change in its file loses none. Restart it?")


def _restart(facts: AppFacts, release: Release, one: InstanceId, s: Services) -> None:
    instance = s.ledger.find_instance(release.app, one)
    if instance is None:
        raise NotFound(f"{instance_name(release, one)} has no container", remedy=[f"deployctl reconcile {release.app}"])
    apart = instance.routed and not _keeps_waiting(release, one)
    if apart:
        s.ledger.set_instance(release.app, one, routed=False)
        s.traffic.sync()
        _let_finish(facts, release, one, s)
    try:
        _stop_and_start(facts, release, instance, s)
        HealthGate(release, instance, s, lambda: None).until_ready()
    finally:
        if apart:
            s.ledger.set_instance(release.app, one, routed=True)
            s.traffic.sync()


def _stop_and_start(facts: AppFacts, release: Release, instance: Instance, s: Services) -> None:
    container, bundle = instance.container or instance.name, release.component(instance.component).bundle
    with shielded():  # nothing would start it before the next `reconcile`
        s.engine.ensure_stopped(container, grace=bundle.stop_grace, keep_restart=True)
        try_to_unpin(s, facts.app, instance)
        s.engine.ensure_started(container)
    if instance.routed:
        try_to_settle(s, facts.app, instance, container)


def _let_finish(facts: AppFacts, release: Release, one: InstanceId, s: Services) -> None:
    end = s.clock.now() + facts.app.policy.drain
    for part in release.component(one.component).parts(one.replica):
        while s.traffic.in_flight(release.app, release.number, replica=part) and s.clock.now() < end:
            s.clock.sleep(DRAIN_LOOK)
