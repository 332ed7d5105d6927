"""The Flask application of one home, assembled; `deployctl serve` serves it."""

from __future__ import annotations

import secrets
from pathlib import Path

from flask import Flask, Response, g, make_response, request
from werkzeug.exceptions import HTTPException

from deployctl.domain.host.access import Role
from deployctl.domain.proxy.cookies import session_cookie
from deployctl.errors import DeployctlError, NotFound
from deployctl.usecases.access.sign_in import SignInAgain
from deployctl_web import monitoring, problems
from deployctl_web.api import (
    docs,
    event_stream,
    routes_change,
    routes_inside,
    routes_people,
    routes_read,
    routes_secrets,
)
from deployctl_web.app_paths import AppConverter
from deployctl_web.pages import all_pages
from deployctl_web.pages.parts.page_templates import PageEnvironment
from deployctl_web.pages.parts.template_filters import put_filters
from deployctl_web.security import (
    audit_log,
    authorization,
    identity,
    limits,
    recent_sign_in,
    request_checks,
)
from deployctl_web.security.session_cookie import LastSigned
from deployctl_web.state import STATE_EXTENSION, WebState

MAX_BODY_BYTES = 64 * 1024  # bytes of a request body
# Errors whose message may be shown to clients that are not signed in. All others may name files of this server.
FOR_STRANGERS = frozenset({"not_signed_in", "forged", "wrong_host", "not_found", "invalid", "wrong_sign_in", "wrong_link",
                           "too_many_tries", "too_many_requests"})


def create_app(web_state: WebState) -> Flask:
    """Return the application with that state."""
    app, place = Flask("deployctl_web", root_path=str(Path(__file__).parent)), web_state.place
    app.jinja_environment = PageEnvironment
    app.extensions[STATE_EXTENSION] = web_state
    app.config.update(
        DEBUG=False,  # whatever FLASK_DEBUG says
        SECRET_KEY=place.key, MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_PARTS=100,
        SESSION_COOKIE_NAME=session_cookie(place.home_id, secure=place.secure), SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_SECURE=place.secure, SESSION_COOKIE_PATH="/",
    )
    app.session_interface = LastSigned()
    app.url_map.strict_slashes = False
    app.url_map.converters["app"] = AppConverter
    setattr(app, "ensure_sync", lambda view: view)  # noqa: B010  none is a coroutine, and Flask asks a dozen times a request
    for check in (request_checks.require_known_host, identity.identify, request_checks.require_own_form,
                  authorization.require_allowed, recent_sign_in.require_recent_sign_in):
        app.before_request(check)
    limits.put_concurrency_limit(app)
    request_checks.put_request_checks(app)
    app.after_request(hold_back)
    app.after_request(mark_stale)
    put_filters(app)
    all_pages.put_pages(app)
    for blueprint in (event_stream.pages, monitoring.pages, routes_read.look, routes_change.move, routes_people.people,
                      routes_secrets.secrets, routes_inside.inside, docs.docs):
        app.register_blueprint(blueprint)
    app.view_functions["static"] = authorization.needs(authorization.EVERYBODY)(app.view_functions["static"])
    limits.put_change_limits(app)
    app.register_error_handler(DeployctlError, refuse)
    app.register_error_handler(HTTPException, refuse_plainly)
    app.register_error_handler(500, fail)
    return app


def refuse(error: DeployctlError) -> tuple[str, int, dict[str, str]] | Response:
    """Respond with a use case's error: a page for people, RFC 9457 for programs."""
    error = as_may_be_read(audit_log.note_refusal(error))
    status = request_checks.status_of(error)
    if wants_json():
        return problems.problem(error)
    if isinstance(error, SignInAgain):
        return recent_sign_in.page(error), status, {}
    return *all_pages.problem_page(error, status), problems.when_again(error, status)


def hold_back(answer: Response) -> Response:
    """Return the response to a read, unless the user lost the right while it was prepared. A change responds with what
    it did."""
    if request.method not in request_checks.SAFE:
        return answer
    try:
        authorization.require_still_allowed()
    except DeployctlError as ended:
        answer.close()
        return make_response(refuse(ended))
    return answer


def mark_stale(answer: Response) -> Response:
    """Return the response, marked if the page shows an older reading than it should: nothing reports when there is a
    newer one, so the page requests the piece again."""
    if g.get("stale"):
        answer.headers["Deployctl-Stale"] = "yes"
    return answer


def as_may_be_read(error: DeployctlError) -> DeployctlError:
    """Return what the user may read of it: paths only if signed in, and never the names of apps they may not see."""
    who = g.get("who")
    if who is None and error.code not in FOR_STRANGERS:
        return DeployctlError("The dashboard is unavailable. Traffic is not affected.", code=error.code,
                              remedy=["deployctl doctor"])
    if isinstance(error, NotFound) and (who is None or not who.may(Role.VIEWER, None)):
        error.message = error.discreet or error.message
    return error


def refuse_plainly(error: HTTPException) -> tuple[str, int] | Response:
    """Respond with Flask's own errors: no such page, a method, a body too large."""
    status = error.code or 500
    if wants_json():
        return problems.plain_problem(error)
    return all_pages.problem_page(DeployctlError(error.description or error.name), status)


def fail(error: Exception) -> tuple[str, int] | Response:
    """Respond to a bug with a number that is also in the log, and with nothing else."""
    number = secrets.token_hex(4)
    request.environ["wsgi.errors"].write(f"error {number}: {type(getattr(error, 'original_exception', error)).__name__}\n")
    internal = DeployctlError(f"Internal error {number}. Traffic is not affected.", code="internal",
                          remedy=["deployctl status", "look up that number in the log of deployctl serve"])
    if wants_json():
        return problems.problem(internal)
    return all_pages.problem_page(internal, 500)


def wants_json() -> bool:
    return request.path.startswith("/api/v1") or request.path.endswith(".json") or g.get("via") == "token"
