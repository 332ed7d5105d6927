"""Checks on every request, and headers of every response: host, origin, anti-forgery token."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request

from deployctl.errors import NotPermitted
from deployctl_web.pages.parts.page_templates import visible
from deployctl_web.problems import status_of as status_of
from deployctl_web.security.authorization import EVERYBODY, rule_of
from deployctl_web.security.form_token import brings_form_token, form_token
from deployctl_web.state import web_state

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
ANSWER_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Forged(NotPermitted):
    """A request that no page of ours sent."""

    code = "forged"


class WrongHost(NotPermitted):
    code = "wrong_host"


def require_known_host() -> None:
    """Raise WrongHost unless the request names one of our hosts."""
    place = web_state().place
    if request.environ.get("HTTP_HOST", "") not in place.hosts:
        raise WrongHost("Unknown host name.", remedy=["set web.url in config/server.toml"])


def require_own_form() -> None:
    """Raise Forged if a change was sent by a foreign page. A token in the header means that it is no page, but that
    does not exempt routes that need no user: a session begins there."""
    if request.method in SAFE or (g.get("via") == "token" and rule_of(current_app, request.endpoint) != EVERYBODY):
        return
    place = web_state().place
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin" or \
            request.headers.get("Origin", place.base) not in place.origins:
        raise Forged("This request came from another site. Nothing was done.", remedy=["open the dashboard directly"])
    if not brings_form_token():
        raise Forged("This page has expired. Nothing was changed.", remedy=["reload the page and try again"])


def add_headers(answer: Response) -> Response:
    for name, value in ANSWER_HEADERS.items():
        answer.headers.setdefault(name, value)
    if request.endpoint != "static":
        answer.headers.setdefault("Cache-Control", "no-store")
    place = web_state().place
    if place.secure:
        answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return answer


def put_request_checks(app: Flask) -> None:
    app.jinja_env.finalize = visible
    app.jinja_env.globals["csrf_token"] = form_token
    app.after_request(add_headers)
