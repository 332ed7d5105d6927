"""Flags and arguments of the table as click parameters; the global flags are accepted before and after the verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from deployctl.cli.main import remember
from deployctl.cli.plain import PARSERS, TOGETHER, BadValue, by_environment, finished
from deployctl.cli.session import CommandCall
from deployctl.cli.tell import say_version, tell
from deployctl.verbs.params import SHARED
from deployctl.verbs.row import Param, ParamKind, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


def global_options() -> list[click.Option]:
    """Return fresh global flags."""
    made = [option_of(param, expose_value=False, callback=_remember) for param in SHARED]
    return [*made, click.Option(("-h", "--help"), is_flag=True, is_eager=True, expose_value=False, callback=_show_help,
                                help="Show help for this command.")]


def environment_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """Return defaults for the global flags from the environment: DEPLOYCTL_OUTPUT and so on."""
    return {flag: environ[name] for name, flag in by_environment().items() if environ.get(name)}


def version_option() -> click.Option:
    return click.Option(("--version",), is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
                        help="Print deployctl's version.")


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is None or value is False or param.name is None:
        return
    if param.name != "timeout" or not ctx.resilient_parsing:
        remember(ctx.ensure_object(CommandCall), param.name, value)


def _show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        tell(ctx.ensure_object(CommandCall), "Help", "text", ctx.get_help())
        ctx.exit()


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        say_version(ctx.ensure_object(CommandCall))
        ctx.exit()
