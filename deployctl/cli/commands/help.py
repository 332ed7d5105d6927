"""The verbs about deployctl itself. They need neither home nor ledger nor engine."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployctl.cli.group import Tree, verb
from deployctl.cli.options import say_version, tell
from deployctl.cli.session import Session
from deployctl.errors import Invalid


@verb("version")
@click.pass_obj
def version_command(session: Session) -> None:
    say_version(session)


@verb("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]")
@click.pass_context
def help_command(ctx: click.Context, words: Sequence[str]) -> None:
    here = ctx.find_root()
    for word in words:
        if not isinstance(here.command, Tree):
            path = here.command_path
            raise Invalid(f"{path} has no subcommands.", remedy=[f"{path} -h"], code="usage")
        _, command, _ = here.command.resolve_command(here, [word])
        if command is not None:
            here = click.Context(command, info_name=command.name, parent=here, obj=ctx.obj)
    tell(ctx.obj, "Help", "text", here.get_help())


@verb("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    from deployctl.cli.completion import script

    tell(ctx.obj, "Completion", "script", script(ctx.find_root().command, shell))
