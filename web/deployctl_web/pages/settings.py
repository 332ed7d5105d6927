"""One's own settings: password, sessions, appearance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from deployctl.domain.host.access import Role, Token, roles_text, rules_server
from deployctl.domain.proxy.cookies import KEYS, THEME, choice_cookie
from deployctl.errors import Invalid, NotFound
from deployctl.usecases.access.change_password import change_own_password
from deployctl.usecases.access.sign_in import end_session, list_sessions
from deployctl.usecases.access.tokens import list_tokens
from deployctl.usecases.access.users import list_users
from deployctl_web.former_names import form_text
from deployctl_web.pages.sign_in import after
from deployctl_web.security.authorization import SIGNED_IN, needs
from deployctl_web.security.recent_sign_in import count_own_password
from deployctl_web.state import web_state

pages = Blueprint("settings", __name__)
YEAR = 365 * 86_400
CHOICES = {THEME: ("auto", "light", "dark"), KEYS: ("on", "off")}


@pages.get("/settings")
@needs(SIGNED_IN)
def page() -> str:
    return shown()


@pages.post("/settings/password")
@needs(SIGNED_IN)
def password() -> Answer:
    """Change one's own password, which takes the current one if there is one. Other sessions end, this one
    continues."""
    _require_person()
    if request.form.get("password", "") != request.form.get("again", ""):
        raise Invalid("The passwords do not match. Nothing was changed.")
    count_own_password()
    with web_state().pool.lend(g.who.actor) as s:
        change_own_password(g.who, form_text("current_password"), request.form.get("password", ""), s)
    flash("Your password was changed. Your other sessions were signed out.", "good")
    return redirect(url_for("settings.page"), 303)


@pages.post("/settings/sessions/<session>/end")
@needs(SIGNED_IN)
def end(session: str) -> Answer:
    _require_person()
    number = int(session) if session.isascii() and session.isdecimal() and len(session) < 16 else 0
    with web_state().pool.lend(g.who.actor) as s:
        end_session(g.who.name, number, s)
    flash("The session was signed out.", "good")
    return redirect(url_for("settings.page"), 303)


@pages.post("/settings/appearance")
@needs(SIGNED_IN)
def appearance() -> Answer:
    """Store theme and single-key shortcuts in cookies of this browser: the first byte of a page has the right
    colours."""
    answer = redirect(after() if "next" in request.form else url_for("settings.page"), 303)
    for name, choices in CHOICES.items():
        if (value := request.form.get(name)) in choices:
            answer.set_cookie(choice_cookie(web_state().place.home_id, name), value, max_age=YEAR, samesite="Lax",
                              httponly=True, secure=web_state().place.secure)
    return answer


def shown(**secret: Any) -> str:
    """Return the page; `secret` is shown this once: a token or a link."""
    with web_state().pool.lend(g.who.actor) as s:
        admin = g.who.may(Role.ADMIN, None)
        user = s.ledger.find_user(g.who.name) if g.who.via == "web" else None
        users, tokens = (list_users(s), list_tokens(s)) if admin else ([], [])
        return render_template(
            "settings.html", user=user, sessions=_sessions(s), mine=g.who.session, admin=admin, roles=list(Role),
            users=users, tokens=tokens[:100], roles_text=roles_text,
            owned={one.name: names for one in users if (names := _owned(one.name, tokens, s.clock.utc()))},
            admins=[one.name for one in users if rules_server(one.roles)],
            apps=sorted({row.name for row in s.ledger.apps()} | set(s.app_files())) if admin else [], secret=secret)


def _sessions(s: Any) -> list[Any]:
    return list_sessions(g.who.name, s) if g.who.via == "web" else []


def _owned(user: str, tokens: Sequence[Token], now: str) -> list[str]:
    """Return the names of the active tokens that end with that user's admin role."""
    return [one.name for one in tokens if one.owner == user and one.state(now) == "in_use"]


def _session(one: Any) -> dict[str, Any]:
    return {"id": one.id, "created_at": one.created_at, "seen_at": one.seen_at, "address": one.address, "agent": one.agent,
            "this": one.id == g.who.session}


def _require_person() -> None:
    if g.who.via != "web":
        raise NotFound("A token has no password and no sessions.")
