"""What served when, who changed it and why; and the attempts that changed nothing."""

from __future__ import annotations

from deployctl.domain.deployment import Phase
from deployctl.domain.names import AppName
from deployctl.ports import Services
from deployctl.usecases.observe import require_app
from deployctl.usecases.results import HistoryLine, HistoryView


def history(app: AppName, s: Services, *, limit: int = 50) -> HistoryView:
    """Return the last changes of traffic and the last attempts that did not succeed, newest first."""
    if not s.ledger.changes(app, limit=1):
        require_app(app, s)  # one that was removed keeps its history
    versions = {r.number: str(r.version) for r in s.ledger.releases(app)}
    lines = tuple(
        HistoryLine(c, _name(c.source, versions), _name(c.target, versions)) for c in s.ledger.changes(app, limit=limit)
    )
    attempts = tuple(d for d in s.ledger.deployments(app, limit=limit) if d.phase is not Phase.SUCCEEDED)
    return HistoryView(app, lines, attempts, versions)


def _name(number: int | None, versions: dict[int, str]) -> str | None:
    """Return the version; a release that was forgotten with its app keeps its number."""
    return None if number is None else versions.get(number, f"release {number}")
