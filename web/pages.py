"""Every page that people see, in one list; and the page that says why there is none."""

from __future__ import annotations

from flask import Flask, g, render_template, request, session, url_for

from deployctl.domain.access import Role
from deployctl.errors import DeployctlError
from deployctl.web import (
    pages_act,
    pages_activity,
    pages_app,
    pages_apps,
    pages_ask,
    pages_compare,
    pages_logs,
    pages_people,
    pages_refusals,
    pages_server,
    pages_settings,
    pages_sign_in,
    pages_version,
)
from deployctl.web.desk import desk
from deployctl.web.rules import asked_app

MODULES = (pages_sign_in, pages_apps, pages_app, pages_act, pages_ask, pages_logs, pages_refusals, pages_version,
           pages_compare, pages_activity, pages_server, pages_settings, pages_people)


LONGEST_NEXT = 1024  # characters, in a cookie


def put_pages(app: Flask) -> None:
    for module in MODULES:
        app.register_blueprint(module.pages)


def _onward(status: int) -> str | None:
    """Return where to go on after signing in, and remember it for who signs in by a link; None for who is signed in."""
    if status != 401:
        return None
    onward = pages_sign_in.where_one_was()
    if not request.headers.get("X-Fragment"):
        session[pages_sign_in.NEXT] = onward[:LONGEST_NEXT]
    return onward


def problem_page(error: DeployctlError, status: int) -> tuple[str, int]:
    """Answer with what went wrong, what serves now, and what can be done."""
    app, serving, back = None, "", None
    try:
        app = asked_app()
        if app is not None and g.get("who") and g.who.may(Role.VIEWER, app):
            view = desk().board.app(app).value
            serving = f"{view.active.version} serves {app}." if view.active else f"Nobody serves {app}: visitors get 503."
            back = url_for("app.one", app=app)
    except DeployctlError:  # it is not there, or nothing answers: then the problem itself is all there is to tell
        pass
    return render_template("problem.html", error=error, status=status, serving=serving, back=back,
                           onward=_onward(status)), status
