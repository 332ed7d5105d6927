"""Flags: the global ones, taken before and after the verb, and those that the changing verbs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from deployctl import __version__
from deployctl.cli.session import FORMATS, Session, json_line

F = TypeVar("F", bound=Callable[..., Any])
SCHEMA = "deployctl/v1"


# -- kinds of values -------------------------------------------------------------------------------------------
def filled(text: str) -> str:
    """Return the text; an empty one is a mistake of a script."""
    if not text.strip():
        raise click.BadParameter("it is empty.")
    return text


def reason(text: str) -> str:
    """Return a note that every file and stream can hold: bytes that were no UTF-8 are written visibly."""
    return filled(text).encode(errors="backslashreplace").decode()


def named(text: str) -> str:
    """Return the text; what looks like a flag has lost its way."""
    if text.startswith("-"):
        raise click.BadParameter(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
    """Return the seconds of a span, written as in config files: 90s or 5m."""
    from deployctl.domain.quantities import parse_duration

    return parse_duration(text, field="the span", low=0.001, high=30 * 86_400.0)


# -- global flags ----------------------------------------------------------------------------------------------
def global_options() -> list[click.Option]:
    """Return fresh global flags."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, **more)

    return [
        option("-o", "--output", type=click.Choice(FORMATS), metavar="FORM",
               help="Form of the answer: table, wide, json, jsonl or tsv."),
        option("--json", "json_too", is_flag=True, help="The same as -o json."),
        option("-q", "--quiet", is_flag=True, help="No progress and no hints."),
        option("-v", "--verbose", is_flag=True, help="Say more about what happens."),
        option("--no-color", is_flag=True, help="No colour; NO_COLOR says the same."),
        option("--no-input", is_flag=True, help="Never ask."),
        option("-y", "--yes", is_flag=True, help="Answer every question with yes."),
        option("--timeout", type=seconds, metavar="SPAN", help="End the whole command after this."),
        option("--home", type=named, metavar="DIR", help="Home with config/ and state/."),
        click.Option(("-h", "--help"), is_flag=True, is_eager=True, expose_value=False, callback=_show_help,
                     help="Explain this command."),
    ]


def wishes_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment wishes, as defaults of the flags before the verb: DEPLOYCTL_OUTPUT and so on."""
    names = {f"DEPLOYCTL_{name.upper()}": name for name in ("output", "quiet", "verbose", "no_input", "yes", "timeout")}
    return {flag: environ[name] for name, flag in names.items() if environ.get(name)}


def version_option() -> click.Option:
    return click.Option(("--version",), is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
                        help="Print the version of deployctl.")


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is None or value is False:
        return
    session = ctx.ensure_object(Session)
    if param.name == "json_too":
        session.output = "json"
    elif param.name is not None:
        setattr(session, param.name, value)
    if param.name == "timeout" and not ctx.resilient_parsing:
        from deployctl.cli.signals import limit

        limit(session, value)


def _show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        tell(ctx.ensure_object(Session), "Help", "text", ctx.get_help())
        ctx.exit()


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        say_version(ctx.ensure_object(Session))
        ctx.exit()


def say_version(session: Session) -> None:
    tell(session, "Version", "version", __version__, text=f"deployctl {__version__}")


def tell(session: Session, kind: str, key: str, value: str, *, text: str | None = None) -> None:
    """Write what deployctl says of itself: text, or the same as JSON."""
    look = session.look(session.out)
    if session.machine:
        session.write(json_line({"schema": SCHEMA, "kind": kind, "ok": True, key: value}, look))
    else:
        session.write(look.finish((value if text is None else text).splitlines()))


# -- flags of the changing verbs -------------------------------------------------------------------------------
def stacked(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def change_options(*, dry_run: bool = True, note: bool = True) -> Callable[[F], F]:
    """Return the flags that go into a Wish, and --dry-run where the verb has a plan to show."""
    options: list[Callable[[F], F]] = []
    if dry_run:
        options += [
            click.option("-n", "--dry-run", is_flag=True, help="Show the plan and change nothing."),
            click.option("--exit-code", is_flag=True, help="With --dry-run: exit 10 when something would change."),
        ]
    if note:
        options.append(click.option("-m", "--message", "note", type=reason, default=None, metavar="TEXT",
                                    help="Why; kept in the history."))
    return stacked([
        *options,
        click.option("--if-revision", type=click.IntRange(min=0), metavar="N",
                     help="Refuse when the traffic changed since revision N."),
        click.option("--lock-wait", type=seconds, default=None, metavar="SPAN",
                     help="Wait this long while somebody else changes the app."),
    ])


# -- what several verbs take -----------------------------------------------------------------------------------
def _env(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Return the variables that were given as NAME=VALUE; the value is never repeated in a message."""
    from deployctl.domain.names import parse_env_name, parse_env_value

    env = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            parse_env_name(name, field="--env")
            raise click.BadParameter(f"{name} has no value; write {name}=VALUE.", ctx, param)
        env[parse_env_name(name, field="--env")] = parse_env_value(value, field=f"--env {name}")
    return env


env_option = click.option("--env", multiple=True, callback=_env, metavar="NAME=VALUE",
                          help="Variable on top of the file's [env]; may be repeated.")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from deployctl.cli.completion import complete_names

    return complete_names(ctx, incomplete)


names_argument = click.argument("given", nargs=-1, type=click.UNPROCESSED, metavar="[APP] [VERSION]",
                                shell_complete=_complete)
