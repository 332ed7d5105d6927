"""`deployctl import compose`: an app of a Compose project."""

from __future__ import annotations

from deployctl.cli.session import CommandCall
from deployctl.errors import ConfirmationNeeded, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployctl.ports import Services
    from deployctl.ports.foreign import ForeignContainer
    from deployctl.usecases.setup.import_compose import Imported
    from deployctl.usecases.take_over.begin import TakenOver

BLOCKED = 10


def import_compose_command(session: CommandCall, files: Sequence[str], profiles: Sequence[str], env_files: Sequence[str],
                           project: str | None, app: str | None, check: bool, take: bool) -> int:
    from deployctl.bootstrap import compose_program
    from deployctl.cli.rendering.imported import imported_text, taken_text
    from deployctl.ports.compose import ComposeRequest
    from deployctl.usecases import views
    from deployctl.usecases.setup.import_compose import import_compose

    request = ComposeRequest(session.cwd, tuple(files), tuple(profiles), tuple(env_files), project)
    with session.services(make=not check) as s:
        done = import_compose(request, compose_program(session.environ), session.settings, s, app=app, check=check, taken=take)
        taken = _take_over(session, done, s) if take and not check else None
    session.answer(lambda: {**views.as_json(done), **({"take_over": views.as_json(taken)} if taken else {})},
                   lambda look: [*imported_text(done, look), *(taken_text(taken) if taken else ())])
    return BLOCKED if check and done.blocks else 0


def _take_over(session: CommandCall, done: Imported, s: Services) -> TakenOver:
    """Ask for each container that would be stopped, then do it."""
    from deployctl.domain.inputs.names import AppName, parse_version
    from deployctl.usecases.take_over.begin import take_over

    if done.blocks:
        raise Refused("the project is not taken over: something has to be done first. Its file was written, nothing stopped.",
                      code="import_blocked", remedy=["deployctl import compose --take-over --check"])
    if not (session.yes or session.may_ask):
        raise ConfirmationNeeded(f"This stops the containers of the Compose project {done.project}.")

    def may_stop(one: ForeignContainer) -> bool:
        has = f", with {', '.join(one.volumes)}" if one.volumes else ""
        return session.yes or session.ask(f"Stop {one.name} ({one.image}{has})? [y/N]").lower() in {"y", "yes"}

    return take_over(AppName(done.app), done.project, parse_version(done.version), s, may_stop=may_stop)


def confirm_command(session: CommandCall, app: str) -> int:
    from deployctl.cli.run_change import answer
    from deployctl.domain.inputs.names import parse_app
    from deployctl.usecases.take_over.give_back import confirm

    with session.services() as s:
        done = confirm(parse_app(app), s)
    answer(session, done)
    return 0
