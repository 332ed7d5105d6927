"""Signing in and out. Whatever was wrong, the answer is the same; every attempt is in the audit log."""

from __future__ import annotations

import secrets
from contextlib import suppress
from enum import StrEnum

from deployctl.domain.host.access import Principal, parse_person, wait_after
from deployctl.domain.host.actor import Actor, Via
from deployctl.domain.host.denied_changes import SIGN_IN_REFUSED, RefusedChange
from deployctl.errors import DeployctlError, Invalid, NotFound, NotPermitted
from deployctl.usecases.access.passwords import TooManyTries, fits
from deployctl.usecases.access.users import LINK_MINUTES, LINK_PATH, digest, require_user
from deployctl.usecases.clock_math import later, seconds_between

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import Origin, SignIn
    from deployctl.ports import Services

SESSION_IDLE_SECONDS = 12 * 3600.0  # seconds after which an unused session ends
ATTEMPT_WINDOW = 60.0  # seconds
SESSION_NOTE_SECONDS = 60.0  # seconds between two records of when it was last used
RECENT_SIGN_IN_SECONDS = 600.0  # seconds after a sign-in in which a session may change who else gets in
OFTEN = 10  # sign-ins of one user by password within a minute: each is written to the audit log
ATTEMPTS_KEPT_SECONDS = 86_400.0  # seconds that failed attempts count


class WrongSignIn(NotPermitted):
    """Name, password or link are wrong; the message does not say which."""

    code = "wrong_sign_in"

    def __init__(self) -> None:
        super().__init__("Wrong user name or password.",
                         remedy=["deployctl user link NAME   # a one-time sign-in link"])


class WrongLink(NotPermitted):
    """A one-time link that does not work: the message does not say whether it ever existed."""

    code = "wrong_link"

    def __init__(self) -> None:
        super().__init__(f"This link was already used or has expired. A link is valid once, for {LINK_MINUTES:g} minutes.",
                         remedy=["deployctl user link NAME   # another link"])


class SignInAgain(NotPermitted):
    """An action for which a cookie alone is not enough. Signing in again starts another session and ends the one that
    requested it."""

    code = "sign_in_again"

    def __init__(self, name: str, why: str = "") -> None:
        why = why or f"This requires a sign-in within the last {RECENT_SIGN_IN_SECONDS / 60:g} minutes."
        super().__init__(f"{why} Nothing was changed.",
                         remedy=["sign in again, at /login", f"deployctl user link {name}   # without a password"])


class Over(StrEnum):
    """Why a session is over."""

    ENDED = "ended"  # signed out, or ended by someone
    IDLE = "idle"
    GONE = "gone"  # its user was removed, or the ledger has no such session


def sign_in(name: str, password: str, origin: Origin, s: Services) -> str:
    """Return the secret of a new session. Raises WrongSignIn, TooManyTries."""
    try:
        parse_person(name)
    except Invalid:
        fits(None, password)
        raise _refused("somebody", origin, s) from None
    require_patience(name, s)
    user = s.ledger.find_user(name)
    if fits(user.password if user else None, password):
        with s.ledger.transaction():
            if s.ledger.find_user(name) == user:  # the user lost no rights while the password was checked
                _require_seldom(name, s)
                s.ledger.forget_tries(name)
                return _begin(name, origin, s, "with a password")
    now = s.clock.utc()
    s.ledger.count_try(name, at=now, since=later(now, -ATTEMPTS_KEPT_SECONDS))
    raise _refused(name, origin, s)


def sign_in_by_link(secret: str, origin: Origin, s: Services, *, only: str | None = None) -> str:
    """Return the secret of a new session, for `only` if a user is named; the link is used up. Raises WrongLink."""
    with s.ledger.transaction():  # a sign-out everywhere cannot come between the link and its session
        name = s.ledger.take_link(digest(secret), at=s.clock.utc())
        if name is not None and name == (only or name) and s.ledger.find_user(name) is not None:
            return _begin(name, origin, s, "with a one-time link")
    _note_refusal("somebody", origin, s)
    raise WrongLink


def sign_in_again(who: Principal, proof: str, origin: Origin, s: Services) -> str:
    """Return the secret of a session that replaces the one that `who` has. `proof` is the user's password or one of
    their one-time links, whole. Raises WrongSignIn, WrongLink, TooManyTries."""
    _, is_link, link = proof.strip().rpartition(LINK_PATH)
    secret = sign_in_by_link(link, origin, s, only=who.name) if is_link else sign_in(who.name, proof, origin, s)
    s.ledger.end_sign_ins(who.name, at=s.clock.utc(), id_=who.session)
    return secret


def require_recent(who: Principal, s: Services) -> None:
    """Raises SignInAgain for a session that began too long ago, or in the future. A token has none."""
    if who.signed_in_at is not None and abs(seconds_between(who.signed_in_at, s.clock.utc())) > RECENT_SIGN_IN_SECONDS:
        raise SignInAgain(who.name)


