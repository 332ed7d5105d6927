"""The global flags, accepted before and after the verb, as click knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deployctl.cli.carry_out import remember
from deployctl.cli.click_params import option_of
from deployctl.cli.plain import by_environment
from deployctl.cli.session import CommandCall
from deployctl.cli.tell import say_version, tell
from deployctl.verbs.params import SHARED


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
