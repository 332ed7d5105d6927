"""Arguments and flags shared by several verbs: app and versions, and the flags that go into a Wish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from deployctl.cli.values import named, reason, seconds
from deployctl.domain.images.image_source import PullPolicy

F = TypeVar("F", bound=Callable[..., Any])


def change_options(*, dry_run: bool = True) -> Callable[[F], F]:
    """Return the flags that go into a Wish, and --dry-run if the verb has a plan to show."""
    options: list[Callable[[F], F]] = []
    if dry_run:
        options += [
            click.option("-n", "--dry-run", is_flag=True, help="Show the plan and change nothing."),
            click.option("--exit-code", is_flag=True, help="With --dry-run: exit with 10 if something would change."),
        ]
    return _stacked([
        *options,
        click.option("-m", "--message", "note", type=reason, metavar="TEXT", help="Reason; kept in the history."),
        click.option("--if-revision", type=click.IntRange(min=0), metavar="N",
                     help="Fail if traffic was switched since revision N."),
        click.option("--lock-wait", type=seconds, metavar="SPAN",
                     help="How long to wait while another process changes the app."),
    ])


def _stacked(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _env(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Parse NAME=VALUE variables; a value never appears in a message."""
    from deployctl.domain.inputs.names import parse_env_name, parse_env_value

    env = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            parse_env_name(name, field="--env")
            raise click.BadParameter(f"{name} has no value; write {name}=VALUE.", ctx, param)
        env[parse_env_name(name, field="--env")] = parse_env_value(value, field=f"--env {name}")
    return env


env_option = click.option("--env", multiple=True, callback=_env, metavar="NAME=VALUE",
                          help="Variable in addition to the file's [env]; can be repeated.")


def _policy(ctx: click.Context, param: click.Parameter, value: str | None) -> PullPolicy | None:
    return None if value is None else PullPolicy(value)


pull_option = click.option("--pull", type=click.Choice([str(one) for one in PullPolicy]), callback=_policy,
                           help="When to ask the registry whether the tag has moved: newer (default: goes on if it is "
                                "unreachable), always, missing (only if the image is not here) or never.")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from deployctl.cli.completion import complete_names

    return complete_names(ctx, incomplete)


names_argument = click.argument("given", nargs=-1, type=click.UNPROCESSED, metavar="[APP] [VERSION]",
                                shell_complete=_complete)


# -- people, tokens, and the apps that they may touch ---------------------------------------------------------------
def _completed_by(function: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """Return the completion callback for a function of completion.py, which is imported only when TAB was pressed."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from deployctl.cli import completion

        return list(getattr(completion, function)(ctx, incomplete))

    return complete


def person_argument(*, known: bool) -> Callable[[F], F]:
    """Return the argument for a user's name; `known`: an existing user, offered by completion."""
    return click.argument("name", type=named, metavar="NAME",
                          shell_complete=_completed_by("complete_people") if known else None)


def token_argument(*, known: bool) -> Callable[[F], F]:
    return click.argument("name", type=named, metavar="NAME",
                          shell_complete=_completed_by("complete_tokens") if known else None)


def app_option(text: str, *, multiple: bool = False) -> Callable[[F], F]:
    return click.option("--app", "apps" if multiple else "app", type=named, multiple=multiple, metavar="APP", help=text,
                        shell_complete=_completed_by("complete_apps"))


maybe_app_argument = click.argument("app", required=False, type=named, metavar="[APP]",
                                    shell_complete=_completed_by("complete_apps"))
hand_over_option = click.option("--hand-over", "heir", type=named, metavar="NAME",
                                help="Admin who takes over the user's tokens. Default: prompt on a terminal, else revoke them.",
                                shell_complete=_completed_by("complete_people"))
person_option = click.option("--user", type=named, metavar="NAME", help="Only what this user or token did.",
                             shell_complete=_completed_by("complete_people"))
