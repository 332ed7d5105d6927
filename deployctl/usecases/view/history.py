"""What was live when, who changed it and why; and the attempts that changed nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.domain.change.deployment import Phase
from deployctl.usecases.change.annotate import notes_of_changes, with_note
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.results import HistoryLine, HistoryView
from deployctl.usecases.view.readiness import find_readiness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

MAX_RELEASES_READ = 20  # releases that are judged, the newest of those that were live


def history(app: AppName, s: Services, *, limit: int = 50) -> HistoryView:
    """Return the last switches of traffic and the last failed attempts, newest first."""
    if not s.ledger.changes(app, limit=1):
        require_app(app, s)  # a removed app keeps its history
    changes = s.ledger.changes(app, limit=limit)
    attempts = tuple(d for d in s.ledger.deployments(app, limit=limit) if d.phase is not Phase.SUCCEEDED)
    moves = [(one.source, one.target) for one in changes] + [(one.source, one.target) for one in attempts]
    versions = dict(s.ledger.names_of(app, {n for move in moves for n in move if n is not None}))
    notes = notes_of_changes(app, s)
    lines = tuple(HistoryLine(with_note(c, notes), _name(c.source, versions), _name(c.target, versions)) for c in changes)
    return HistoryView(app, lines, attempts, versions, _readiness(app, lines, s))


def _readiness(app: AppName, lines: Sequence[HistoryLine], s: Services) -> tuple[Readiness, ...]:
    """Return whether the releases in these lines can be rolled back to; none of a removed app can."""
    if s.ledger.find_app(app) is None:
        return ()
    numbers = {number for line in lines for number in (line.change.source, line.change.target) if number is not None}
    return tuple(find_readiness(app, s, among=sorted(numbers)[-MAX_RELEASES_READ:]))


def _name(number: int | None, versions: Mapping[int, str]) -> str | None:
    """Return the version; a release that was forgotten with its app keeps its number."""
    return None if number is None else versions.get(number, f"release {number}")
