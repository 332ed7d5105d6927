"""Who did what: the audit log as a page, as a table for a spreadsheet, and as lines for a program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

from flask import Blueprint, Response, g, render_template, request

from deployctl.dataclass import asdict, fields
from deployctl.domain.host.access import Principal, Role
from deployctl.domain.inputs.names import AppName, parse_app_or_backing
from deployctl.domain.inputs.plain_text import visible
from deployctl.errors import Invalid, NotFound
from deployctl.ports import Services
from deployctl.usecases.listings import AuditLine
from deployctl.usecases.view.audit import MAX_AUDIT_LINES, audit
from deployctl_web.http.downloads import send
from deployctl_web.security.authorization import SIGNED_IN, needs
from deployctl_web.state import web_state

pages = Blueprint("activity", __name__)
ROWS = 100
SAVED = 20_000  # lines of a file
FILTER_KINDS = ("upgrade", "rollback", "undo", "start", "stop", "prune", "held", "released", "readiness", "reconcile",
                "recovered",
         "signed_in", "sign_in_denied", "denied", "user_added", "user_role", "user_removed", "token_created", "token_revoked",
         "token_handed_over", "secret_set", "secret_removed", "command_run", "command_exec", "checkpoint")
Ask = Callable[..., Sequence[AuditLine]]
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")  # what a spreadsheet would interpret as a formula


@pages.get("/activity")
@needs(SIGNED_IN)
def page() -> str:
    lines = _lines(ROWS + 1)
    apps = sorted(_visible())
    kept = {key: value for key, value in request.args.items() if key in {"app", "user", "kind"} and value}
    return render_template("activity.html", lines=lines[:ROWS], older=lines[ROWS - 1].id if len(lines) > ROWS else None,
                           args=kept, apps=apps, kinds=FILTER_KINDS)


@pages.get("/activity.csv")
@needs(SIGNED_IN)
def table() -> Response:
    return _file(_rows, mimetype="text/csv", name="activity.csv")


@pages.get("/activity.jsonl")
@needs(SIGNED_IN)
def lines_file() -> Response:
    return _file(lambda lines: (json.dumps(asdict(line)) + "\n" for line in lines), mimetype="application/jsonl",
                 name="activity.jsonl")


def safe_cell(value: Any) -> str:
    """Return the cell as text that no spreadsheet interprets as a formula, and that controls no terminal."""
    text = "" if value is None else visible(str(value))
    return f"'{text}" if text.startswith(FORMULA) else text


def _rows(lines: Iterable[AuditLine]) -> Iterator[str]:
    names = [field.name for field in fields(AuditLine)]
    for row in chain([names], ([safe_cell(getattr(line, name)) for name in names] for line in lines)):
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL).writerow(row)
        yield out.getvalue()


def _file(write: Callable[[Iterable[AuditLine]], Iterator[str]], *, mimetype: str, name: str) -> Response:
    """Respond with every matching line, up to a limit."""
    ask, before = _asked(), _before()
    return send(lambda s, left: write(islice(_all(ask, before, s, left), SAVED)), what="the activity", mimetype=mimetype,
                name=name)


def _all(ask: Ask, before: int | None, s: Services, left: Callable[[], bool]) -> Iterator[AuditLine]:
    """Yield page by page, latest first."""
    while not left() and (lines := ask(s, limit=MAX_AUDIT_LINES, before=before)):
        yield from lines
        before = lines[-1].id


def _lines(limit: int) -> Sequence[AuditLine]:
    ask = _asked()
    with web_state().pool.lend(g.who.actor) as s:
        return ask(s, limit=limit, before=_before())


def _asked() -> Ask:
    """Return what finds the lines of this query that this user may see: an admin everything, others what concerns their
    apps."""
    app, user, kind = (request.args.get(key, "").strip()[:64] or None for key in ("app", "user", "kind"))
    among = None if g.who.may(Role.ADMIN, None) else _visible()
    asked = _app(app)
    if asked is not None and among is not None and asked not in among:
        raise NotFound("there is no such app here.", remedy=["deployctl app list"])
    return partial(audit, app=asked, user=user, kind=kind, among=among)


def _app(text: str | None) -> AppName | None:
    try:
        return parse_app_or_backing(text) if text else None
    except Invalid:
        raise NotFound("there is no such app here.", remedy=["deployctl app list"]) from None


def _visible() -> list[AppName]:
    who: Principal = g.who
    with web_state().pool.lend(who.actor) as s:
        return who.sees([row.name for row in s.ledger.apps()])


def _before() -> int | None:
    text = request.args.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
