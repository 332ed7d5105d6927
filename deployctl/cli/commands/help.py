"""The verbs about deployctl itself. They need neither home nor ledger nor engine."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.session import CommandCall
from deployctl.cli.tell import say_version, tell


def version_command(session: CommandCall) -> None:
    say_version(session)


def help_command(session: CommandCall, words: Sequence[str]) -> None:
    from deployctl.cli.group import help_text

    tell(session, "Help", "text", help_text(words, session))


def completion_command(session: CommandCall, shell: str) -> None:
    from deployctl.cli.completion import script
    from deployctl.cli.group import ROOT

    tell(session, "Completion", "script", script(ROOT, shell))
