"""Users and tokens, for admins of the whole server. A secret is shown in the response to its creation, and never
again."""

from __future__ import annotations

from flask import Blueprint, flash, g, redirect, request, url_for
from werkzeug.wrappers import Response

from deployctl.domain.host.access import ALL, SCOPE_ROLES, Role, given, parse_person, parse_role
from deployctl.domain.inputs.names import parse_app
from deployctl.errors import Invalid
from deployctl.usecases.access.outcomes import revoke as revoke_token
from deployctl.usecases.access.tokens import DEFAULT_TOKEN_DAYS, create_token
from deployctl.usecases.access.users import LINK_MINUTES, add_user, make_link, remove_user, set_role
from deployctl_web.pages.settings import shown
from deployctl_web.security.authorization import needs
from deployctl_web.state import web_state

pages = Blueprint("people", __name__)
CHANGE = needs(Role.ADMIN, recent=True)
MAX_TOKEN_DAYS = 3650.0  # days


@pages.post("/settings/users")
@CHANGE
def add() -> str:
    """Create a user and a link that signs them in once."""
    name = request.form.get("name", "").strip()
    with web_state().pool.lend(g.who.actor) as s:
        add_user(name, given(parse_role(request.form.get("role", "")), _apps()), s)
        link = make_link(name, s)
    return shown(link=_link(link), name=name, minutes=LINK_MINUTES)


@pages.post("/settings/users/<name>/link")
@CHANGE
def link(name: str) -> str:
    with web_state().pool.lend(g.who.actor) as s:
        secret = make_link(name, s)
    return shown(link=_link(secret), name=name, minutes=LINK_MINUTES)


@pages.post("/settings/users/<name>/role")
@CHANGE
def role(name: str) -> Response:
    """Grant a role for one app or for all; an empty one revokes it."""
    text, app = request.form.get("role", ""), request.form.get("app", "").strip() or ALL
    wanted, of = parse_role(text) if text else None, app if app == ALL else parse_app(app)
    with web_state().pool.lend(g.who.actor) as s:
        _, went = set_role(name, wanted, of, s, hand_over=_heir())
    flash(_said(f"The roles of {name} were changed", *went.lines), "good")
    return redirect(url_for("settings.page"), 303)


@pages.post("/settings/users/<name>/remove")
@CHANGE
def remove(name: str) -> Response:
    with web_state().pool.lend(g.who.actor) as s:
        went = remove_user(name, s, hand_over=_heir())
    flash(_said(f"{name} can no longer sign in", *went.lines), "good")
    return redirect(url_for("settings.page"), 303)


@pages.post("/settings/tokens")
@CHANGE
def create() -> str:
    """Create a token and show it this once."""
    scope = request.form.get("scope", "")
    if scope not in SCOPE_ROLES:
        raise Invalid(f"A scope must be one of {', '.join(SCOPE_ROLES)}.")
    with web_state().pool.lend(g.who.actor) as s:
        made = create_token(request.form.get("name", "").strip(), given(SCOPE_ROLES[scope], _apps()), s, days=_days(),
                            owner=g.who.owner)
    return shown(token=made.secret, name=made.token.name)


@pages.post("/settings/tokens/<name>/revoke")
@CHANGE
def revoke(name: str) -> Response:
    with web_state().pool.lend(g.who.actor) as s:
        done = revoke_token(name, s)
    flash(_said(done.sentence, *done.details), "good")
    return redirect(url_for("settings.page"), 303)


def _heir() -> str | None:
    """Return who takes over the user's tokens; by default nobody: they end."""
    text = request.form.get("hand_over", "").strip()
    return parse_person(text) if text else None


def _said(*clauses: str) -> str:
    return " ".join(f"{clause[0].upper()}{clause[1:]}." for clause in clauses)


def _apps() -> list[str]:
    return [app for text in request.form.getlist("apps") for app in text.replace(",", " ").split()]


def _days() -> float | None:
    text = request.form.get("days", "").strip()
    if not text:
        return DEFAULT_TOKEN_DAYS
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and float(text) <= MAX_TOKEN_DAYS):
        raise Invalid(f"Days are a number from 0 to {MAX_TOKEN_DAYS:.0f}; 0 is for ever.")
    return float(text) or None


def _link(secret: str) -> str:
    return f"{web_state().place.base}{url_for('sign_in.start', secret=secret)}"
