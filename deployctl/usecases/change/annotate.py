"""Why the traffic was switched, added afterwards: at 3 a.m. one rolls back first and explains later."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import replace
from deployctl.domain.inputs.plain_text import parse_reason
from deployctl.errors import NotFound, StateChanged
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Change
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions

KIND = "remark"
MAX_NOTES_READ = 200  # notes of one app that are searched, newest first


def annotate(app: AppName, s: Services, *, options: ChangeOptions) -> Done:
    """Attach the reason `options.note` to the app's last switch of traffic; the recorded change is not edited.

    Raises Invalid (no reason, or one too long), NotFound (nothing was ever switched), StateChanged.
    """
    require_app(app, s)
    reason = parse_reason(options.note.strip(), field="note")
    last = next(iter(s.ledger.changes(app, limit=1)), None)
    if last is None:
        raise NotFound(f"traffic of {app} was never switched; there is nothing to annotate.",
                       remedy=[f"deployctl history {app}"])
    if options.if_revision not in {None, last.revision}:
        raise StateChanged(f"the last traffic switch of {app} is revision {last.revision}, not {options.if_revision}. "
                           "Nothing was changed.",
                           remedy=[f"deployctl history {app}"])
    s.ledger.event(KIND, f"{app} revision {last.revision}", at=s.clock.utc(), actor=s.actor, app=app,
                   data={"of": last.revision, "note": reason})
    return Done("Annotate", app, f"the note was added to revision {last.revision} of {app}")


def notes_of_changes(app: AppName, s: Services) -> Mapping[int, str]:
    """Return the newest note on each revision that has one."""
    found = s.ledger.events(app, kind=KIND, limit=MAX_NOTES_READ)
    return {int(event["data"]["of"]): str(event["data"]["note"]) for event in reversed(found)}


def with_note(change: Change, notes: Mapping[int, str]) -> Change:
    """Return the change as displayed: with the reason given at the time, and the note added since."""
    later = notes.get(change.revision)
    return replace(change, note="; ".join(filter(None, (change.note, later)))) if later else change
