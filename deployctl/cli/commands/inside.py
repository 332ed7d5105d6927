"""`deployctl run` and `deployctl exec`: what they run has this command's own streams, and its exit code becomes ours."""

from __future__ import annotations

from deployctl.cli.arguments import split_target
from deployctl.cli.session import CommandCall
from deployctl.domain.inputs.names import parse_release_name
from deployctl.errors import Invalid
from deployctl.ports.inside import Streams


def run_command(session: CommandCall, target: str, command: tuple[str, ...]) -> int:
    from deployctl.usecases.change.run_once import run_once

    app, component = split_target(target)
    _require_plain(session)
    with session.services() as s:
        return run_once(app, command, _streams(session), s, component=component)


def exec_command(session: CommandCall, target: str, command: tuple[str, ...], version: str | None) -> int:
    from deployctl.usecases.change.exec_inside import exec_inside

    app, component = split_target(target)
    _require_plain(session)
    named = None if version is None else parse_release_name(version)
    with session.services() as s:
        return exec_inside(app, command, _streams(session), s, component=component,
                           version=named.version if named else None, number=named.release if named else None)


def _require_plain(session: CommandCall) -> None:
    if session.machine:
        raise Invalid("the output is the command's own: it has no other form", code="usage")


def _streams(session: CommandCall) -> Streams:
    """Return this command's streams. With a terminal on both ends the command gets one, too."""
    session.out.flush()
    typed = session.stdin.isatty()
    terminal = typed and session.out.isatty()
    stdin = session.stdin.fileno() if terminal or not typed else None
    return Streams(stdin, session.out.fileno(), session.err.fileno(), terminal)
