"""The parameters of the table as click's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deployctl.cli.values import PARSERS, TOGETHER, BadValue, finished
from deployctl.verbs.row import Param, ParamKind, Verb

Complete = Callable[[click.Context, click.Parameter, str], list[Any]]


def params_of(verb: Verb) -> list[click.Parameter]:
    """Return the verb's parameters in addition to the global flags."""
    words: list[click.Parameter] = [_names()] if verb.app else [_argument(param) for param in verb.words]
    return [*words, *(option_of(param) for param in verb.flags)]


def option_of(param: Param, **more: Any) -> click.Option:
    if param.kind == ParamKind.FLAG:
        return click.Option((*param.flags, param.name), is_flag=True, help=param.about, **more)
    return click.Option(
        (*param.flags, param.name), type=_type(param), multiple=param.many, metavar=param.metavar, help=param.about,
        default=param.default, show_default=param.default is not None, shell_complete=_offered(param),
        callback=more.pop("callback", _finish(param)), **more)


def _argument(param: Param) -> click.Argument:
    return click.Argument((param.name,), required=param.required, nargs=-1 if param.many else 1, type=_type(param),
                          metavar=param.word, shell_complete=_offered(param))


def _names() -> click.Argument:
    return click.Argument(("given",), nargs=-1, type=click.UNPROCESSED, metavar="[APP] [VERSION]",
                          shell_complete=_completed_by("complete_names"))


# -- types -------------------------------------------------------------------------------------------------------------
def _type(param: Param) -> Any:
    """Return the click type: one of its own, or a function."""
    if param.kind == ParamKind.COUNT:
        return click.IntRange(param.low, param.high)
    if param.choices:
        return click.Choice(param.choices)
    return _judged_by(PARSERS[param.kind]) if param.kind in PARSERS else None


def _judged_by(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def judge(text: str) -> Any:
        try:
            return parse(text)
        except BadValue as e:
            raise click.BadParameter(str(e)) from None

    return judge


def _finish(param: Param) -> Callable[..., Any] | None:
    """Return the check of all values together, for kinds that have one."""
    if param.kind not in TOGETHER:
        return None

    def finish(ctx: click.Context, of: click.Parameter, value: Any) -> Any:
        try:
            return finished(param, value)
        except BadValue as e:
            raise click.BadParameter(str(e), ctx, of) from None

    return finish


# -- completion --------------------------------------------------------------------------------------------------------
def _offered(param: Param) -> Complete | None:
    if param.kind == ParamKind.FILE:
        return lambda ctx, of, incomplete: list(click.Path().shell_complete(ctx, of, incomplete))
    return _completed_by(param.offers) if param.offers else None


def _completed_by(function: str) -> Complete:
    """Return a callback for a function of completion.py, which is imported only when TAB was pressed."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from deployctl.cli import completion

        return list(getattr(completion, function)(ctx, incomplete))

    return complete
