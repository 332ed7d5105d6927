"""The page of one app, its live pieces, and its charts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template, request

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName
from deployctl_web.live.status_cache import AT_ONCE_SECONDS
from deployctl_web.pages.parts.charts import CHART_SPANS, draw, seconds
from deployctl_web.pages.parts.page_model import look_at
from deployctl_web.security.authorization import asked_app, needs
from deployctl_web.state import web_state

pages = Blueprint("app", __name__)
DEFAULT_SPAN = "15m"
MAX_MARKS = 50  # switches of traffic that a chart can mark
NO_RELEASE = 2**31  # no release has a number like that


@pages.get("/apps/<app:app>")
@needs(Role.VIEWER)
def one(app: str) -> str:
    return render_template("app.html", a=look_at(the_app(), at_once=AT_ONCE_SECONDS), **charted(the_app()))


@pages.get("/apps/<app:app>/live")
@needs(Role.VIEWER)
def live(app: str) -> str:
    """Return what changes with the traffic: the same include as the page's."""
    return render_template("_app.html", a=look_at(the_app()))


@pages.get("/apps/<app:app>/lower")
@needs(Role.VIEWER)
def lower(app: str) -> str:
    """Return versions, activity and the strip, which are below the charts."""
    return render_template("_app_lower.html", a=look_at(the_app()))


@pages.get("/apps/<app:app>/charts")
@needs(Role.VIEWER)
def charts(app: str) -> str:
    """Return the three charts of the requested time span and release."""
    number = request.args.get("release", type=int)
    return render_template("_charts.html",
                           app=app, **charted(the_app(), only=number if number and number < NO_RELEASE else None))


def charted(app: AppName, *, only: int | None = None) -> dict[str, Any]:
    """Return the charts as their template needs them: of the last 15 minutes unless another span is requested; with
    `only`, of that release alone."""
    span = request.args.get("span", "")
    span = span if span in CHART_SPANS else DEFAULT_SPAN
    with web_state().pool.lend_to_read(g.who.actor) as s:
        now = seconds(s.clock.utc())
        since, row, moves = now - CHART_SPANS[span].seconds, s.ledger.find_app(app), s.ledger.changes(app, limit=MAX_MARKS)
        points = [p for p in s.meter.points(app, since=since) if only in {None, p.release}]
        moves = [move for move in moves if only in {None, move.source, move.target}]
        numbers = {point.release for point in points} | ({only} if only else set())
        numbers |= {n for move in moves if seconds(move.at) > since for n in (move.source, move.target) if n is not None}
        releases = [found for n in numbers if (found := s.ledger.find_release(app, n))]
    return {"charts": draw(points, releases, moves, active=only or (row.active if row else None), now=now, span=span),
            "span": span, "spans": CHART_SPANS, "only": next((one for one in releases if one.number == only), None)}


def the_app() -> AppName:
    """Return the app in the path of this request."""
    app = asked_app()
    assert app is not None  # noqa: S101  every route that asks has one
    return app
