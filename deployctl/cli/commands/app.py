"""`deployctl app`: list apps, and remove one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from deployctl.cli.arguments import Words, known_apps
from deployctl.cli.flags import change_options, names_argument
from deployctl.cli.group import Tree, verb
from deployctl.cli.rendering.tables import Column, Table, lay_out
from deployctl.cli.run_change import Asked, change
from deployctl.cli.session import Session
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, Invalid
from deployctl.usecases import views
from deployctl.usecases.results import Done

if TYPE_CHECKING:
    from deployctl.ports import Services

app_command = Tree("app")


@verb("app list")
@click.pass_obj
def app_list_command(session: Session) -> int:
    with session.services() as s:
        rows = tuple((app, _address(app, s)) for app in known_apps(s))
    table = Table((Column("APP"), Column("ADDRESS")), rows)
    told = Done("Apps", "", f"{len(rows)} apps", extra={"apps": [{"app": a, "address": where} for a, where in rows]})
    none = [f"No apps yet in {session.place}."]
    session.answer(lambda: views.done_json(told), lambda look: lay_out(table, look) if rows else none,
                   table=lambda _look: table, many="apps")
    return 0


def _address(app: AppName, s: Services) -> str:
    """Return the public address: as deployed, else as its file has it."""
    row = s.ledger.find_app(app)
    if row is not None and row.address:
        return row.address
    try:
        spec = s.app_file(app)
    except DeployctlError as error:
        return f"({error.message.splitlines()[0]})"
    return ", ".join([f"{spec.listen[0]}:{spec.listen[1]}"] if spec.listen else spec.hosts)


@verb("app remove")
@names_argument
@change_options(dry_run=False)
@click.pass_obj
def app_remove_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.app_remove import remove_app

    def act(a: Asked) -> Done:
        return remove_app(a.app, a.services, wish=a.wish)

    if not given:
        raise Invalid("app remove requires the name of the app.", remedy=["deployctl app list"], code="usage")
    return change(session, Words.check(given, least=0, most=0, verb="app remove"), act, **flags)
