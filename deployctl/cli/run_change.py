"""What every changing verb goes through: arguments, services, confirmation, use case, result, exit code."""

from __future__ import annotations

from collections.abc import Callable

from deployctl.cli.arguments import CliArguments, number_of
from deployctl.cli.session import CommandCall
from deployctl.errors import ConfirmationNeeded, Invalid
from deployctl.usecases.results import Done, Moved, Preview
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.verbs.row import ParamKind, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from deployctl.cli.rendering.tables import TextTable
    from deployctl.cli.terminal import TerminalStyle
    from deployctl.ports import Services

    T = TypeVar("T")



def change(session: CommandCall, verb: Verb, values: dict[str, Any]) -> int:
    """Run the verb, or show its plan (--dry-run), and return the exit code."""
    words: CliArguments = values["words"]
    dry_run, exit_code = values.get("dry_run", False), values.get("exit_code", False)
    if exit_code and not dry_run:
        raise Invalid("--exit-code requires --dry-run.", remedy=[f"deployctl {verb.name} -h"], code="usage")
    with session.services(make=verb.begins and session.settings.config_dir.is_dir()) as s:
        asked = _asked(verb, words, values, session, s)
        if dry_run:
            preview: Preview = verb.plan()(**verb.planned(asked), options=_options(values, session.yes, None))
            answer(session, preview)
            return 10 if exit_code and (preview.plan.steps or preview.first) else 0
        done = confirmed(session, lambda yes, revision: verb.act()(**asked, options=_options(values, yes, revision)))
    answer(session, done)
    return 0


def _asked(verb: Verb, words: CliArguments, values: dict[str, Any], session: CommandCall, s: Services) -> dict[str, Any]:
    """Return the arguments of the use case: the app, the services, and its own parameters by name."""
    app, named = words.resolve(s, session)
    values = {**values, **{param.name: number_of(param, name.version) if param.kind == ParamKind.NUMBER else name.version
                           for param, name in zip(verb.behind_app, named, strict=False)},
              "release": named[0].release if named else None, "component": words.component}
    return {"app": app, "s": s, **dict(verb.arguments(values))}


def _options(values: dict[str, Any], confirmed: bool, revision: int | None) -> ChangeOptions:
    """Return the options of any change. `revision`: the one at which a question was answered."""
    return ChangeOptions(values["note"] or "", values["if_revision"] if revision is None else revision,
                         values["lock_wait"] or 0.0,
                confirmed=confirmed)


def confirmed(session: CommandCall, act: Callable[[bool, int | None], T]) -> T:
    """Act; if the use case needs confirmation, prompt, and after a yes act again, at that revision only."""
    try:
        return act(session.yes, None)
    except ConfirmationNeeded as question:
        if not session.may_ask:
            raise
        _require_yes(session, question)
        revision = question.revision
    return act(True, revision)


def _require_yes(session: CommandCall, question: ConfirmationNeeded) -> None:
    if question.type_name:
        sure = session.ask(f"{question.question}\nType {question.type_name} to continue:") == question.type_name
    else:
        sure = session.ask(f"{question.question} [y/N]").lower() in {"y", "yes"}
    if not sure:
        refusal = ConfirmationNeeded("Not confirmed. Nothing was changed.", type_name=question.type_name)
        refusal.serving = question.serving
        raise refusal


def answer(session: CommandCall, result: Moved | Done | Preview) -> None:
    """Write it: the JSON needs no texts, and the texts no JSON, so each is imported only when used."""
    session.answer(lambda: _json(result), lambda look: _text(result, look),
                   table=_table(result) if isinstance(result, Preview) else None)


def _json(result: Moved | Done | Preview) -> Any:
    from deployctl.usecases.views import as_json

    return as_json(result)


def _text(result: Moved | Done | Preview, look: TerminalStyle) -> list[str]:
    from deployctl.cli.rendering import change as rendering_change

    if isinstance(result, Moved):
        return rendering_change.moved_text(result, look)
    return rendering_change.done_text(result, look) if isinstance(result, Done) else rendering_change.preview_text(result, look)


def _table(preview: Preview) -> Callable[[TerminalStyle], TextTable]:
    from deployctl.cli.rendering.change import preview_table

    return lambda _look: preview_table(preview)
