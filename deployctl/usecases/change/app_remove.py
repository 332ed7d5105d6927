"""Remove an app from this server: containers, network, guard route, address. Its history stays in the ledger."""

from __future__ import annotations

from deployctl.domain.change.plan import Plan, PlanKind
from deployctl.errors import ConfirmationNeeded
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.usecases.steps.teardown import tear_down

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def remove_app(app: AppName, s: Services, *, options: ChangeOptions = ChangeOptions()) -> Done:
    """Remove everything of the app that carries our label. The app's name must be typed first."""
    row = require_app(app, s)
    with lease(app, "remove", s, options) as token:
        s = fenced_by(app, token, s)
        recover(app, s, token)
        if s.ledger.find_app(app) is None:  # an interrupted removal is finished now
            return _gone(app, "its containers")
        instances = s.ledger.instances(app)
        if not options.confirmed:
            raise ConfirmationNeeded(
                f"This removes {app} with {len(instances)} containers from this server; clients of {row.address} can no longer "
                f"connect. config/{app}.toml and the history are kept.", type_name=app)
        s.engine.containers()  # raises: without the engine nothing is begun
        plan = Plan(app, PlanKind.REMOVE, row.active, None, (), f"{app}: remove it from this server",
                    deed="remove: from this server")
        opened = s.ledger.open_deployment(plan, actor=s.actor, note=options.note, at=s.clock.utc(), token=token)
        tear_down(row, opened, s)
    return _gone(app, f"{len(instances)} containers")


def _gone(app: AppName, containers: str) -> Done:
    return Done("Remove", app, f"{app} was removed from this server: {containers}, its network and its address",
                (f"config/{app}.toml still exists.",))
