"""Who may request what. A route without a rule is denied to everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, request, session

from deployctl.domain.host.access import Principal, Role
from deployctl.domain.inputs.names import AppName, parse_app_or_backing
from deployctl.errors import Invalid, NotFound, NotPermitted
from deployctl_web.security import identity
from deployctl_web.security.rights import Right
from deployctl_web.security.session_cookie import SESSION

F = TypeVar("F", bound=Callable[..., Any])
EVERYBODY = "everybody"  # the page to sign in, styles, /healthz
SIGNED_IN = "signed in"  # shows only what that user may see
RULE, RECENT = "deployctl_rule", "deployctl_recent"


def needs(rule: Role | str, *, recent: bool = False) -> Callable[[F], F]:
    """Declare who may call the view: a role (for the app in its path, else for the whole server) or one of the two
    words. What grants access to others also needs a `recent` sign-in (web/deployctl_web/security/recent_sign_in.py)."""
    def mark(view: F) -> F:
        setattr(view, RULE, rule)
        setattr(view, RECENT, recent)
        return view

    return mark


def rule_of(app: Flask, endpoint: str | None) -> Role | str | None:
    return getattr(app.view_functions.get(endpoint or ""), RULE, None)


def asked_app() -> AppName | None:
    """Return the app or the backing component in the path, None if there is none. Raises NotFound for an invalid name."""
    text = (request.view_args or {}).get("app")
    try:
        return None if text is None else parse_app_or_backing(text)
    except Invalid:
        raise no_such_app() from None


def no_such_app() -> NotFound:
    """Return the one error for an app that does not exist and for one that the user may not see."""
    return NotFound("there is no such app here.", remedy=["deployctl app list"])


def require_allowed() -> None:
    """Raise NotPermitted or NotFound, or abort, unless the user may. An app that they may not see does not exist."""
    if request.endpoint is None:
        return  # no such page: handled below
    rule = rule_of(current_app, request.endpoint)
    if rule == EVERYBODY:
        return
    if rule is None:
        abort(404)
    who: Principal | None = g.get("who")
    if who is None:
        raise NotSignedIn
    app = asked_app()
    if app is not None and not who.may(Role.VIEWER, app):
        raise no_such_app()
    if isinstance(rule, Role) and not who.may(rule, app):
        raise NotPermitted(f"This requires the {rule} role for {app or 'the whole server'}. Nothing was done.",
                           remedy=[f"deployctl user role {who.name} {rule}{f' --app {app}' if app else ''}"])


def require_still_allowed() -> None:
    """Raise NotSignedIn or RightsChanged if the right by which this request is handled ended in the meantime."""
    right: Right | None = g.get("right")
    if right is None or right.holds():
        return
    g.who = right.present()  # the error page is for their present rights
    if g.who is None:
        g.over = session.get(SESSION)
        raise NotSignedIn
    raise RightsChanged("Your roles changed during the request. Retry.")


class RightsChanged(NotPermitted):
    """The user's rights are no longer those at the time of the request."""

    code = "rights_changed"


class NotSignedIn(NotPermitted):
    code = "not_signed_in"

    def __init__(self) -> None:
        why = identity.why_over_text()
        done = "" if request.method == "GET" else " Nothing was done."
        super().__init__(f"{why or 'Sign in first.'}{done if why else ''}", remedy=["deployctl user link NAME"])
