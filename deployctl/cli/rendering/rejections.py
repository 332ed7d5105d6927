"""`deployctl logs --proxy`: HAProxy's own error responses, one per line."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.rendering.forms import json_line
from deployctl.cli.rendering.times import iso
from deployctl.cli.session import CommandCall
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import Rejection
from deployctl.usecases.listings import RejectionList
from deployctl.usecases.views import as_json


def print_refusals(session: CommandCall, app: AppName, found: Sequence[Rejection]) -> None:
    look = session.look(session.out)
    if session.output == "json":
        session.write(json_line(as_json(RejectionList(app, found)), look))
        return
    for one in found:
        session.write(_line(session, one, look))
    if not found and session.output in {"table", "wide"}:
        session.note(f"No recent error responses from HAProxy for {app}: every response came from the app.")


def _line(session: CommandCall, one: Rejection, look: TerminalStyle) -> str:
    if session.output == "jsonl":
        return json_line(as_json(one), look)
    if session.output == "tsv":
        return "\t".join(map(look.say, (one.at, str(one.status), one.cause, one.client, one.sentence))) + "\n"
    return f"{one.at[11:19] if look.relative else iso(one.at)} {look.say(one.sentence)}\n"
