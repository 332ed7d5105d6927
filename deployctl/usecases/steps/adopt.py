"""When HAProxy routes to a release other than the ledger's, the ledger follows: this never switches clients.

An emergency switch that left a note is recorded as that person's change, any other as drift. Only if HAProxy routes
nowhere does it follow the ledger. Idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.plan import TRAFFIC_MOVES, StepKind
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.images.release import Change
from deployctl.errors import DeployctlError
from deployctl.usecases.read_facts import look_at_containers, routes
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.images.release import App, Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.proxy.emergency import FlipNote
    from deployctl.ports import Services

LOOK_BACK = 50  # deployments
NOBODY_SAID = Actor("someone", Via.OUTSIDE)


def adopt_drift(app: AppName, s: Services, token: int) -> str | None:
    """Make the ledger agree with HAProxy when no deployment is open; return what was recorded, if anything.

    A release that HAProxy routes to and the ledger does not know is only reported.
    """
    row = s.ledger.find_app(app)
    if row is None or s.ledger.find_open(app) is not None:
        return None
    ended = next((last.phase for last in s.ledger.deployments(app, limit=1)), None)
    if ended is Phase.STUCK:  # incomplete, and not reverted: HAProxy would start from the wrong files
        agree_files(s)
    if ended in {Phase.REVERTED, Phase.STUCK}:
        from deployctl.execution.kinds.hand_over import let_rest_go

        let_rest_go(app, fenced_by(app, token, s))
    # Notes before routes: a switch between the two readings is then recorded without its author for now, and its note is kept
    # for the next time. The other way round the note would be deleted before its switch was seen.
    notes = [note for note in s.traffic.notes() if note.app == app]
    try:
        serving = routes(s).get(app)
    except DeployctlError:  # whatever needs HAProxy reports it
        return None
    # Only after a failed deployment: then nobody wanted that. Otherwise it is drift, which reconcile reports and repairs.
    if serving is None and row.active is not None and ended in {Phase.REVERTED, Phase.STUCK}:
        return _give_back(app, row.active, fenced_by(app, token, s))
    adopted = None if serving is None or serving == row.active else _adopt(row, serving, notes, s, token)
    if notes and (adopted or serving == row.active):
        _write_down(app, notes, s)
    return adopted


def take_over_flips(s: Services) -> None:
    """Record noted emergency switches in the ledger as far as possible now: reading the status must not fail because of
    it."""
    for app in dict.fromkeys(note.app for note in s.traffic.notes()):
        with suppress(DeployctlError), lease(app, "status", s, ChangeOptions()) as token:
            adopt_drift(app, s, token)


def _give_back(app: AppName, active: int, s: Services) -> str | None:
    """Switch the traffic to the active release again: a stop took it away, and the rollback that overtook that stop has
    failed."""
    instance = _main(app, active, s)
    if instance is None or not instance.routed or _has_other_image(instance, s):  # then reconcile has more to repair
        return None
    try:
        s.traffic.switch(app, active)
    except DeployctlError as e:
        s.report.warn(f"HAProxy has no live version for {app}, and could not be updated: {e.message}")
        return None
    sentence = f"HAProxy had no live version for {app}; traffic was switched back to the active release of the ledger"
    s.ledger.event("recovered", sentence, at=s.clock.utc(), actor=s.actor, app=app, data={"to": active})
    s.report.warn(sentence)
    return sentence


def _main(app: AppName, number: int, s: Services) -> Instance | None:
    """Return the instance of that release which clients reach."""
    release = s.ledger.find_release(app, number)
    return s.ledger.find_instance(app, release.main) if release else None


def _has_other_image(instance: Instance, s: Services) -> bool:
    release = s.ledger.find_release(instance.app, instance.release)
    there, _ = look_at_containers({instance.id: instance}, {release.number: release} if release else {}, s)
    return instance.id in there.other_image


def _adopt(row: App, serving: int, notes: Sequence[FlipNote], s: Services, token: int) -> str | None:
    s = fenced_by(row.name, token, s)
    app, release, instance = row.name, s.ledger.find_release(row.name, serving), _main(row.name, serving, s)
    if release is None or instance is None:
        s.report.warn(f"HAProxy routes {app} to release {serving}, of which the ledger has no container. "
                      f"Nothing was changed: deployctl status {app}, deployctl doctor")
        return None
    note = notes[-1] if notes and notes[-1].target == serving else None  # an earlier note was followed by another switch
    if note is None and _is_ours(app, serving, s):
        return None
    for one in release.fronts:  # HAProxy has servers for it, whatever the ledger recorded: a rollback away must find them
        s.ledger.set_instance(app, one, routed=True)
    change = s.ledger.promote(_change(row, serving, note, s), deployment=None, token=token)
    agree_files(s)  # after the ledger: if it fails, the next command finds files that differ and writes them
    return _tell(row, release, change, s)


def agree_files(s: Services) -> None:
    """Bring HAProxy's files in line with its routes. The ledger is right whether or not this succeeds."""
    try:
        s.traffic.sync()
    except DeployctlError as e:
        s.report.warn(f"HAProxy's files were not updated: {e.message}")


