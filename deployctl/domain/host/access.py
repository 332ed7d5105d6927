"""Who may do what: a role for each app, or for all apps. Whatever was not granted is denied."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.actor import Actor
from deployctl.domain.inputs.grammar import Grammar, match
from deployctl.domain.inputs.names import owner_of, parse_app
from deployctl.errors import Invalid

if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.inputs.units import At

ALL = "*"  # every app, and what belongs to no app

PERSON = Grammar(
    "a user name",
    r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?",
    "A user name has 1 to 40 characters: a-z, 0-9, and . _ - inside.",
)
TOKEN_NAME = Grammar(
    "a token name",
    r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?",
    "A token name has 1 to 64 characters: a-z, 0-9, and . _ - inside.",
)
_SPAN = Grammar(
    "a token lifetime",
    r"never|(?P<number>[1-9][0-9]{0,3})(?P<unit>d|h)",
    "A token lifetime is days, hours or never: 90d, 12h, never.",
)


class Role(StrEnum):
    """What one may do with an app: view; switch traffic and start or stop versions; everything, including users and
    tokens."""

    VIEWER = "viewer"
    DEPLOYER = "deployer"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        return _ORDER[self] >= _ORDER[needed]


Roles = Annotated[Mapping[str, Role], "App, or * for all, → role."]
_ORDER = {Role.VIEWER: 0, Role.DEPLOYER: 1, Role.ADMIN: 2}
SCOPE_ROLES: dict[str, Role] = {"read": Role.VIEWER, "deploy": Role.DEPLOYER, "admin": Role.ADMIN}


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone who has authenticated. `roles`: app, or `*` for all, → role. `via` is web or token; a web session has an
    id and the time of its sign-in, ISO 8601, UTC. `owner` is the user whose rights bound those of everything it
    creates, None if nobody's: a token created on the command line."""

    name: str
    roles: Mapping[str, Role]
    via: str = "web"
    session: int | None = None
    signed_in_at: str | None = None
    owner: str | None = None

    @property
    def person(self) -> str:
        """Return the user behind it: of a token, its owner."""
        return self.owner or self.name

    def may(self, needed: Role, app: AppName | None) -> bool:
        """Return whether it may do that to this app, or to its backing component, or with None to the whole server."""
        keys = (ALL,) if app is None else (ALL, owner_of(app))
        given = [self.roles[key] for key in keys if key in self.roles]
        return any(role.covers(needed) for role in given)

    def sees(self, apps: Iterable[AppName]) -> list[AppName]:
        """Return those of the apps that it may view."""
        return [app for app in apps if self.may(Role.VIEWER, app)]

    @property
    def actor(self) -> Actor:
        """Return the name as the history shows it: `mara (web)`."""
        return Actor(self.name, self.via)


@dataclass(frozen=True, slots=True)
class User:
    """`password` is an argon2id hash, None if only a one-time link signs in. Times are ISO 8601, UTC."""

    name: str
    roles: Roles
    password: str | None
    created_at: At
    created_by: str

    @property
    def has_password(self) -> Annotated[bool, "Whether a password is set."]:
        return self.password is not None


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser session. `address` and `agent` are those of the sign-in."""

    id: int
    user: str
    created_at: At
    seen_at: At
    address: str
    agent: str
    ended_at: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """One API token, without its secret. `expires_at` None: never; `revoked_at` None: not revoked. It ends when `owner`
    is deleted or is no longer an admin; None: created on the command line, it belongs to the server."""

    id: int
    name: str
    roles: Roles
    created_at: At
    created_by: str
    expires_at: At | None
    used_at: At | None = None
    used_from: str | None = None
    revoked_at: At | None = None
    owner: Annotated[str | None, "The user whose admin role it depends on; null: created on the command line."] = None

    def state(self, now: str) -> str:
        """Return in_use, expired or revoked."""
        over = self.expires_at is not None and self.expires_at <= now
        return "revoked" if self.revoked_at else "expired" if over else "in_use"


@dataclass(frozen=True, slots=True)
class WentAlong:
    """What ended along with a right: tokens by name, revoked or handed over, and changes that were asked to stop, such
    as `upgrade of shop`."""

    ended: tuple[str, ...] = ()
    handed_over: tuple[str, ...] = ()
    heir: str | None = None
    stopped: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Return it as text."""
        lines = []
        if self.ended:
            lines.append(f"tokens revoked: {', '.join(self.ended)}")
        if self.handed_over:
            lines.append(f"tokens now owned by {self.heir}: {', '.join(self.handed_over)}")
        lines += [f"the {one} was asked to stop: until its switch it is reverted completely" for one in self.stopped]
        return tuple(lines)

    @property
    def fields(self) -> dict[str, object]:
        """Return it as JSON fields."""
        return {"tokens_ended": list(self.ended), "tokens_handed_over": list(self.handed_over),
                "changes_stopped": list(self.stopped)}


