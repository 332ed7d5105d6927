"""What requests may say, key by key; those that change an app: api_bodies. A key that is not here is a mistake."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from deployctl.config.fields import ConfigTable
from deployctl.domain.host.access import ALL
from deployctl.usecases.access.tokens import DEFAULT_TOKEN_DAYS
from deployctl.usecases.access.users import LINK_MINUTES
from deployctl_web.api.request_fields import (
    AppText,
    KindText,
    Lines,
    LinkMinutes,
    LookFor,
    PasswordText,
    PersonText,
    RoleWord,
    RowId,
    Rows,
    ScopeApp,
    ScopeWord,
    SpanField,
    TokenDays,
    TokenText,
    VersionText,
    WhoText,
)

HEIR = "The admin of the server to whom the user's tokens belong from then on. Left out: they end."


def _example(**members: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [members]})


# -- bodies ---------------------------------------------------------------------------------------------------------
class UserBody(ConfigTable):
    """Somebody who may sign in, once he has a link or a password."""

    model_config = _example(name="mara", role="deployer", apps=["shop"])
    name: PersonText
    role: RoleWord
    apps: list[AppText] = Field([], max_length=100, description="For these apps; for all when none is named.")


class RoleBody(ConfigTable):
    model_config = _example(role="admin", app="shop")
    role: RoleWord | None = Field(description="null takes it away.")
    app: ScopeApp = ALL
    hand_over: PersonText | None = Field(None, description=HEIR)


class LinkBody(ConfigTable):
    model_config = _example(minutes=15)
    minutes: LinkMinutes = LINK_MINUTES


class PasswordBody(ConfigTable):
    model_config = _example(password="a few words that nobody would guess", was="the words before")  # noqa: S106  an example
    password: PasswordText
    was: str | None = Field(None, max_length=1024, description="The password until now: whoever changes his own says it.")


class TokenBody(ConfigTable):
    """A token for a program: what it may do, where, and how long."""

    model_config = _example(name="ci-shop", scope="deploy", apps=["shop"], days=90)
    name: TokenText
    scope: ScopeWord
    apps: list[AppText] = Field([], max_length=100, description="For these apps; for all when none is named.")
    days: TokenDays | None = Field(DEFAULT_TOKEN_DAYS, description="null: until it is revoked.")


# -- queries --------------------------------------------------------------------------------------------------------
class RowsQuery(ConfigTable):
    limit: Rows = Field(50, description="How many, the last one first.")


class DiffQuery(ConfigTable):
    before: VersionText = Field(alias="from")
    after: VersionText | None = Field(None, alias="to", description="Left out: the version that serves.")


class LogsQuery(ConfigTable):
    version: VersionText | None = Field(None, description="Left out: all that have a container, stopped and failed ones too.")
    release: RowId | None = Field(None, description="Only that release. The end of the log of one without a container is kept.")
    tail: Lines = Field(100, description="How many lines of each release.")
    since: SpanField | None = Field(None, description="Only what was written in the last span.")
    grep: LookFor | None = Field(None, description="Only lines with this text.")


class RefusalsQuery(ConfigTable):
    tail: Lines = Field(100, description="How many lines.")
    since: SpanField | None = Field(None, description="Only what happened in the last span.")
    grep: LookFor | None = Field(None, description="Only lines with this text.")


class AuditQuery(ConfigTable):
    app: AppText | None = None
    user: WhoText | None = Field(None, description="A user or a token.")
    kind: KindText | None = None
    limit: Rows = 100
    before: RowId | None = Field(None, description="Only entries before the one with this id: the next page.")


class RemoveQuery(ConfigTable):
    hand_over: PersonText | None = Field(None, description=HEIR)


class SessionsQuery(ConfigTable):
    user: PersonText | None = Field(None, description="Left out: your own; for an admin of the server those of everybody.")
