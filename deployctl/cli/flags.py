"""What several verbs take: the words for app and versions, and the flags that go into a Wish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from deployctl.cli.values import reason, seconds

F = TypeVar("F", bound=Callable[..., Any])


def change_options(*, dry_run: bool = True) -> Callable[[F], F]:
    """Return the flags that go into a Wish, and --dry-run where the verb has a plan to show."""
    options: list[Callable[[F], F]] = []
    if dry_run:
        options += [
            click.option("-n", "--dry-run", is_flag=True, help="Show the plan and change nothing."),
            click.option("--exit-code", is_flag=True, help="With --dry-run: exit 10 when something would change."),
        ]
    return _stacked([
        *options,
        click.option("-m", "--message", "note", type=reason, metavar="TEXT", help="Why; kept in the history."),
        click.option("--if-revision", type=click.IntRange(min=0), metavar="N",
                     help="Refuse when the traffic changed since revision N."),
        click.option("--lock-wait", type=seconds, metavar="SPAN",
                     help="Wait this long while somebody else changes the app."),
    ])


def _stacked(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


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
