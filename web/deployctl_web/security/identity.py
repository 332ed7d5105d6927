"""Who sends this request: a browser session, or a token in the header. The cookie carries it, the ledger decides."""

from __future__ import annotations

from collections.abc import Callable

from flask import Request, g, request, session

from deployctl.domain.host.access import Origin, Principal
from deployctl.domain.host.actor import Actor, Via
from deployctl.ports import Services
from deployctl.usecases.access.sign_in import SESSION_IDLE_SECONDS, Over, find_session, why_over
from deployctl.usecases.access.tokens import find_token
from deployctl_web.http.admission import CONNECTION
from deployctl_web.security.form_token import FIELD
from deployctl_web.security.rights import Right
from deployctl_web.security.session_cookie import SESSION
from deployctl_web.services_pool import SOMEBODY
from deployctl_web.state import web_state

BEARER = "Bearer "


def identify() -> None:
    """Store the principal of this request in `g.who`, None for nobody, and its right in `g.right`. A token that was
    sent is never ignored."""
    g.who, g.via, g.over, g.right = None, "web", None, None
    if request.endpoint in {"static", "monitoring.healthz"}:  # which need no user, and no ledger
        return
    if "Authorization" in request.headers:
        g.via = "token"
        g.who = _by_token(request)
    else:
        _identify_browser()
    if g.who is not None:
        g.right = Right(g.who, _asker(), web_state().pool)
    if CONNECTION in request.environ:  # it is theirs now, not a stranger's: later connections do not displace it
        request.environ[CONNECTION].recognize(g.who.actor if g.who else None)


def _identify_browser() -> None:
    if SESSION not in session:
        return
    secret = str(session[SESSION])
    with web_state().pool.lend(SOMEBODY) as s:
        g.who = find_session(secret, s)
    g.over = secret if g.who is None else None  # it is over


def _by_token(request: Request) -> Principal | None:
    header = request.headers["Authorization"]
    if not header.startswith(BEARER):
        return None
    with web_state().pool.lend(Actor("somebody", Via.TOKEN)) as s:
        return find_token(header.removeprefix(BEARER).strip(), s, address=origin().address)


def _asker() -> Callable[[Services], Principal | None]:
    """Return a function that later returns the user's present identity: signed out, or with other roles."""
    if g.via == "token":
        header, address = request.headers["Authorization"], origin().address
        return lambda s: find_token(header.removeprefix(BEARER).strip(), s, address=address)
    secret = str(session[SESSION])
    return lambda s: find_session(secret, s)


OVER = {
    Over.ENDED: "Your session was ended: by signing out, by a password change, or by an admin.",
    Over.IDLE: f"Your session has ended: it was idle for {SESSION_IDLE_SECONDS / 3600:g} hours.",
    Over.GONE: "Your session has ended: it is no longer known here.",
}


def why_over_text() -> str:
    """Return why the session that this browser had is over; empty if it had none."""
    if not g.get("over"):
        return ""
    with web_state().pool.lend(SOMEBODY) as s:
        why = why_over(g.over, s)
    return OVER[why] if why else ""


def origin() -> Origin:
    return Origin(request.remote_addr or "-", request.headers.get("User-Agent", ""))


def begin_session(secret: str) -> None:
    """Sign the browser in under that session; whatever its cookie contained before is dropped (session fixation)."""
    session.clear()
    with web_state().pool.lend(SOMEBODY) as s:
        who = find_session(secret, s)
    if who is not None:
        session[SESSION] = secret


def renew_session(secret: str) -> None:
    """Continue under another session of the same user. The anti-forgery token stays: other pages of this browser
    contain it."""
    token = session.get(FIELD)
    begin_session(secret)
    session[FIELD] = token
    identify()


def end_session_here() -> None:
    session.clear()
