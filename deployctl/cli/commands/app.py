"""`deployctl app list`."""

from __future__ import annotations

from deployctl.cli.arguments import known_apps
from deployctl.cli.rendering.tables import Column, TextTable, lay_out
from deployctl.cli.session import CommandCall
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError
from deployctl.usecases import views
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services


def app_list_command(session: CommandCall) -> int:
    with session.services() as s:
        rows = tuple((app, _address(app, s)) for app in known_apps(s))
    table = TextTable((Column("APP"), Column("ADDRESS")), rows)
    listed = Done("Apps", "", f"{len(rows)} apps", extra={"apps": [{"app": a, "address": where} for a, where in rows]})
    none = [f"No apps yet in {session.place}."]
    session.answer(lambda: views.as_json(listed), lambda look: lay_out(table, look) if rows else none,
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
