"""`deployctl audit`: who did what, newest first."""

from __future__ import annotations

from deployctl.cli.session import CommandCall
from deployctl.domain.inputs.names import parse_app_or_backing
from deployctl.usecases.listings import AuditLog
from deployctl.usecases.views import as_json


def audit_command(session: CommandCall, app: str | None, user: str | None, kind: str | None, limit: int,
                  before: int | None) -> int:
    from deployctl.cli.rendering.access import audit_table, audit_text
    from deployctl.usecases.view.audit import audit

    name = None if app is None else parse_app_or_backing(app)
    with session.services() as s:
        lines = audit(s, app=name, user=user, kind=kind, limit=limit, before=before)
    session.answer(lambda: as_json(AuditLog(lines)), lambda look: audit_text(lines, look),
                   table=lambda look: audit_table(lines, look), many="entries")
    return 0
