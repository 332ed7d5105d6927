"""Users who may sign in: the first is created on the command line, so that no page is ever open to the first
visitor."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from deployctl.dataclass import replace
from deployctl.domain.host.access import Principal, Role, User, parse_person, roles_text, rules_server
from deployctl.domain.host.actor import Actor, Via
from deployctl.errors import DeployctlError, Refused
from deployctl.usecases.access.passwords import hashed, require_good
from deployctl.usecases.access.revoke import end_with
from deployctl.usecases.clock_math import later
from deployctl.usecases.read_facts import not_known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import WentAlong
    from deployctl.ports import Services

LINK_MINUTES = 15
LINK_PATH = "/start/"  # of the dashboard, before the secret


def add_user(name: str, roles: Mapping[str, Role], s: Services) -> User:
    """Create a user who cannot sign in yet: that takes a link or a password. Raises Invalid, Refused (name taken)."""
    user = User(parse_person(name), dict(roles), None, s.clock.utc(), s.actor)
    if not s.ledger.add_user(user):
        raise Refused(f"a user {name} already exists.", remedy=[f"deployctl user role {name} ROLE", "deployctl user list"])
    _tell("user_added", f"{name} can sign in as {roles_text(roles)}", s)
    return user


def list_users(s: Services) -> list[User]:
    return s.ledger.users()


def require_user(name: str, s: Services) -> User:
    """Return the user of that name. Raises NotFound."""
    found = s.ledger.find_user(name)
    if found is None:
        raise not_known(f'no user "{name[:40]}".', name, [u.name for u in s.ledger.users()],
                        remedy=["deployctl user list", "deployctl user add NAME"])
    return found


def set_role(name: str, role: Role | None, app: str, s: Services, *, hand_over: str | None = None) -> tuple[User, WentAlong]:
    """Grant the role for that app, or for all with `*`; None revokes it. One-time links for the user become void: they
    were created for other roles. A user who is no longer an admin of the server has no tokens: they are handed over to
    that admin, or end. Raises NotFound, Refused (the last admin, no heir)."""
    with s.ledger.transaction(durable=True):  # a concurrent revocation by another admin must not be overwritten
        user = require_user(name, s)
        roles = roles_after(user, role, app)
        if rules_server(user.roles) and not rules_server(roles):
            _require_other_admin(name, s)
        s.ledger.set_roles(name, roles)
        s.ledger.forget_links(of=name)
        after = Principal(name, roles)
        went = end_with(name, lambda one: after.may(Role.DEPLOYER, one), s, heir=hand_over, keeps_tokens=rules_server(roles))
    _tell("user_role", f"{name} is now {roles_text(roles)}", s)
    _tell_tokens(went, name, s)
    return replace(user, roles=roles), went


def roles_after(user: User, role: Role | None, app: str) -> dict[str, Role]:
    """Return the user's roles once that role is granted, or with None revoked."""
    roles = {key: was for key, was in user.roles.items() if key != app}
    return roles if role is None else {**roles, app: role}


def remove_user(name: str, s: Services, *, hand_over: str | None = None) -> WentAlong:
    """Delete the user and end all sessions; the tokens are handed over to that admin, or end.

    Raises NotFound, Refused (the last admin, no heir).
    """
    with s.ledger.transaction(durable=True):
        user = require_user(name, s)
        if rules_server(user.roles):
            _require_other_admin(name, s)
        s.ledger.remove_user(name, at=s.clock.utc())
        went = end_with(name, lambda _app: False, s, heir=hand_over)
    _tell("user_removed", f"{name} can no longer sign in", s)
    _tell_tokens(went, name, s)
    return went


def set_password(name: str, password: str, s: Services, *, keep: int | None = None) -> None:
    """Change it, end the user's sessions except `keep`, and void one-time links for and by the user.

    Raises NotFound, Invalid.
    """
    require_user(name, s)
    hash_ = hashed(require_good(password))
    with s.ledger.transaction(durable=True):
        s.ledger.set_password(name, hash_)
        s.ledger.end_sign_ins(name, at=s.clock.utc(), but=keep)
        s.ledger.forget_links(of=name, by=Actor(name, Via.WEB))
        s.ledger.forget_tries(name)
    _tell("user_password", f"the password of {name} was set", s)


def make_link(name: str, s: Services, *, minutes: float = LINK_MINUTES) -> str:
    """Return the secret of a link that signs this user in once, within that many minutes. Raises NotFound."""
    require_user(name, s)
    secret, now = secrets.token_urlsafe(32), s.clock.utc()
    s.ledger.add_link(digest(secret), name, at=now, until=later(now, minutes * 60), maker=s.actor)
    _tell("link_made", f"a one-time link for {name}, valid for {minutes:g} minutes", s)
    return secret


def link_url(secret: str, s: Services) -> str:
    """Return the address to open to be signed in by that link."""
    return f"{s.spec.web.base}{LINK_PATH}{secret}"


def digest(secret: str) -> str:
    """Return what the ledger stores of a secret. It is random and long, so a plain hash is enough."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _require_other_admin(name: str, s: Services) -> None:
    if not any(rules_server(u.roles) for u in s.ledger.users() if u.name != name):
        raise Refused(f"{name} is the last admin of this server. Nothing was changed.",
                      remedy=["deployctl user add NAME --role admin"])


def _tell_tokens(went: WentAlong, user: str, s: Services) -> None:
    for name in went.ended:
        _tell("token_revoked", f"the token {name} was revoked together with the rights of {user}", s)
    for name in went.handed_over:
        _tell("token_handed_over", f"the token {name} of {user} now belongs to {went.heir}", s)


def _tell(kind: str, sentence: str, s: Services) -> None:
    try:
        s.ledger.event(kind, sentence, at=s.clock.utc(), actor=s.actor)
    except DeployctlError as e:
        s.report.warn(f"could not write the audit log: {e.message}")
