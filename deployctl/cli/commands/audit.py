"""`deployctl audit`: who did what, newest first."""

from __future__ import annotations

import click

from deployctl.cli.flags import maybe_app_argument, person_option
from deployctl.cli.group import verb
from deployctl.cli.session import Session
from deployctl.cli.values import named
from deployctl.domain.inputs.names import parse_app
from deployctl.usecases import views


@verb("audit")
@maybe_app_argument
@person_option
@click.option("--kind", type=named, metavar="KIND",
              help="Only events of this kind: rollback, upgrade, signed_in, token_made, refused …")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Number of lines.")
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Only lines before this one.")
@click.pass_obj
def audit_command(session: Session, app: str | None, user: str | None, kind: str | None, limit: int,
                  before: int | None) -> int:
    from deployctl.cli.rendering.access import audit_table, audit_text
    from deployctl.usecases.view.audit import audit

    name = None if app is None else parse_app(app)
    with session.services() as s:
        lines = audit(s, app=name, user=user, kind=kind, limit=limit, before=before)
    session.answer(lambda: views.audit_json(lines), lambda look: audit_text(lines, look),
                   table=lambda look: audit_table(lines, look), many="entries")
    return 0
