"""`deployctl logs`: lines as they arrive, each with its release; control characters were escaped where they were read."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.cli.arguments import CliArguments
from deployctl.cli.rendering.forms import json_line
from deployctl.cli.rendering.times import iso
from deployctl.cli.session import CommandCall
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.inputs.names import AppName
from deployctl.errors import Invalid
from deployctl.usecases.listings import LogLines
from deployctl.usecases.views import as_json, json_pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.usecases.view.logs import Printed


def logs_command(session: CommandCall, words: CliArguments, follow: bool, since: float | None, tail: int,
                 grep: str | None, proxy: bool) -> int:
    from deployctl.usecases.view.logs import logs

    if proxy:
        return _proxy_logs(session, words.of_app_only(), follow=follow, since=since, tail=tail, grep=grep)
    session.require_many("--follow", asked=follow)
    try:
        with session.services() as s:
            app, names = words.resolve(s, session)
            version, release = (names[0].version, names[0].release) if names else (None, None)
            lines = logs(app, version, s, release=release, tail=tail, since=since, follow=follow, grep=grep,
                         left=session.is_left)
            _print_lines(session, app, lines)
    except KeyboardInterrupt:
        if not follow:
            raise
        return session.stopped_watching()
    return 0


def _proxy_logs(session: CommandCall, words: CliArguments, *, follow: bool, since: float | None, tail: int,
                grep: str | None) -> int:
    from deployctl.cli.rendering.rejections import print_refusals
    from deployctl.usecases.view.rejections import refusals

    if follow:
        raise Invalid("--proxy cannot be combined with -f: it prints what was recorded so far.", code="usage")
    with session.services() as s:
        app, _ = words.resolve(s, session)
        print_refusals(session, app, refusals(app, s, tail=tail, since=since, grep=grep))
    return 0


def _print_lines(session: CommandCall, app: AppName, lines: Iterator[Printed]) -> None:
    """Write each line as it arrives, since followed logs are read live. With -o json all lines form one object."""
    look = session.look(session.out)
    if session.output == "json":
        texts = json_pieces(as_json(LogLines(app, ())), "lines", map(as_json, lines), lambda entry: json_line(entry, look)[:-1])
    else:
        texts = (_written(one, session.output, look) for one in lines)
    for text in texts:
        session.write(text)
        if session.gone:
            return


def _written(one: Printed, output: str, look: TerminalStyle) -> str:
    line = one.line
    if output == "jsonl":
        return json_line(as_json(one), look)
    if output == "tsv":
        return "\t".join(map(look.say, (one.name, line.at, line.stream, line.text))) + "\n"
    return f"{look.say(one.name):<8} {_clock(line.at, look)} {look.say(line.text)}\n"


def _clock(at: str, look: TerminalStyle) -> str:
    return at[11:19] if look.relative and len(at) >= 19 else iso(at)
