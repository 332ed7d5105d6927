"""The global flags, accepted before and after the verb, and the output of `version`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deployctl import __version__
from deployctl.cli.rendering.forms import FORMATS, json_line
from deployctl.cli.session import Session
from deployctl.cli.values import named, seconds

SCHEMA = "deployctl/v1"


def global_options() -> list[click.Option]:
    """Return fresh global flags."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_remember, **more)

    return [
        option("-o", "--output", type=click.Choice(FORMATS), metavar="FORM",
               help="Output format: table, wide, json, jsonl or tsv."),
        option("--json", "json_too", is_flag=True, help="Same as -o json."),
        option("-q", "--quiet", is_flag=True, help="Suppress progress and hints."),
        option("-v", "--verbose", is_flag=True, help="Show more detail."),
        option("--no-color", is_flag=True, help="Disable colour, as does NO_COLOR."),
        option("--no-input", is_flag=True, help="Never prompt."),
        option("-y", "--yes", is_flag=True, help="Answer yes to every question."),
        option("--timeout", type=seconds, metavar="SPAN", help="Time limit for the whole command."),
        option("--home", type=named, metavar="DIR", help="Home: the data directory with config/ and state/."),
        click.Option(("-h", "--help"), is_flag=True, is_eager=True, expose_value=False, callback=_show_help,
                     help="Show help for this command."),
    ]


def wishes_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return defaults for the global flags from the environment: DEPLOYCTL_OUTPUT and so on."""
    names = {f"DEPLOYCTL_{name.upper()}": name for name in ("output", "quiet", "verbose", "no_input", "yes", "timeout")}
    return {flag: environ[name] for name, flag in names.items() if environ.get(name)}


def version_option() -> click.Option:
    return click.Option(("--version",), is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
                        help="Print deployctl's version.")


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
    """Write text, or the same as JSON."""
    look = session.look(session.out)
    if session.machine:
        session.write(json_line({"schema": SCHEMA, "kind": kind, "ok": True, key: value}, look))
    else:
        session.write(look.finish((value if text is None else text).splitlines()))
