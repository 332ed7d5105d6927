"""The pages of apps, and the one button: what they ask for is what the command line asks for."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from deployctl.domain.access import Role
from deployctl.domain.names import AppName, Version, parse_version
from deployctl.errors import Invalid
from deployctl.usecases.history import history
from deployctl.usecases.results import Moved
from deployctl.usecases.rollback import rollback
from deployctl.usecases.status import status
from deployctl.usecases.undo import undo
from deployctl.usecases.wish import Wish
from deployctl.web.desk import desk
from deployctl.web.rules import SIGNED_IN, asked_app, needs

pages = Blueprint("app", "deployctl.web.pages_app")


@pages.get("/")
@needs(SIGNED_IN)
def apps() -> str:
    with desk().pool.lend(g.who.actor) as s:
        view = status(s)
    seen = set(g.who.sees([AppName(one.app) for one in view.apps]))
    return render_template("apps.html", view=view, apps=[one for one in view.apps if one.app in seen])


@pages.get("/apps/<app>")
@needs(Role.VIEWER)
def one(app: str) -> str:
    name = _app()
    with desk().pool.lend(g.who.actor) as s:
        view, past = status(s, app=name), history(name, s, limit=20)
    return render_template("app.html", view=view, app=view.apps[0], past=past, may=g.who.may(Role.DEPLOYER, name))


@pages.post("/apps/<app>/rollback")
@needs(Role.DEPLOYER)
def go_back(app: str) -> Response:
    """Roll back by a form: the same use case, refused when the page is not of the revision that serves."""
    with desk().pool.lend(g.who.actor) as s:
        moved = rollback(_app(), s, version=_version(), wish=_wish())
        s.ledger.keep_copy(at=s.clock.utc())
    return _told(moved)


@pages.post("/apps/<app>/undo")
@needs(Role.DEPLOYER)
def go_forth(app: str) -> Response:
    """Reverse the last change, and the hold that it made."""
    with desk().pool.lend(g.who.actor) as s:
        moved = undo(_app(), s, wish=_wish())
        s.ledger.keep_copy(at=s.clock.utc())
    return _told(moved)


def _told(moved: Moved) -> Response:
    lost = {None: "", 0: ", no request was lost"}.get(moved.failed_requests, f", {moved.failed_requests} requests failed")
    flash(f"Traffic is on {moved.target}. Took {moved.switch_ms / 1000:.2f} s{lost}." if moved.changed
          else f"{moved.target} serves already. Nothing was done.")
    return redirect(url_for("app.one", app=moved.app))


def _app() -> AppName:
    app = asked_app()
    assert app is not None  # noqa: S101  every route of this file has one
    return app


def _version() -> Version | None:
    text = request.form.get("to", "")
    return parse_version(text) if text else None


def _wish() -> Wish:
    text = request.form.get("revision", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise Invalid("The form did not say of which revision the page was. Nothing was done.", remedy=["reload the page"])
    return Wish(request.form.get("note", "")[:500], if_revision=int(text), confirmed=request.form.get("sure") == "yes")
