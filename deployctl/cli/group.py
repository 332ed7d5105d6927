"""The command tree. A verb's module is imported only when that verb is called."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from deployctl.cli.catalogue import ALIASES, CATALOGUE, SECTIONS, below
from deployctl.cli.options import global_options, version_option
from deployctl.cli.session import Session
from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid


class Verb(click.Command):
    """One command: its arguments and its help text come from the catalogue."""

    def __init__(self, name: str, **more: Any) -> None:
        super().__init__(name, add_help_option=False, **more)
        self.params += global_options()

    def invoke(self, ctx: click.Context) -> Any:
        entry = _entry_of(ctx)
        if entry.enters:
            ctx.ensure_object(Session).enter(goes_on=entry.goes_on)
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        takes = _entry_of(ctx).takes
        return [takes, "[FLAGS]"] if takes else ["[FLAGS]"]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        entry = _entry_of(ctx)
        self.format_usage(ctx, formatter)
        _paragraph(formatter, entry.line)
        _list(formatter, "Examples", [f"deployctl {example}" for example in entry.examples])
        shared = {param.name for param in global_options()}
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option) and p.name not in shared]
        own = [record for option in options if (record := option.get_help_record(ctx))]
        if own:
            with formatter.section("Flags"):
                formatter.write_dl(own)
        _paragraph(formatter, "Global flags (see deployctl help): " + GLOBAL_FLAGS)
        _list(formatter, "Next", [f"deployctl {word}" for word in entry.see])


LAST_WORDS = """[APP] can be omitted if there is only one. Exit codes: 0 success, 1 failed, 2 usage error, 3 not found,
4 manual intervention needed, 5 rejected, 6 busy, 7 unreachable, 8 permission denied,
9 failed after the switch and was reverted, 10 differences, 130 interrupted."""
GLOBAL_FLAGS = "-o table|wide|json|jsonl|tsv, --json, -q, -v, --no-color, --no-input, -y, --timeout, --home, -h"


def verb(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator that turns a function into the command of that name."""
    return click.command(name.rpartition(" ")[2], cls=Verb)


class Tree(click.Group):
    """A group whose commands are listed in the catalogue. `path` is "" for the root, "app" for `deployctl app`."""

    def __init__(self, path: str = "", **more: Any) -> None:
        super().__init__(path or "deployctl", add_help_option=False, no_args_is_help=False, **more)
        self.path = path
        self.params += [*global_options(), *([] if path else [version_option()])]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return below(self.path)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = CATALOGUE.get(f"{self.path} {cmd_name}".strip())
        if entry is None or cmd_name not in below(self.path):
            return None
        command = getattr(import_module(f"deployctl.cli.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)  # noqa: S101  a test walks the whole catalogue
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        alias = f"{self.path} {name}".strip()
        if " " not in name and alias in ALIASES:
            ctx.ensure_object(Session).note(f"{alias} is an alias of {ALIASES[alias]}: deployctl {ALIASES[alias]}")
            name = ALIASES[alias].rpartition(" ")[2]
        command = self.get_command(ctx, name)
        if command is None:
            raise self.unknown(name)
        return name, command, args[1:]

    def unknown(self, name: str) -> Invalid:
        """Return the error for an unknown command, with the closest match."""
        from difflib import get_close_matches

        close = get_close_matches(name, [*below(self.path), *([] if self.path else ALIASES)], n=1)
        meant = f" Did you mean {ALIASES.get(close[0], close[0])}?" if close else ""
        remedy = [f"deployctl help {self.path}".strip()]
        return Invalid(f"No command {shown(name)}.{meant}", remedy=remedy, code="usage")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Return the commands from the catalogue: completion imports no command."""
        from click.shell_completion import CompletionItem

        names = [name for name in below(self.path) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=CATALOGUE[f"{self.path} {name}".strip()].line) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    # -- help --------------------------------------------------------------------------------------------------
    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["COMMAND", "[FLAGS]"]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        _paragraph(formatter, CATALOGUE[self.path].line if self.path else
                   "Blue/green deployment and instant rollback for plain Docker servers.")
        for section in ("",) if self.path else SECTIONS:
            entries = [CATALOGUE[f"{self.path} {name}".strip()] for name in below(self.path)]
            rows = [(f"{e.name} {e.takes}".strip(), e.line) for e in entries if e.section == section]
            with formatter.section(section or "Commands"):
                formatter.write_dl(rows)
        with formatter.section("Flags, before or after the command"):
            formatter.write_dl([r for p in self.get_params(ctx) if (r := p.get_help_record(ctx))])
        if not self.path:
            _paragraph(formatter, LAST_WORDS)


def _entry_of(ctx: click.Context) -> Any:
    words = ctx.command_path.split()[1:]
    return CATALOGUE[" ".join(words)]


def _paragraph(formatter: click.HelpFormatter, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_text(text)


def _list(formatter: click.HelpFormatter, title: str, lines: list[str]) -> None:
    if lines:
        with formatter.section(title):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
