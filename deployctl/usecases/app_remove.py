"""Take an app off this server: containers, network, guard route, address. Its history stays in the ledger."""

from __future__ import annotations

from deployctl.domain.names import AppName
from deployctl.domain.plan import Kind
from deployctl.errors import ConfirmationNeeded
from deployctl.labels import keep_tag
from deployctl.ports import Services
from deployctl.usecases.lease import fenced_by, lease
from deployctl.usecases.observe import require_app
from deployctl.usecases.recover import recover
from deployctl.usecases.results import Done
from deployctl.usecases.wish import Wish


def remove_app(app: AppName, s: Services, *, wish: Wish = Wish()) -> Done:
    """Remove everything of the app that carries our label. The app's name must be typed first."""
    row = require_app(app, s)
    with lease(app, "remove", s, wish) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        instances = s.ledger.instances(app)
        if not wish.confirmed:
            raise ConfirmationNeeded(
                f"This removes {app} with {len(instances)} containers from this server; visitors of {row.address} get no "
                f"answer any more. config/{app}.toml and the history stay.", type_name=app)
        ours = [seen for seen in s.engine.containers() if seen.labels.get("deployctl.app") == app]
        s.traffic.switch(app, None)
        for instance in instances:
            s.ledger.set_instance(app, instance.release, routed=False)
        s.traffic.sync()
        for seen in ours:
            s.engine.ensure_removed(seen.id)
        for release in s.ledger.releases(app):
            s.engine.release_image(keep_tag(s.home, app, release.number))
        s.engine.ensure_network_gone(row.network)
        if s.bridged:
            s.guard.ensure_gone(row.subnet)
        s.ledger.remove_app(app)
        s.traffic.sync()
        s.ledger.event(Kind.REMOVE, f"{app} was removed", at=s.clock.utc(), actor=s.actor, app=app, data={"note": wish.note})
    return Done("Remove", app, f"{app} is gone from this server: {len(instances)} containers, its network and its address",
                (f"config/{app}.toml is still there.",))
