"""Every page that people see, in one list; and the error page."""

from __future__ import annotations

from flask import Flask, g, render_template, request, session, url_for

from deployctl.domain.host.access import Role
from deployctl.errors import DeployctlError
from deployctl_web.pages import (
    act as pages_act,
)
from deployctl_web.pages import (
    activity as pages_activity,
)
from deployctl_web.pages import (
    app as pages_app,
)
from deployctl_web.pages import (
    apps as pages_apps,
)
from deployctl_web.pages import (
    ask as pages_ask,
)
from deployctl_web.pages import (
    logs as pages_logs,
)
from deployctl_web.pages import (
    people as pages_people,
)
from deployctl_web.pages import (
    server as pages_server,
)
from deployctl_web.pages import (
    settings as pages_settings,
)
from deployctl_web.pages import (
    sign_in as pages_sign_in,
)
from deployctl_web.pages import (
    version as pages_version,
)
from deployctl_web.security.authorization import asked_app
from deployctl_web.state import web_state

MODULES = (pages_sign_in, pages_apps, pages_app, pages_act, pages_ask, pages_logs, pages_version,
           pages_activity, pages_server, pages_settings, pages_people)


LONGEST_NEXT = 1024  # characters, in a cookie


def put_pages(app: Flask) -> None:
    for module in MODULES:
        app.register_blueprint(module.pages)


def _onward(status: int) -> str | None:
    """Return where to go on after signing in, and remember it for a sign-in by link; None for signed-in users."""
    if status != 401:
        return None
    onward = pages_sign_in.where_one_was()
    if not request.headers.get("X-Fragment"):
        session[pages_sign_in.NEXT_PAGE] = onward[:LONGEST_NEXT]
    return onward


def problem_page(error: DeployctlError, status: int) -> tuple[str, int]:
    """Respond with what went wrong, the live version, and what can be done."""
    app, serving, back = None, "", None
    try:
        app = asked_app()
        if app is not None and g.get("who") and g.who.may(Role.VIEWER, app):
            view = web_state().status_cache.app(app).value
            serving = (f"{view.active.version} is the live version of {app}." if view.active
                       else f"{app} has no live version{'' if view.is_backing else ': visitors get 503'}.")
            back = url_for("app.one", app=app)
    except DeployctlError:  # it does not exist, or nothing responds: then the error itself is all there is to show
        pass
    return render_template("problem.html", error=error, status=status, serving=serving, back=back,
                           onward=_onward(status)), status
