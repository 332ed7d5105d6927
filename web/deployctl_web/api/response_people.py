"""Responses about the server, users and tokens, key by key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from deployctl.domain.host.access import Role
from deployctl.usecases.results import AuditLine, Finding
from deployctl_web.api.response_models import Answer, At, Document
from deployctl_web.server_facts import DashboardFacts

MayDo = Annotated[Role, WithJsonSchema({"type": "string", "enum": [str(one) for one in Role]})]
Roles = Annotated[dict[str, MayDo], Field(description="App, or * for all, → role.", examples=[{"shop": "deployer"}])]


class ServerChecks(Document):
    kind: Literal["Doctor"]
    ok: bool
    findings: list[Finding]
    dashboard: DashboardFacts


class Audit(Document):
    kind: Literal["Audit"]
    entries: list[AuditLine]


class Person(Answer):
    name: str
    roles: Roles
    password: bool = Field(description="Whether a password is set.")
    created_at: At
    created_by: str


class PersonListed(Person):
    sessions: int


class Users(Document):
    kind: Literal["Users"]
    users: list[PersonListed]


class Link(Answer):
    url: str
    expires_at: At


class User(Document, Person):
    kind: Literal["User"]
    ok: Literal[True]
    summary: str
    link: Link = Field(description="Shown only once.")


class Session(Answer):
    id: int
    created_at: At
    seen_at: At
    address: str
    agent: str


class Sessions(Document):
    kind: Literal["Sessions"]
    user: str
    sessions: list[Session]


class TokenListed(Answer):
    id: int
    name: str
    roles: Roles
    created_at: At
    created_by: str
    expires_at: At | None
    used_at: At | None
    used_from: str | None
    revoked_at: At | None
    owner: str | None = Field(description="The user whose admin role it depends on; null: created on the command line.")
    state: Literal["in_use", "expired", "revoked"]


class Tokens(Document):
    kind: Literal["Tokens"]
    tokens: list[TokenListed]


class Token(Document, TokenListed):
    kind: Literal["Token"]
    ok: Literal[True]
    secret: str = Field(description="Shown only once.")
