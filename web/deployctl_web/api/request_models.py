"""Requests, key by key: written down here, or generated from the table of verbs for those that change an app. Unknown keys
are mistakes."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, create_model

from deployctl.config.fields import ConfigTable
from deployctl.domain.host.access import ALL
from deployctl.usecases.access.tokens import DEFAULT_TOKEN_DAYS
from deployctl.usecases.access.users import LINK_MINUTES
from deployctl.verbs.row import Param, ParamKind, Route, Verb
from deployctl.verbs.table import routes
from deployctl_web.api.request_fields import (
    LAST_RELEASE,
    AppText,
    CommandSeconds,
    CommandWords,
    ComponentText,
    EitherText,
    Flag,
    ImageText,
    KindText,
    Lines,
    LinkMinutes,
    LookFor,
    NoteText,
    PasswordText,
    PersonText,
    PullWord,
    ReasonText,
    ReleaseNumber,
    RoleWord,
    RowId,
    Rows,
    ScopeApp,
    ScopeWord,
    SecretValue,
    SpanField,
    TokenDays,
    TokenText,
    Variables,
    VersionText,
    WhoText,
    whole,
)

HEIR = "The server admin who takes over the user's tokens. Default: the tokens end."


def _example(**members: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [members]})


# -- bodies ---------------------------------------------------------------------------------------------------------
class UserBody(ConfigTable):
    """A user, who can sign in with a link or a password."""

    model_config = _example(name="mara", role="deployer", apps=["shop"])
    name: PersonText
    role: RoleWord
    apps: list[AppText] = Field([], max_length=100, description="Limits the role to these apps. Default: all apps.")


class RoleBody(ConfigTable):
    model_config = _example(role="admin", app="shop")
    role: RoleWord | None = Field(description="null removes the role.")
    app: ScopeApp = ALL
    hand_over: PersonText | None = Field(None, description=HEIR)


class LinkBody(ConfigTable):
    model_config = _example(minutes=15)
    minutes: LinkMinutes = LINK_MINUTES


class PasswordBody(ConfigTable):
    model_config = _example(password="a few words that are hard to guess", current_password="the words before")  # noqa: S106  an example
    password: PasswordText
    current_password: str | None = Field(None, max_length=1024,
                                         description="The current password; required to change your own.")


class TokenBody(ConfigTable):
    """A token for a program: what it may do, where, and how long."""

    model_config = _example(name="ci-shop", scope="deploy", apps=["shop"], days=90)
    name: TokenText
    scope: ScopeWord
    apps: list[AppText] = Field([], max_length=100, description="Limits the role to these apps. Default: all apps.")
    days: TokenDays | None = Field(DEFAULT_TOKEN_DAYS, description="null: until it is revoked.")


class SecretBody(ConfigTable):
    """The value of a secret. It is encrypted at rest, and no answer ever has it."""

    model_config = _example(value="postgres://shop:…@db/shop")
    value: SecretValue


class CommandBody(ConfigTable):
    """A command. No shell reads it, and it gets no input."""

    model_config = _example(command=["bin/report", "--today"], component="worker", timeout=60)
    command: CommandWords
    component: ComponentText | None = Field(None, description="Default: the one that clients reach.")
    timeout: CommandSeconds = Field(60, description="Seconds after which it is ended.")


class SecretRemoveBody(ConfigTable):
    model_config = _example(yes=True)
    yes: Flag = Field(False, description="Must be true: without it nothing is removed.")


# -- queries --------------------------------------------------------------------------------------------------------
class RowsQuery(ConfigTable):
    limit: Rows = Field(50, description="Maximum number of entries, newest first.")


class DiffQuery(ConfigTable):
    before: VersionText = Field(alias="from")
    after: VersionText | None = Field(None, alias="to", description="Default: the live version.")


class LogsQuery(ConfigTable):
    version: VersionText | None = Field(None, description="Default: all with a container, including stopped and failed ones.")
    release: RowId | None = Field(None, description="Only that release. The end of its log outlives its container.")
    tail: Lines = Field(100, description="Maximum number of lines of each release.")
    since: SpanField | None = Field(None, description="Only lines from this time span, such as 10m.")
    grep: LookFor | None = Field(None, description="Only lines that contain this text.")


class RefusalsQuery(ConfigTable):
    tail: Lines = Field(100, description="Maximum number of lines.")
    since: SpanField | None = Field(None, description="Only entries from this time span, such as 10m.")
    grep: LookFor | None = Field(None, description="Only lines that contain this text.")


class AuditQuery(ConfigTable):
    app: EitherText | None = None
    user: WhoText | None = Field(None, description="A user or a token.")
    kind: KindText | None = None
    limit: Rows = 100
    before: RowId | None = Field(None, description="Only entries older than this id, for paging.")


class RemoveQuery(ConfigTable):
    hand_over: PersonText | None = Field(None, description=HEIR)


class SessionsQuery(ConfigTable):
    user: PersonText | None = Field(None, description="Default: your own.")


# -- changes of an app ----------------------------------------------------------------------------------------------------
OPTIONAL: dict[str, tuple[Any, Any]] = {  # type, and value when it is left out
    ParamKind.VERSION: (VersionText | None, None), ParamKind.RELEASE: (ReleaseNumber | None, None),
    ParamKind.IMAGE: (ImageText | None, None),
    ParamKind.ENV: (Variables, {}), ParamKind.PULL: (PullWord | None, None), ParamKind.FLAG: (Flag, False),
    ParamKind.NOTE: (NoteText, ""), ParamKind.COMPONENT: (ComponentText | None, None),
}  # fmt: skip
REQUIRED: dict[str, Any] = {ParamKind.VERSION: VersionText, ParamKind.REASON: ReasonText}


def _model(verb: Verb, route: Route) -> type[ConfigTable]:
    extra: Any = {"examples": [dict(route.example)]} if route.example else {}
    base = type(route.body,
                (ConfigTable,), {"model_config": ConfigDict(json_schema_extra=extra), "__doc__": route.describes or None})
    fields: dict[str, Any] = {param.body: _field(param) for param in verb.params if param.body}
    made: type[ConfigTable] = create_model(route.body, __base__=base, __doc__=route.describes or None,
                                           __module__=__name__, **fields)
    return made


def _field(param: Param) -> tuple[Any, Any]:
    about = param.api_about or None
    if param.kind == ParamKind.NUMBER:
        return whole(param.low or 0, param.high or LAST_RELEASE), Field(description=about)
    if param.required:
        return REQUIRED[param.kind], Field(description=about)
    kind, unsaid = OPTIONAL[param.kind]
    return kind, Field(unsaid, description=about)


def _models() -> dict[str, type[ConfigTable]]:
    """Return them by the name of their schema; verbs with the same parameters share one."""
    made: dict[str, type[ConfigTable]] = {}
    for verb, route in routes().values():
        if route.body not in made:
            made[route.body] = _model(verb, route)
    return made


BODIES = _models()
