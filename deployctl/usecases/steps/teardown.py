"""Remove everything of an app from this server. Each act may be repeated, so a later process can finish for a dead
one."""

from __future__ import annotations

from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.domain.proxy.traffic import closed_text
from deployctl.errors import LeaseHeld
from deployctl.execution.kinds.one_off import remove_dead
from deployctl.execution.labels import kept_number
from deployctl.execution.mounts import tidy_files
from deployctl.execution.pins import try_to_unpin
from deployctl.usecases.steps.lease import fenced_by, lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions


def remove(row: App, s: Services, options: ChangeOptions, token: int) -> None:
    """Open the deployment that removes the app, and carry it out. Raises EngineUnavailable with nothing begun."""
    s.engine.containers()  # raises: without the engine nothing is begun
    plan = Plan(row.name, PlanKind.REMOVE, row.active, None, (), f"{row.name}: remove it from this server",
                deed="remove: from this server")
    opened = s.ledger.open_deployment(plan, actor=s.actor, note=options.note, at=s.clock.utc(), token=token)
    tear_down(row, opened, s)


def remove_backing(app: AppName, s: Services, options: ChangeOptions) -> None:
    """Remove the app's backing components, each under its own lease, and first what an earlier removal left of one."""
    from deployctl.usecases.steps.recover import recover

    for one in s.ledger.backing(app):
        with lease(one.name, "remove", s, options) as token:
            recover(one.name, s, token)
            if s.ledger.find_app(one.name) is not None:
                remove(one, fenced_by(one.name, token, s), options, token)


def tear_down(row: App, opened: Deployment, s: Services) -> None:
    """Remove the app's traffic, containers, images, network and guard route; its history stays in the ledger.

    `opened` is the intent. It ends in one transaction with the app's row, so that a half-removed app is never taken for
    one that needs repair.
    """
    app = row.name
    if not row.is_backing:
        s.traffic.switch(app, None)
    for instance in s.ledger.instances(app):
        s.ledger.set_instance(app, instance.id, routed=False)
        try_to_unpin(s, row, instance)
    s.traffic.sync()
    for seen in s.engine.containers():
        if seen.labels.get("deployctl.app") == app:
            s.engine.ensure_removed(seen.id)
    remove_dead(app, s, also_living=True)  # they are in its network, too
    for tag in s.engine.kept_tags():
        if kept_number(s.ledger.identity, app, tag) is not None:
            s.engine.release_image(tag)
    s.secrets().forget(app)  # while the app is known: nobody would come back for these
    s.kept_logs.forget(app)
    if not row.is_backing:  # the locks of backing components are among those of their app
        s.exclusion().forget_locks(app)
    networks = s.ledger.networks(app)
    for network in networks:
        s.engine.ensure_network_gone(network.name)
    with s.ledger.transaction():
        if late := [one.name for one in s.ledger.backing(app)]:
            raise LeaseHeld(f"{', '.join(late)} was started while {app} was being removed, so {app} is not gone yet",
                            remedy=[f"deployctl app remove {app}"])
        if s.bridged:  # inside, so that nobody who has just read the app adds the route again
            for network in networks:
                s.guard.ensure_gone(network.subnet)
        s.ledger.close_deployment(opened.id, Phase.SUCCEEDED, at=s.clock.utc())
        s.ledger.remove_app(app)
        s.ledger.event(PlanKind.REMOVE, f"{app} was removed", at=s.clock.utc(), actor=opened.actor, app=app,
                       data={"note": opened.note})
    s.meter.forget_app(app)
    tidy_files(app, s)
    if closed := s.traffic.sync():
        s.report.warn(closed_text(closed))
