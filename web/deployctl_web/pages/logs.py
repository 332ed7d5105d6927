"""What the containers of an app print: a page whose whole query is in its address, its tail, and the file of it."""

from __future__ import annotations

from flask import Blueprint, Response, g, render_template, request

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, parse_version
from deployctl.domain.proxy.rejections import Rejection
from deployctl.errors import DeployctlError, EngineUnavailable, NotFound
from deployctl.usecases.view.rejections import refusals
from deployctl_web.http.downloads import send
from deployctl_web.pages.app import the_app
from deployctl_web.pages.parts import log_view
from deployctl_web.pages.parts.log_view import LOG_SPANS, LogQuery, ShownLine, asked_of, read
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("logs", __name__)
TAIL = 12  # lines on the page of an app
MAX_REJECTIONS_SHOWN = 200  # lines of a page


@pages.get("/apps/<app:app>/logs")
@needs(Role.VIEWER)
def page(app: str) -> str:
    """Show the lines; an invalid filter, or an engine that is not responding, is reported on the page itself."""
    name, view = the_app(), web_state().status_cache.app(the_app()).value
    lines, wrong, query = list[ShownLine](), "", LogQuery()
    try:
        query = asked_of(request.args, parse_version)
        lines = read(name, query, g.who.actor)
    except NotFound as e:
        if not _was_there(name, query):
            raise
        wrong = e.message
    except DeployctlError as e:
        wrong = e.message
    asked_for = {key: value for key, value in request.args.items() if key in {"q", "version", "since", "n", "errors"} and value}
    return render_template("logs.html", view=view, lines=lines, query=query, args=asked_for, wrong=wrong, spans=list(LOG_SPANS),
                           colours=_colours(name), versions=_versions(name))


@pages.get("/apps/<app:app>/logs/more")
@needs(Role.VIEWER)
def more(app: str) -> str:
    """Return only the lines after the last one that the page has."""
    lines = read(the_app(), asked_of(request.args, parse_version), g.who.actor)
    return render_template("_log_lines.html", lines=lines, colours=_colours(the_app()))


@pages.get("/apps/<app:app>/logs/tail")
@needs(Role.VIEWER)
def tail(app: str) -> str:
    """Return the newest lines of all versions, or of the requested one."""
    try:
        query = asked_of(request.args, parse_version)
        lines, wrong = read(the_app(), LogQuery(version=query.version, n=TAIL), g.who.actor), ""
    except (NotFound, EngineUnavailable) as e:
        lines, wrong = [], e.message
    return render_template("_log_tail.html", lines=lines, wrong=wrong, colours=_colours(the_app()))


@pages.get("/apps/<app:app>/logs.txt")
@needs(Role.VIEWER)
def save(app: str) -> Response:
    """Return all lines as a file of plain text."""
    query, name = asked_of(request.args, parse_version), the_app()
    return send(lambda s, left: log_view.save(name, query, s, left), what="the log", mimetype="text/plain", name=f"{app}.log")


def _was_there(app: AppName, query: LogQuery) -> bool:
    """Return whether the version was ever deployed here: its container may be gone, and the log with it."""
    with web_state().pool.lend(g.who.actor) as s:
        return query.version is None or bool(s.ledger.releases_of(app, query.version, limit=1))


def _versions(app: AppName) -> list[str]:
    """Return the versions that have lines to show: those with a container, then those whose log outlived it."""
    here = [one.version for one in web_state().status_cache.app(app).value.instances]
    with web_state().pool.lend(g.who.actor) as s:
        kept = [s.ledger.find_release(app, number) for number in reversed(s.kept_logs.releases(app))]
    return list(dict.fromkeys([*here, *(one.version for one in kept if one)]))


def _colours(app: AppName) -> dict[str, str]:
    return {one.version: (one.colour or "")[:1] for one in web_state().status_cache.app(app).value.instances}


# -- HAProxy ------------------------------------------------------------------------------------------------------------
@pages.get("/apps/<app:app>/logs/proxy")
@needs(Role.VIEWER)
def proxy(app: str) -> str:
    """Show HAProxy's own error responses to the app's clients, latest first; a HAProxy that is not responding is reported
    on the page itself."""
    name, view = the_app(), web_state().status_cache.app(the_app()).value
    found, wrong = list[Rejection](), ""
    try:
        found = _read_rejections(name)
    except DeployctlError as e:
        wrong = e.message
    return render_template("refusals.html", view=view, found=found[::-1], wrong=wrong)


def _read_rejections(app: AppName) -> list[Rejection]:
    with web_state().pool.lend(g.who.actor) as s:
        return refusals(app, s, tail=MAX_REJECTIONS_SHOWN)