@dataclass(frozen=True, slots=True)
class Tries:
    """Failed attempts to sign in under one name, whether or not it exists, since the last successful one."""

    count: int = 0
    last_at: str = ""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What became of a request with an idempotency key. `asked` distinguishes requests; without a status it was never
    answered."""

    asked: str
    status: int | None
    body: str | None


FREE_TRIES = 5
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 900.0  # seconds


def wait_after(tries: int) -> float:
    """Return how many seconds that name is blocked after so many failed attempts."""
    if tries < FREE_TRIES:
        return 0.0
    return min(_FIRST_WAIT * 2.0 ** (tries - FREE_TRIES), _LONGEST_WAIT)


def rules_server(roles: Mapping[str, Role]) -> bool:
    """Return whether these roles include admin of the whole server, which is what managing users and tokens takes."""
    return roles.get(ALL) is Role.ADMIN


# -- parsing and writing ------------------------------------------------------------------------------------------------
def parse_person(text: str) -> str:
    """Return the name. Raises Invalid."""
    return match(text, PERSON, "the name")[0]


def parse_token_name(text: str) -> str:
    """Return the name. Raises Invalid."""
    return match(text, TOKEN_NAME, "the name")[0]


def parse_role(text: str) -> Role:
    """Return the role of that name. Raises Invalid."""
    try:
        return Role(text)
    except ValueError:
        raise Invalid(f"{ascii(text)[:40]} is not a role.", remedy=[f"one of {', '.join(Role)}"]) from None


def parse_scope(text: str) -> Role:
    """Return the role that a token of this scope stands for. Raises Invalid."""
    if text not in SCOPE_ROLES:
        raise Invalid(f"{ascii(text)[:40]} is not a scope.", remedy=[f"one of {', '.join(SCOPE_ROLES)}"])
    return SCOPE_ROLES[text]


def parse_days(text: str) -> float | None:
    """Return the lifetime of a token in days, None for unlimited. Raises Invalid."""
    found = match(text, _SPAN, "the lifetime")
    if found[0] == "never":
        return None
    return int(found["number"]) / (24 if found["unit"] == "h" else 1)


def given(role: Role, apps: Iterable[str]) -> dict[str, Role]:
    """Return that role for these apps, or for all if none is named. Raises Invalid if one is not an app name."""
    names: list[str] = [parse_app(app) for app in apps]
    return dict.fromkeys(names or [ALL], role)


def roles_text(roles: Mapping[str, Role]) -> str:
    """Return the roles as text: `admin`, or `viewer, deployer of shop`."""
    return ", ".join(str(role) if app == ALL else f"{role} for {app}" for app, role in sorted(roles.items())) or "none"


def roles_json(roles: Mapping[str, Role]) -> str:
    return json.dumps({app: str(role) for app, role in sorted(roles.items())})


def parse_roles(text: str) -> dict[str, Role]:
    """Parse what `roles_json` wrote."""
    return {str(app): Role(role) for app, role in json.loads(text).items()}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an attempt came from: shown in the audit log, never trusted."""

    address: str = "-"
    agent: str = field(default="")

    @property
    def data(self) -> dict[str, str]:
        return {"address": self.address[:64], "agent": self.agent[:200]}
