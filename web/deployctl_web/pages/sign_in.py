"""Signing in, by password or by a one-time link, and out."""

from __future__ import annotations

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from deployctl.usecases.access.passwords import TooManyTries
from deployctl.usecases.access.sign_in import WrongLink, WrongSignIn, sign_in, sign_in_by_link, sign_out
from deployctl_web.problems import when_again
from deployctl_web.security import identity
from deployctl_web.security.authorization import EVERYBODY, SIGNED_IN, needs
from deployctl_web.security.request_checks import status_of
from deployctl_web.services_pool import SOMEBODY
from deployctl_web.state import web_state

pages = Blueprint("sign_in", "deployctl_web.pages.sign_in")
SignInRefused = tuple[str, int, dict[str, str]]
NEXT_PAGE = "next"  # in the session: the page to return to, for a sign-in by link, which does not know it


@pages.get("/login")
@needs(EVERYBODY)
def page() -> str | Response:
    if g.who:
        return redirect(after())
    undone = "Your last action was not carried out." if request.args.get("undone") else ""
    return render_template("sign_in.html", error=None, after=after(), reason=f"{identity.why_over_text()} {undone}".strip())


@pages.post("/login")
@needs(EVERYBODY)
def enter() -> SignInRefused | Response:
    """Sign in by name and password; the page to go on to is only ever one of ours."""
    try:
        with web_state().pool.lend(SOMEBODY) as s:
            secret = sign_in(request.form.get("name", ""), request.form.get("password", ""), identity.origin(), s)
    except (WrongSignIn, TooManyTries) as error:
        status = status_of(error)
        return render_template("sign_in.html", error=error, after=after()), status, when_again(error, status)
    onward = after()
    identity.begin_session(secret)
    return redirect(onward)


@pages.get("/start/<secret>")
@needs(EVERYBODY)
def start(secret: str) -> str:
    """Show the button that uses the link up: a mail scanner that merely opens it must not."""
    return render_template("start.html", secret=secret, after=after())


@pages.post("/start/<secret>")
@needs(EVERYBODY)
def enter_by_link(secret: str) -> tuple[str, int] | Response:
    try:
        with web_state().pool.lend(SOMEBODY) as s:
            secret_of = sign_in_by_link(secret, identity.origin(), s)
    except WrongLink as error:
        return render_template("sign_in.html", error=error, after=after()), status_of(error)
    onward = after()  # stored in the session that ends here
    identity.begin_session(secret_of)
    return redirect(onward)


@pages.post("/logout")
@needs(SIGNED_IN)
def leave() -> Response:
    with web_state().pool.lend(g.who.actor) as s:
        sign_out(g.who, s)
    identity.end_session_here()
    return redirect(url_for("sign_in.page"))


def after() -> str:
    """Return where to go on after signing in: a path that this application routes itself, never another site."""
    from werkzeug.exceptions import HTTPException

    asked = request.values.get("next") or str(session.get(NEXT_PAGE, "/"))
    if not asked.startswith("/") or asked.startswith("//") or "\\" in asked or not asked.isprintable():
        return "/"
    try:
        current_app.create_url_adapter(request).match(asked.partition("?")[0], method="GET")  # type: ignore[union-attr]  # inside a request there is one
    except HTTPException:
        return "/"
    return asked


def where_one_was() -> str:
    """Return the page that required signing in: itself, or the one whose form was sent."""
    if request.method == "GET":
        return request.full_path if request.query_string else request.path
    base = web_state().place.base
    came = request.headers.get("Referer", "")
    return came.removeprefix(base) if came.startswith(f"{base}/") else "/"
