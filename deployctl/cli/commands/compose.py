"""`deployctl import compose`: an app of a Compose project."""

from __future__ import annotations

from deployctl.cli.session import CommandCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKED = 10


def import_compose_command(session: CommandCall, files: Sequence[str], profiles: Sequence[str], env_files: Sequence[str],
                           project: str | None, app: str | None, check: bool) -> int:
    from deployctl.bootstrap import compose_program
    from deployctl.cli.rendering.imported import imported_text
    from deployctl.ports.compose import ComposeRequest
    from deployctl.usecases import views
    from deployctl.usecases.setup.import_compose import import_compose

    request = ComposeRequest(session.cwd, tuple(files), tuple(profiles), tuple(env_files), project)
    with session.services(make=not check) as s:
        done = import_compose(request, compose_program(session.environ), session.settings, s, app=app, check=check)
    session.answer(lambda: views.as_json(done), lambda look: imported_text(done, look))
    return BLOCKED if check and done.blocks else 0
