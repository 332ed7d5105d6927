"""Results that are read from the ledger and returned unchanged: deployments, log lines, the audit log, users and
tokens."""

from __future__ import annotations

from deployctl.dataclass import dataclass
from deployctl.errors import NotFound
from deployctl.usecases.read_facts import require_app

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Annotated, Any, Literal

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.host.access import SignIn, Token, User
    from deployctl.domain.inputs.names import AppName
    from deployctl.domain.inputs.units import At, Ms
    from deployctl.domain.proxy.rejections import Rejection
    from deployctl.ports import Services
    from deployctl.usecases.view.logs import Printed


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`."""

    name: str
    ok: bool
    message: str
    fix: str | None = None
    fatal: bool = True  # False: worth knowing, nothing to fix now
    code: str | None = None  # for programs: image_store_silent, forwarding_off, container_update…


@dataclass(frozen=True, slots=True)
class Findings:
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return all(one.ok or not one.fatal for one in self.findings)


# -- what happened to apps ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class DeploymentList:
    app: Annotated[str, AppName]
    deployments: tuple[Deployment, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a deployment, from the journal; `ok` is null while it runs."""

    kind: str
    release: int | None
    summary: str
    started_at: At
    finished_at: At | None
    ok: bool | None
    duration_ms: Ms | None
    message: str


@dataclass(frozen=True, slots=True)
class DeploymentSteps:
    deployment: Deployment
    steps: tuple[StepRow, ...]

    @property
    def app(self) -> AppName:
        return self.deployment.app


def list_deployments(app: AppName, s: Services, *, limit: int) -> DeploymentList:
    """Return the last ones, newest first. Raises NotFound for an app that never existed here."""
    found = s.ledger.deployments(app, limit=limit)
    if not found:
        require_app(app, s)
    return DeploymentList(app, tuple(found))


def find_deployment(number: int, s: Services) -> DeploymentSteps:
    """Return that deployment with its steps. Raises NotFound."""
    found = s.ledger.find_deployment(number)
    if found is None:
        raise no_such_deployment()
    return DeploymentSteps(found, tuple(map(_step, s.ledger.steps(number))))


def no_such_deployment() -> NotFound:
    return NotFound("there is no such deployment here.")


def _step(row: Mapping[str, Any]) -> StepRow:
    return StepRow(row["kind"], row["release"], row["sentence"], row["begun_at"], row["finished_at"],
                   None if row["ok"] is None else bool(row["ok"]), row["ms"], row["text"] or "")


@dataclass(frozen=True, slots=True)
class LogLines:
    app: Annotated[str, AppName]
    lines: Sequence[Printed]


@dataclass(frozen=True, slots=True)
class RejectionList:
    app: Annotated[str, AppName]
    lines: Sequence[Rejection]


# -- users, tokens, and what they did -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AuditLine:
    """One thing that was done or attempted. `before` and `after` are revisions of the app's traffic."""

    id: int
    at: At
    who: str
    how: str  # cli, web, token, watcher
    address: Annotated[str | None, "Where it came from, as far as that is known."]
    app: Annotated[str | None, "null: it concerns the whole server."]
    what: str  # upgrade, rollback, user_added, denied…
    summary: str
    before: int | None
    after: int | None
    note: str
    result: str  # done, denied, failed
    count: Annotated[int, "Attempts that this line stands for: denied ones within a minute."] = 1


@dataclass(frozen=True, slots=True)
class AuditLog:
    entries: Sequence[AuditLine]


@dataclass(frozen=True, slots=True)
class PersonListed:
    user: User
    sessions: int


@dataclass(frozen=True, slots=True)
class UserList:
    users: tuple[PersonListed, ...]


def count_sessions(users: Sequence[User], sessions: Sequence[SignIn]) -> UserList:
    """Return the users, each with the number of their sessions."""
    return UserList(tuple(PersonListed(user, sum(one.user == user.name for one in sessions)) for user in users))


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    expires_at: At


@dataclass(frozen=True, slots=True)
class UserLink:
    """A user, and a link that signs them in once."""

    user: User
    summary: str
    link: Annotated[Link, "Shown only once."]


@dataclass(frozen=True, slots=True)
class SessionList:
    user: str
    sessions: Sequence[SignIn]


@dataclass(frozen=True, slots=True)
class TokenListed:
    token: Token
    state: Annotated[str, Literal["in_use", "expired", "revoked"]]


@dataclass(frozen=True, slots=True)
class TokenList:
    tokens: tuple[TokenListed, ...]


def with_state(tokens: Sequence[Token], *, now: str) -> TokenList:
    """Return the tokens, each with its state now."""
    return TokenList(tuple(TokenListed(token, token.state(now)) for token in tokens))


@dataclass(frozen=True, slots=True)
class TokenCreated:
    token: TokenListed
    secret: Annotated[str, "Shown only once."]


def created(token: Token, secret: str, *, now: str) -> TokenCreated:
    return TokenCreated(TokenListed(token, token.state(now)), secret)
