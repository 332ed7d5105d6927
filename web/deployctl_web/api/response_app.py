"""Responses about an app's present state, key by key, and the base of all responses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from deployctl.domain.change.drift import DriftKind as DriftKind
from deployctl.domain.change.probes import HealthReason
from deployctl.domain.change.readiness import Code, How
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.images.release import Colour, ReleaseRole
from deployctl.domain.proxy.traffic import Precision
from deployctl.usecases.results import ConfigCode, DiffLine
from deployctl_web.api.request_fields import AppText, VersionText

At = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-01T12:00:00.000Z"]})]
Part = Annotated[ReleaseRole, WithJsonSchema({"type": "string", "enum": [str(one) for one in ReleaseRole]})]
WhyNotPassing = Annotated[HealthReason, WithJsonSchema({
    "type": "string", "enum": [str(one) for one in HealthReason],
    "description": "none_answered: the probe passes, but none of at least ten requests in the last minute succeeded."})]
FailedPrecision = Annotated[Precision, WithJsonSchema({
    "type": "string", "enum": [str(one) for one in Precision],
    "description": "at_most: HAProxy before 2.8; clients that disconnected may be included in failed_requests."})]
Ms = Annotated[float, Field(ge=0, description="Milliseconds.")]


class Answer(BaseModel):
    """An object whose keys are all known."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Document(Answer):
    schema_: Literal["deployctl/v1"] = Field(alias="schema")


# -- apps ---------------------------------------------------------------------------------------------------------------
class Ready(Answer):
    """Whether it can be rolled back to: `how` says what that takes, `why` what prevents it, or what to note, and `code`
    the same for programs."""

    ready: bool
    how: How | None
    why: str | None
    code: Code | None
    seconds: float | None


class Back(Answer):
    """What a rollback without a version means."""

    version: VersionText
    release: int
    name: str = Field(description="Its name on the command line: the version, or VERSION@RELEASE if it has several.")
    warm: bool
    brings_back: list[str] = Field(description="What would change: image, names of variables and settings.")
    ready: bool
    how: How | None
    why: str | None
    code: Code | None
    seconds: float | None


class Instance(Answer):
    """One running version, as HAProxy and Docker see it now. Counts are HAProxy's, since it was started."""

    version: VersionText
    release: int
    role: Part
    port: int = Field(description="On 127.0.0.1.")
    address: str
    health: Literal["passing", "failing", "stopped", "unknown"]
    health_reason: WhyNotPassing | None
    weight: int = Field(ge=0, le=100, description="Percentage of requests.")
    container: str | None
    colour: Colour | None
    digest: str
    held: bool
    warm: bool
    probe_message: str
    probe_ms: float | None
    status: str
    requests: int
    in_flight: int
    failed_requests: int
    failed_precision: FailedPrecision
    closed_connections: int = Field(description="Long-lived connections that were closed by HAProxy reloads.")
    answers_5xx: int
    response_ms: float
    since: At | None
    readiness: Ready | None


class UnderWay(Answer):
    """A deployment in progress. `interrupted`: its process is gone."""

    id: int
    kind: str
    phase: str
    by: str
    since: At
    interrupted: bool
    to: str | None


class Drift(Answer):
    """One contradiction between the ledger and what runs."""

    code: DriftKind
    release: int | None
    summary: str


class Note(Answer):
    """What people should know of an app besides its state."""

    code: NoteCode
    version: str | None
    release: int | None
    message: str


class Config(Answer):
    """How the app's file compares with what was last deployed."""

    code: ConfigCode
    why: str | None
    differences: list[DiffLine] = Field(description="Values that may be secrets are hidden.")


class App(Answer):
    app: AppText
    address: str | None
    hosts: list[str]
    revision: int = Field(description="Counts every traffic switch of the app.")
    state: Literal["not_deployed", "healthy", "degraded", "down", "deploying", "unknown"]
    active: Instance | None
    standby: Instance | None
    instances: list[Instance]
    deployment: UnderWay | None
    since: At | None
    notes: list[str]
    notices: list[Note] = Field(description="The same as `notes`, with codes.")
    drift: list[str]
    drifts: list[Drift] = Field(description="The same, with codes.")
    quality: str | None
    rollback: Back | None
    config: Config | None = Field(description="null: not checked, in a list of apps.")


class Status(Document):
    kind: Literal["Status"]
    apps: list[App]
    engine: str | None = Field(description="null: Docker is responding. Otherwise why not.")
    engine_code: str | None = Field(description="The code of that error.")
    proxy: str | None = Field(description="null: HAProxy is responding. Otherwise why not.")
    proxy_code: str | None = Field(description="The code of that error.")
