"""The table of verbs as click's commands: for help, completion and usage errors. Plain command lines are read without it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployctl.cli.options import environment_defaults, global_options, params_of, version_option
from deployctl.cli.plain import PlainLine
from deployctl.cli.session import CommandCall
from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid
from deployctl.verbs.find import ALONE
from deployctl.verbs.row import Verb
from deployctl.verbs.table import ALIASES, SECTIONS, VERBS, below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(argv: Sequence[str], session: CommandCall) -> PlainLine | int:
    """Return the line as click parses it, with the global flags set on the session; or the exit code if everything was
    already printed: help, or the version. Raises Invalid, KeyboardInterrupt."""
    try:
        with ROOT.make_context("deployctl", [*argv], obj=session, terminal_width=_width(session),
                               default_map=environment_defaults(session.environ)) as ctx:
            line: PlainLine = ROOT.invoke(ctx)
            return line
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        ctx_of = getattr(error, "ctx", None)
        path = ctx_of.command_path if ctx_of is not None else "deployctl"
        raise Invalid(error.format_message(), remedy=[f"{path} -h"], code="usage") from error


def help_text(words: Sequence[str], session: CommandCall) -> str:
    """Return the help of that command. Raises Invalid if there is none of that name."""
    here = click.Context(ROOT, info_name="deployctl", obj=session, terminal_width=_width(session))
    for word in words:
        if not isinstance(here.command, Tree):
            path = here.command_path
            raise Invalid(f"{path} has no subcommands.", remedy=[f"{path} -h"], code="usage")
        _, command, _ = here.command.resolve_command(here, [word])
        here = click.Context(command, info_name=command.name, parent=here, obj=session)
    return here.get_help()


def _width(session: CommandCall) -> int:
    return min(session.look(session.out).width or 100, 120)


class Command(click.Command):
    """One command: its arguments and its help text come from its row."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(verb.name.rpartition(" ")[2], params=[*params_of(verb), *global_options()], add_help_option=False,
                         callback=lambda **values: PlainLine(verb, values, []))

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


class Tree(click.Group):
    """A group whose commands are listed in the table of verbs. `path` is "" for the root, "app" for `deployctl app`."""

    def __init__(self, path: str = "", **more: Any) -> None:
        super().__init__(path.rpartition(" ")[2] or "deployctl", add_help_option=False, no_args_is_help=False, **more)
        self.path = path
        self.params += [*global_options(), *([] if path else [version_option()])]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return below(self.path)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = f"{self.path} {cmd_name}".strip()
        if cmd_name not in below(self.path):
            return None
        return Tree(name) if VERBS[name].is_group else Command(VERBS[name])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str, click.Command, list[str]]:
        name = args[0]
        alias = f"{self.path} {name}".strip()
        if " " not in name and alias in ALIASES:
            if not ctx.resilient_parsing:  # TAB was pressed: only completions may appear on that line
                ctx.ensure_object(CommandCall).note(f"{alias} is an alias of {ALIASES[alias]}: deployctl {ALIASES[alias]}")
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
        """Return the commands from the table: completion imports no command."""
        from click.shell_completion import CompletionItem

        names = [name for name in below(self.path) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=VERBS[f"{self.path} {name}".strip()].line) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    # -- help --------------------------------------------------------------------------------------------------
    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["COMMAND", "[FLAGS]"]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        _paragraph(formatter, VERBS[self.path].line if self.path else
                   "Blue/green deployment and instant rollback for plain Docker servers.")
        for section in ("",) if self.path else SECTIONS:
            entries = [VERBS[f"{self.path} {name}".strip()] for name in below(self.path)]
            rows = [(f"{e.name} {e.takes}".strip(), e.line) for e in entries if e.section == section]
            with formatter.section(section or "Commands"):
                formatter.write_dl(rows)
        with formatter.section("Flags, before or after the command"):
            formatter.write_dl([r for p in self.get_params(ctx) if (r := p.get_help_record(ctx))])
        if not self.path:
            _paragraph(formatter, LAST_WORDS)


def _entry_of(ctx: click.Context) -> Verb:
    words = ctx.command_path.split()[1:]
    return VERBS[" ".join(words)]


def _paragraph(formatter: click.HelpFormatter, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_text(text)


def _list(formatter: click.HelpFormatter, title: str, lines: list[str]) -> None:
    if lines:
        with formatter.section(title):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


ROOT = Tree(invoke_without_command=True, callback=lambda: PlainLine(ALONE, {}, []))
