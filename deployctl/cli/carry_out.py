"""What a parsed command line means: the home is entered and the verb is carried out. Both parsers end here."""

from __future__ import annotations

from typing import Any

from deployctl.cli.arguments import CliArguments
from deployctl.cli.plain import PlainLine
from deployctl.cli.session import CommandCall
from deployctl.verbs.row import load


def remember(session: CommandCall, name: str, value: Any) -> None:
    """Set a global flag on the session; a time limit starts running."""
    if name == "json_too":
        session.output = "json"
    else:
        setattr(session, name, value)
    if name == "timeout":
        from deployctl.cli.signals import limit

        limit(session, value)


def carry_out(line: PlainLine, session: CommandCall) -> int:
    """Do it and return the exit code. Raises DeployctlError."""
    verb, values = line.verb, line.values
    for name, value in line.shared:
        remember(session, name, value)
    if verb.enters:
        session.enter(goes_on=verb.goes_on)
    if verb.app:
        values = {**values, "words": CliArguments.check(verb, values["given"])}
        del values["given"]
    if verb.does:
        from deployctl.cli.run_change import change

        return change(session, verb, values)
    return int(load(verb.runs)(session, **values) or 0)
