"""Give a Compose project its place back: the app's containers go, the project's run as they did."""

from __future__ import annotations

from contextlib import suppress

from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, NotFound
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.results import Done
from deployctl.usecases.steps.options import ChangeOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services
    from deployctl.ports.foreign import TakeOver

CONFIRMED = "take_over_confirmed"  # kind of an event
GIVEN_BACK = "take_over_aborted"


def give_back(record: TakeOver, s: Services) -> list[str]:
    """Remove the app's containers, never a volume, and start what ran before. Returns the names of containers that are gone."""
    app = AppName(record.app)
    with suppress(NotFound):  # it never came so far
        remove_app(app, s, options=ChangeOptions(confirmed=True))
    gone = []
    for one in sorted(record.containers, key=lambda one: not one.volumes):  # stores first
        s.foreign().set_restart(one, one.restart, one.retries)
        if one.running:
            try:
                s.foreign().ensure_started(one)
            except NotFound:
                gone.append(one.name)
    s.imports().drop(app)
    s.ledger.event(GIVEN_BACK, f"the Compose project {record.project} has its place back", at=s.clock.utc(), actor=s.actor,
                   app=app, data={"project": record.project})
    return gone


def abort_take_over(app: AppName, s: Services) -> Done | None:
    """Give the project its place back that the app took over; None if no take-over is open."""
    record = s.imports().find(app)
    if record is None:
        return None
    gone = give_back(record, s)
    lost = (f"{', '.join(gone)} no longer exist: docker compose up -d",) if gone else ()
    return Done("Abort", app, f"the Compose project {record.project} runs again; the containers of {app} were removed, and no "
                "volume was", lost)


def confirm(app: AppName, s: Services) -> Done:
    """End a take-over: the project's containers stay where they are, stopped. Removes nothing."""
    record = s.imports().find(app)
    if record is None:
        raise NotFound(f"{app} has no open take-over", code="no_take_over", remedy=[f"deployctl status {app}"])
    if record.gap_ms is None:
        raise DeployctlError(f"the take-over of {record.project} was interrupted before {app} served",
                             remedy=["deployctl import compose --take-over", f"deployctl abort {app}"])
    s.imports().drop(app)
    s.ledger.event(CONFIRMED, f"the take-over of the Compose project {record.project} was confirmed", at=s.clock.utc(),
                   actor=s.actor, app=app, data={"project": record.project})
    names = ", ".join(one.name for one in record.containers)
    return Done("Confirm", app, f"{app} keeps the place of the Compose project {record.project}",
                (f"Its containers are stopped and were not removed: {names}.", "Their volumes are the app's data now: "
                 "`docker compose down --volumes` would delete them."))
