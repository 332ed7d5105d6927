"""Stop a Compose project's containers and start the app on their volumes. If that fails, the project runs again.

How the containers were is written down before any is touched, so that a killed process leaves something to go on from: the same
command again, or `abort`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.image_source import PullPolicy
from deployctl.errors import DeployctlError, NotFound, Refused
from deployctl.ports.foreign import ForeignContainer, TakeOver
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.take_over.give_back import give_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services
    from deployctl.usecases.results import Moved

TAKEN_OVER = "take_over"  # kind of an event
STOPPED_FIRST = frozenset({"address_taken", "volume_in_use"})  # errors that end when the project's containers do


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The app serves in the project's place. `gap_ms`: from the first container that was stopped to the switch."""

    app: str
    project: str
    stopped: tuple[str, ...]  # names
    gap_ms: float
    moved: Moved
    next: tuple[str, ...]


def take_over(app: AppName, project: str, version: Version, s: Services, *, may_stop: Callable[[ForeignContainer], bool],
              options: ChangeOptions = ChangeOptions()) -> TakenOver:
    """Do it. `may_stop` is asked for each running container, all before the first is stopped.

    Raises NotFound (the project has no containers), Refused (one may not be stopped), and what `upgrade` raises; then the
    project runs as before.
    """
    opened = s.imports().find(app)
    there = s.foreign().of_project(project)
    if opened is None and not there:
        raise NotFound(f"the Compose project {project} has no containers that could be taken over. Nothing was changed.",
                       code="nothing_to_take_over", remedy=[f"deployctl upgrade {app} {version}", "docker compose ls --all"])
    _require_startable(app, version, s)
    for one in there:
        if one.running and not may_stop(one):
            raise Refused(f"{one.name} stays, so nothing was stopped.", code="take_over_refused",
                          remedy=["deployctl import compose --take-over"])
    record = opened or TakeOver(app, project, version, tuple(there), s.clock.utc())
    s.imports().put(record)
    s.ledger.event(TAKEN_OVER, f"{app} takes over the Compose project {project}", at=s.clock.utc(), actor=s.actor, app=app,
                   data={"project": project})
    began = s.clock.now()
    try:
        _stop(record.containers, s)
        moved = upgrade(app, version, s, options=replace(options, confirmed=True), pull=PullPolicy.MISSING)
    except DeployctlError as error:
        give_back(record, s)
        error.message += f" The Compose project {project} runs again."
        raise
    gap = (s.clock.now() - began) * 1000
    s.imports().put(replace(record, gap_ms=gap))
    return TakenOver(app, project, tuple(one.name for one in record.containers if one.running), gap, moved,
                     (f"deployctl confirm {app}", f"deployctl abort {app}   # gives the Compose project its place back"))


def _require_startable(app: AppName, version: Version, s: Services) -> None:
    """Raise what the upgrade would raise, but for what the project's own containers are the reason of."""
    try:
        preview_upgrade(app, version, s, pull=PullPolicy.MISSING)
    except DeployctlError as error:
        if error.code not in STOPPED_FIRST:
            raise


def _stop(containers: Sequence[ForeignContainer], s: Services) -> None:
    """Keep a reboot from starting them, then stop them: what has no volume first, then the stores that it writes to."""
    for one in containers:
        s.foreign().set_restart(one, "no")
    for one in sorted(containers, key=lambda one: bool(one.volumes)):
        if one.running:
            s.foreign().ensure_stopped(one)
