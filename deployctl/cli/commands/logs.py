"""`deployctl logs`: lines as they arrive, each with its release; control characters were escaped where they were read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from deployctl.cli.arguments import Words
from deployctl.cli.flags import names_argument
from deployctl.cli.group import verb
from deployctl.cli.rendering.forms import json_line
from deployctl.cli.rendering.times import iso
from deployctl.cli.session import Session
from deployctl.cli.terminal import Look
from deployctl.cli.values import filled, seconds
from deployctl.domain.inputs.names import AppName
from deployctl.errors import Invalid
from deployctl.usecases import views
from deployctl.usecases.views import printed_json

if TYPE_CHECKING:
    from deployctl.usecases.view.logs import Printed


@verb("logs")
@names_argument
@click.option("-f", "--follow", is_flag=True, help="Follow new lines, across traffic switches, until Ctrl-C.")
@click.option("--since", type=seconds, metavar="SPAN", help="Only lines of the last SPAN, such as 10m.")
@click.option("-n", "--tail", type=click.IntRange(0, 1_000_000), default=100, show_default=True,
              help="Number of lines per release.")
@click.option("--grep", type=filled, metavar="TEXT", help="Only lines that contain this text.")
@click.option("--proxy", is_flag=True, help="Error responses that HAProxy generated itself, with the cause.")
@click.pass_obj
def logs_command(session: Session, /, given: Sequence[str], follow: bool, since: float | None, tail: int,
                 grep: str | None, proxy: bool) -> int:
    from deployctl.usecases.view.logs import logs

    words = Words.check(given, least=0, most=0 if proxy else 1, verb="logs", releases=True)
    if proxy:
        return _proxy_logs(session, words, follow=follow, since=since, tail=tail, grep=grep)
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


def _proxy_logs(session: Session, words: Words, *, follow: bool, since: float | None, tail: int, grep: str | None) -> int:
    from deployctl.cli.rendering.rejections import print_refusals
    from deployctl.usecases.view.rejections import refusals

    if follow:
        raise Invalid("--proxy cannot be combined with -f: it prints what was recorded so far.", code="usage")
    with session.services() as s:
        app, _ = words.resolve(s, session)
        print_refusals(session, app, refusals(app, s, tail=tail, since=since, grep=grep))
    return 0


def _print_lines(session: Session, app: AppName, lines: Iterator[Printed]) -> None:
    """Write each line as it arrives, since followed logs are read live. With -o json all lines form one object."""
    look = session.look(session.out)
    if session.output == "json":
        head = {"schema": views.SCHEMA, "kind": "Logs", "app": app}
        texts = views.json_pieces(head, "lines", map(printed_json, lines), lambda told: json_line(told, look)[:-1])
    else:
        texts = (_written(one, session.output, look) for one in lines)
    for text in texts:
        session.write(text)
        if session.gone:
            return


def _written(one: Printed, output: str, look: Look) -> str:
    line = one.line
    if output == "jsonl":
        return json_line(printed_json(one), look)
    if output == "tsv":
        return "\t".join(map(look.say, (one.name, line.at, line.stream, line.text))) + "\n"
    return f"{look.say(one.name):<8} {_clock(line.at, look)} {look.say(line.text)}\n"


def _clock(at: str, look: Look) -> str:
    return at[11:19] if look.relative and len(at) >= 19 else iso(at)
