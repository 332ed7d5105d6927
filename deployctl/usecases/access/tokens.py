"""API tokens: shown once, stored as a hash, limited in scope, apps and lifetime."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.domain.host.access import Principal, Token, WentAlong, parse_token_name, roles_text, rules_server
from deployctl.domain.host.actor import Actor, Via
from deployctl.errors import DeployctlError, NotPermitted, Refused
from deployctl.usecases.access.revoke import end_with_token
from deployctl.usecases.access.users import digest
from deployctl.usecases.clock_math import later, seconds_between
from deployctl.usecases.read_facts import not_known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import Role
    from deployctl.ports import Services

PREFIX = "dctl_"  # lets secret scanners recognise one
DEFAULT_TOKEN_DAYS = 90.0
TOKEN_NOTE_SECONDS = 60.0  # seconds between two records of when it was last used


@dataclass(frozen=True, slots=True)
class Created:
    token: Token
    secret: str  # shown only this once


def create_token(name: str, roles: Mapping[str, Role], s: Services, *, days: float | None = DEFAULT_TOKEN_DAYS,
                 owner: str | None = None) -> Created:
    """Create a token; `days` None never expires. It ends with the admin rights of `owner`; None makes it the server's
    own.

    Raises Invalid, NotPermitted (the owner is no longer an admin), Refused (a token of that name is in use).
    """
    now = s.clock.utc()
    secret = PREFIX + secrets.token_urlsafe(32)
    until = None if days is None else later(now, days * 86_400)
    token = Token(0, parse_token_name(name), dict(roles), now, s.actor, until, owner=owner)
    with s.ledger.transaction():  # the owner cannot lose the rights between this check and the token
        _require_owner(owner, s)
        made = s.ledger.add_token(token, digest(secret))
    if made is None:
        raise Refused(f"a token {name} is already in use.", remedy=[f"deployctl token revoke {name}", "or choose another name"])
    s.ledger.event("token_made", f"the token {name} was created: {roles_text(roles)}, until {until or 'it is revoked'}", at=now,
                   actor=s.actor)
    return Created(made, secret)


def list_tokens(s: Services) -> list[Token]:
    """Return all tokens, newest first, including revoked ones."""
    return s.ledger.tokens()


def require_token(name: str, s: Services) -> Token:
    """Return the active token of that name. Raises NotFound."""
    in_use = [token for token in s.ledger.tokens() if not token.revoked_at]
    found = next((token for token in in_use if token.name == name), None)
    if found is None:
        raise not_known(f'no token "{name[:64]}" is in use.', name, [token.name for token in in_use],
                        remedy=["deployctl token list"])
    return found


def revoke_token(name: str, s: Services) -> WentAlong:
    """Revoke it immediately, and ask its deployments in progress to stop. Raises NotFound."""
    require_token(name, s)
    with s.ledger.transaction():
        s.ledger.revoke_token(name, at=s.clock.utc())
        stopped = end_with_token(name, s)
    s.ledger.event("token_revoked", f"the token {name} was revoked", at=s.clock.utc(), actor=s.actor)
    return WentAlong(stopped=tuple(stopped))


def made_with(name: str, s: Services) -> list[str]:
    """Return the active tokens that the token of that name created: they stay valid when it is revoked."""
    now = s.clock.utc()
    return [one.name for one in s.ledger.tokens() if one.created_by == Actor(name, Via.TOKEN) and one.state(now) == "in_use"]


def go_on(others: Sequence[str]) -> tuple[str, ...]:
    """Return the line that names tokens created by a revoked one, if there are any."""
    return (f"created with it and still in use: {', '.join(others)}",) if others else ()


def _require_owner(owner: str | None, s: Services) -> None:
    user = None if owner is None else s.ledger.find_user(owner)
    if owner is not None and (user is None or not rules_server(user.roles)):
        raise NotPermitted(f"{owner} is no longer an admin of this server. Nothing was changed.", code="rights_changed")


def find_token(secret: str, s: Services, *, address: str) -> Principal | None:
    """Return what the token grants, None if it is unknown, revoked or expired."""
    if not secret.startswith(PREFIX):
        return None
    found, now = s.ledger.find_token(digest(secret)), s.clock.utc()
    if found is None or found.state(now) != "in_use":
        return None
    if found.used_at is None or found.used_from != address or seconds_between(found.used_at, now) > TOKEN_NOTE_SECONDS:
        with suppress(DeployctlError):  # a full disk must not keep a program from rolling back
            s.ledger.touch_token(found.id, at=now, address=address[:64])
    return Principal(found.name, found.roles, "token", owner=found.owner)