def find_session(secret: str, s: Services) -> Principal | None:
    """Return the user of this session, None if it is over: ended, idle for 12 hours, or its user was removed."""
    found, now = s.ledger.find_sign_in(digest(secret)), s.clock.utc()
    if found is None or found.ended_at or _unseen(found, now) > SESSION_IDLE_SECONDS:
        return None
    user = s.ledger.find_user(found.user)
    if user is None:
        return None
    if _unseen(found, now) > SESSION_NOTE_SECONDS:
        with suppress(DeployctlError):  # a full disk must not lock out an operator who has to roll back
            s.ledger.touch_sign_in(found.id, at=now)
    return Principal(user.name, user.roles, "web", found.id, found.created_at, owner=user.name)


def why_over(secret: str, s: Services) -> Over | None:
    """Return why the session of this secret is over, None if it is not."""
    if find_session(secret, s) is not None:
        return None
    found = s.ledger.find_sign_in(digest(secret))
    if found is None or s.ledger.find_user(found.user) is None:
        return Over.GONE
    return Over.ENDED if found.ended_at else Over.IDLE


def sign_out(who: Principal, s: Services) -> None:
    s.ledger.end_sign_ins(who.name, at=s.clock.utc(), id_=who.session)
    s.ledger.event("signed_out", f"{who.name} signed out", at=s.clock.utc(), actor=who.actor)


def list_sessions(user: str | None, s: Services) -> list[SignIn]:
    """Return the active sessions of the user, or of all users."""
    now = s.clock.utc()
    return [one for one in s.ledger.sign_ins(user) if _unseen(one, now) <= SESSION_IDLE_SECONDS]


def end_session(user: str, session: int, s: Services) -> None:
    """End that session of this user. Raises NotFound."""
    if not s.ledger.end_sign_ins(user, at=s.clock.utc(), id_=session):
        raise NotFound(f"{user} has no session {session}.", remedy=[f"deployctl user sessions {user}"])
    s.ledger.event("session_ended", f"session {session} of {user} was ended", at=s.clock.utc(), actor=s.actor)


def end_sessions(user: str, s: Services) -> int:
    """End all of the user's sessions and void one-time links for and by the user. Return how many sessions there were.

    Raises NotFound.
    """
    require_user(user, s)
    with s.ledger.transaction(durable=True):
        ended = s.ledger.end_sign_ins(user, at=s.clock.utc())
        s.ledger.forget_links(of=user, by=Actor(user, Via.WEB))
    if ended:
        s.ledger.event("session_ended", f"all sessions of {user} were ended", at=s.clock.utc(), actor=s.actor)
    return ended


def require_patience(name: str, s: Services) -> None:
    """Raise TooManyTries if sign-ins under this name failed too often recently."""
    tries = s.ledger.tries(name)
    wait = wait_after(tries.count)
    left = wait - (seconds_between(tries.last_at, s.clock.utc()) if tries.count else 0.0)
    if 0 < left <= wait:  # more remains only if the clock was set back since
        raise TooManyTries(left)


def _require_seldom(name: str, s: Services) -> None:
    """Raises TooManyTries after too many sign-ins within a minute. Without the password nobody learns of this limit.
    One-time links still work: another user created them."""
    at = s.ledger.nth_sign_in(name, OFTEN)
    left = ATTEMPT_WINDOW - abs(seconds_between(at, s.clock.utc())) if at else 0.0
    if left > 0:
        raise TooManyTries(left)


def _unseen(one: SignIn, now: str) -> float:
    """Return for how many seconds it was not used. A time in the future counts as long ago: the clock was set back, and
    a session must not live until that time comes again."""
    return abs(seconds_between(one.seen_at, now))


def _begin(name: str, origin: Origin, s: Services, how: str) -> str:
    secret, now = secrets.token_urlsafe(32), s.clock.utc()
    s.ledger.add_sign_in(digest(secret), name, at=now, **origin.data)
    s.ledger.event("signed_in", f"{name} signed in {how}", at=now, actor=Actor(name, Via.WEB), data=origin.data)
    return secret


def _refused(name: str, origin: Origin, s: Services) -> DeployctlError:
    _note_refusal(name, origin, s)
    return WrongSignIn()


def _note_refusal(name: str, origin: Origin, s: Services) -> None:
    """Count it: for each existing user, and for all unknown names together."""
    known = s.ledger.find_user(name) is not None
    s.ledger.note_refusal(RefusedChange(
        SIGN_IN_REFUSED, Actor("nobody", Via.WEB), f"sign in as {name}" if known else "sign in",
        f"an attempt to sign in as {name if known else 'an unknown user'} was denied", s.clock.utc(),
        data={**origin.data, **({} if known or name == "somebody" else {"name": name})}))