def _is_ours(app: AppName, serving: int, s: Services) -> bool:
    """Return whether our own deployments got stuck there and nothing has switched the traffic since: this was reported,
    and the next switch settles it."""
    stuck, meant = False, set[int | None]()
    for last in s.ledger.deployments(app, limit=LOOK_BACK):
        if last.phase is Phase.SUCCEEDED and last.kind in TRAFFIC_MOVES:
            break
        stuck = stuck or last.phase is Phase.STUCK
        meant |= {last.source, last.target}
    return stuck and serving in meant


def _unwritten(app: AppName, serving: int, s: Services) -> Deployment | None:
    """Return our deployment that switched the traffic there, if it was overtaken or died before that was recorded."""
    for last in s.ledger.deployments(app, limit=LOOK_BACK):
        if last.phase is Phase.SUCCEEDED and last.kind in TRAFFIC_MOVES:
            return None
        if last.target == serving and any(step["kind"] == StepKind.SWITCH for step in s.ledger.steps(last.id)):
            return last
    return None


def _change(row: App, serving: int, note: FlipNote | None, s: Services) -> Change:
    ours = _unwritten(row.name, serving, s) if note is None else None
    if ours is not None:
        return Change(0, row.name, "drift", row.active, serving, s.clock.utc(), ours.actor,
                      f"found in HAProxy: a {ours.kind} was superseded before it was recorded")
    if note is None:
        return Change(0, row.name, "drift", row.active, serving, s.clock.utc(), NOBODY_SAID,
                      "found in HAProxy; the time of the switch is unknown")
    return Change(0, row.name, "emergency", row.active, serving, note.at, note.actor, note.note)


def _tell(row: App, release: Release, change: Change, s: Services) -> str:
    former = None if change.source is None else s.ledger.find_release(row.name, change.source)
    sentence = (f"HAProxy routes {row.name} to {release.version}, switched by {change.actor}: "
                f"recorded in the ledger as revision {change.revision}")
    s.ledger.event(change.kind, sentence, at=s.clock.utc(), actor=change.actor, app=row.name,
                   data={"from": change.source, "to": change.target, "revision": change.revision})
    whence = f" ({former.version} was live before)" if former else ""
    s.report.warn(f"{sentence}{whence}. Undo it: deployctl undo {row.name}")
    return sentence


def _write_down(app: AppName, notes: Sequence[FlipNote], s: Services) -> None:
    """Record every emergency switch in the ledger, including those followed by another one, and delete the notes."""
    for note in notes:
        sentence = f"{note.actor} switched {app} to {note.version} in an emergency at {note.at}"
        s.ledger.event("emergency", sentence, at=s.clock.utc(), actor=note.actor, app=app,
                       data={"from": note.source, "to": note.target, "note": note.note})
    s.traffic.forget_notes(notes)
