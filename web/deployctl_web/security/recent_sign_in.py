"""What a cookie alone is not enough for: changing users, roles and tokens takes a recent sign-in.

A form that comes too late for that is shown with one more field, for the password or a one-time link, and is then sent
again unchanged.
"""

from __future__ import annotations

import time

from flask import current_app, g, render_template, request

from deployctl.errors import NotPermitted
from deployctl.usecases.access.passwords import TooManyTries
from deployctl.usecases.access.sign_in import SignInAgain, WrongLink, WrongSignIn, require_recent, sign_in_again
from deployctl_web.security import identity
from deployctl_web.security.authorization import RECENT
from deployctl_web.security.form_token import FIELD
from deployctl_web.security.request_checks import SAFE
from deployctl_web.state import web_state

PROOF = "sign_in_again"  # the field
OWN_FIELDS = frozenset({PROOF, FIELD})


def count_own_password() -> None:
    """Count it for the requesting user. Raises TooManyTries."""
    if wait := web_state().own_passwords.count(g.who.person, time.monotonic()):
        raise TooManyTries(max(1.0, wait))


def require_recent_sign_in() -> None:
    """Take the proof if a form contains one, and raise SignInAgain if one is missing."""
    who = g.get("who")
    if who is None or who.session is None or request.method in SAFE:
        return
    if proof := request.form.get(PROOF):
        _renew(proof)
    if getattr(current_app.view_functions.get(request.endpoint or ""), RECENT, False):
        with web_state().pool.lend(g.who.actor) as s:
            require_recent(g.who, s)


def _renew(proof: str) -> None:
    """Replace the requesting session by a fresh one. Raises SignInAgain, which says why not."""
    try:
        count_own_password()
        with web_state().pool.lend(g.who.actor) as s:
            secret = sign_in_again(g.who, proof, identity.origin(), s)
    except (WrongSignIn, WrongLink, TooManyTries) as error:
        raise SignInAgain(g.who.name, _why(error)) from error
    identity.renew_session(secret)


def _why(error: NotPermitted) -> str:
    return "Neither your password nor a valid one-time link." if isinstance(error, WrongSignIn) else error.message


def page(error: SignInAgain) -> str:
    """Return the form that was sent, with what was typed in it, and a field for the proof."""
    with web_state().pool.lend(g.who.actor) as s:
        user = s.ledger.find_user(g.who.name)
    typed = [(name, value) for name, value in request.form.items(multi=True) if name not in OWN_FIELDS]
    return render_template("sign_in_again.html", error=error, typed=typed, proof=PROOF,
                           has_password=user is not None and user.password is not None)
