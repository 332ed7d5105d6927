"""The verbs that only read."""

from __future__ import annotations

import time

from deployctl.cli.arguments import CliArguments
from deployctl.cli.session import CommandCall
from deployctl.dataclass import asdict, replace
from deployctl.domain.inputs.names import AppName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services

WATCH_EVERY = 2.0  # seconds


# -- status ----------------------------------------------------------------------------------------------------
def status_command(session: CommandCall, words: CliArguments, watch: bool) -> int:
    session.require_many("--watch", asked=watch)
    with session.services() as s:
        app = words.resolve(s, session)[0] if words.given else None
        if watch:
            return _watch(session, s, app)
        show_status(session, s, app)
    return 0


def show_status(session: CommandCall, s: Services, app: AppName | None, *, clear: bool = False) -> None:
    """Read and print. `clear`: overwrite the screen."""
    from deployctl.cli.rendering.status import apps_table, instances_table, status_text
    from deployctl.usecases import views
    from deployctl.usecases.steps.adopt import take_over_flips
    from deployctl.usecases.view.status import status

    take_over_flips(s)
    view = status(s, app=app)
    if clear:
        session.write("\x1b[H\x1b[2J")
    session.answer(
        lambda: {**views.as_json(view), **({} if view.apps else {"other_homes": [asdict(home) for home in view.others]})},
        lambda look: status_text(view, look, one=app is not None, home=str(s.home)),
        table=lambda look: instances_table(view.apps[0], look) if app else apps_table(view, look), many="apps")


def _watch(session: CommandCall, s: Services, app: AppName | None) -> int:
    """Refresh until interrupted, which is success."""
    live = session.look(session.out).live and not session.machine
    try:
        while not session.gone:
            show_status(session, s, app, clear=live)
            time.sleep(WATCH_EVERY)
    except KeyboardInterrupt:
        return session.stopped_watching()
    return 0


# -- history, show, diff ---------------------------------------------------------------------------------------
def history_command(session: CommandCall, words: CliArguments, limit: int) -> int:
    from deployctl.cli.rendering.release import history_table, history_text
    from deployctl.usecases import views
    from deployctl.usecases.view.history import history

    with session.services() as s:
        view = history(words.resolve(s, session)[0], s, limit=limit)
    session.answer(lambda: views.as_json(view), lambda look: history_text(view, look),
                   table=lambda look: history_table(view, look), many="changes")
    return 0


def show_command(session: CommandCall, words: CliArguments) -> int:
    from deployctl.cli.rendering.release import show_text
    from deployctl.usecases import views
    from deployctl.usecases.view.show import show

    with session.services() as s:
        app, (named, *_) = words.resolve(s, session)
        view = show(app, named.version, s, release=named.release)
    session.answer(lambda: views.as_json(view), lambda look: show_text(view, look))
    return 0


def diff_command(session: CommandCall, words: CliArguments, exit_code: bool, show_secrets: bool) -> int:
    from deployctl.cli.rendering.release import diff_table, diff_text
    from deployctl.usecases import views
    from deployctl.usecases.redaction import redact_lines
    from deployctl.usecases.view.diff import diff

    with session.services() as s:
        app, (before, *more) = words.resolve(s, session)
        after, number = (more[0].version, more[0].release) if more else (None, None)
        view = diff(app, before.version, after, s, before_release=before.release, after_release=number)
    shown = view if show_secrets else replace(view, lines=tuple(redact_lines(view.lines)))
    session.answer(lambda: views.as_json(shown), lambda look: diff_text(shown, look),
                   table=lambda _look: diff_table(shown), many="differences")
    return 10 if exit_code and view.lines else 0
