"""The rows of the list of apps. Most have not changed since the last look: each is rendered once for what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from flask import current_app
from jinja2 import Template
from markupsafe import Markup

from deployctl.usecases.results import AppView
from deployctl_web.pages.parts.template_filters import rate, state_word
from deployctl_web.pages.parts.times import is_recent, when

MAX_ROWS = 1024  # that are remembered, a kilobyte each


class AppRow(NamedTuple):
    """Everything a row shows, as plain values. Its template is given nothing else, so a remembered row is never wrong."""

    app: str
    address: str | None
    state: str
    word: str
    live: str | None
    colour: str | None
    since: str | None
    since_words: str
    recent: bool
    standby: str | None
    held: bool
    warm: bool
    health: str
    back: str | None
    back_warm: bool
    rate: str | None
    bad: str
    loud: bool
    backing: tuple[tuple[str, str | None, str], ...]  # name, version and state of each backing component


def row_of(app: AppView, figures: Mapping[str, float] | None) -> AppRow:
    """Return the row of an app; `figures` are requests a second and the share of 5xx, None if not measured."""
    live, standby, since = app.active, app.standby, app.since
    return AppRow(
        app.app, app.address, app.state, state_word(app), live.version if live else None, live.colour if live else None,
        since, when(since) if since else "", bool(since) and is_recent(since or ""),
        standby.version if standby else None, bool(standby and standby.held), bool(standby and standby.warm),
        standby.health if standby else "", app.rollback.version if app.rollback else None,
        app.rollback is not None and app.rollback.warm, rate(figures["rate"]) if figures else None,
        f"{figures['bad']:.1f}" if figures else "", bool(figures and figures["bad"] >= 1),
        tuple((one.app.partition("/")[2], one.active.version if one.active else None, one.state) for one in app.backing))


def draw_rows(rows: Iterable[AppRow]) -> list[Markup]:
    """Return each row's HTML."""
    template = current_app.jinja_env.get_template("_app_row.html")
    return [_drawn(template, row) for row in rows]


@lru_cache(MAX_ROWS)
def _drawn(template: Template, row: AppRow) -> Markup:
    return Markup(template.render(row=row))  # noqa: S704  a template of ours, which escapes
