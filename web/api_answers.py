"""What answers hold, key by key: the JSON of the command line, told to the OpenAPI document. A test compares the two."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from deployctl.domain.drift import Kind as DriftKind
from deployctl.domain.health import HealthReason
from deployctl.domain.readiness import Code, How
from deployctl.domain.release import Bundle, Colour, Hold, Role
from deployctl.domain.traffic import Precision
from deployctl.usecases.results import ConfigCode, DiffLine, StepDone
from deployctl.web.api_fields import AppText, VersionText

At = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-01T12:00:00.000Z"]})]
Part = Annotated[Role, WithJsonSchema({"type": "string", "enum": [str(one) for one in Role]})]
WhyNotPassing = Annotated[HealthReason, WithJsonSchema({
    "type": "string", "enum": [str(one) for one in HealthReason],
    "description": "none_answered: its probe is fine, and of at least ten requests of the last minute none was answered."})]
FailedPrecision = Annotated[Precision, WithJsonSchema({
    "type": "string", "enum": [str(one) for one in Precision],
    "description": "at_most: HAProxy before 2.8, visitors who hung up may be among failed_requests."})]
Ms = Annotated[float, Field(ge=0, description="Milliseconds.")]


class Answer(BaseModel):
    """An object of which every key is known."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Document(Answer):
    schema_: Literal["deployctl/v1"] = Field(alias="schema")


# -- apps ---------------------------------------------------------------------------------------------------------------
class Ready(Answer):
    """Whether it can be rolled back to: `how` says what that takes, `why` what hinders, or is to be known first, and
    `code` the same for programs."""

    ready: bool
    how: How | None
    why: str | None
    code: Code | None
    seconds: float | None


class Back(Answer):
    """What a rollback without a version means."""

    version: VersionText
    release: int
    name: str = Field(description="What names it on the command line: the version, or VERSION@RELEASE where it has several.")
    warm: bool
    brings_back: list[str] = Field(description="What would be otherwise: image, names of variables and settings.")
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
    weight: int = Field(ge=0, le=100, description="Percent of the requests.")
    container: str | None
    colour: Colour | None
    digest: str
    held: bool
    warm: bool
    said: str
    probe_ms: float | None
    status: str
    requests: int
    in_flight: int
    failed_requests: int
    failed_precision: FailedPrecision
    answers_5xx: int
    response_ms: float
    since: At | None
    readiness: Ready | None


class UnderWay(Answer):
    """A deployment that is not finished. `interrupted`: whoever did it is gone."""

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
    sentence: str


class Config(Answer):
    """How the app's file stands to what was deployed last."""

    code: ConfigCode
    why: str | None
    differences: list[DiffLine] = Field(description="Values that may be secrets are hidden.")


class App(Answer):
    app: AppText
    address: str | None
    hosts: list[str]
    revision: int = Field(description="Counts every change of the app's traffic.")
    state: Literal["not_deployed", "healthy", "degraded", "down", "deploying", "unknown"]
    active: Instance | None
    standby: Instance | None
    instances: list[Instance]
    deployment: UnderWay | None
    since: At | None
    notes: list[str]
    drift: list[str]
    drifts: list[Drift] = Field(description="The same with codes.")
    quality: str | None
    rollback: Back | None
    config: Config | None = Field(description="null: not looked at, in a list of apps.")


class Status(Document):
    kind: Literal["Status"]
    apps: list[App]
    engine: str | None = Field(description="null: Docker answers. Else why not.")
    proxy: str | None = Field(description="null: HAProxy answers. Else why not.")


class Change(Answer):
    """One move of the traffic."""

    revision: int
    at: At
    kind: str
    from_: str | None = Field(alias="from")
    to: str | None
    from_release: int | None
    to_release: int | None
    by: str
    switch_ms: Ms | None
    note: str


class Deployment(Answer):
    """One attempt to change an app."""

    id: int
    kind: str
    from_release: int | None
    to_release: int | None
    phase: str
    by: str
    note: str
    started_at: At
    finished_at: At | None
    error: str | None
    evidence: list[str]


class ReadyVersion(Answer):
    version: str
    release: int
    readiness: Ready


class History(Document):
    kind: Literal["History"]
    app: AppText
    changes: list[Change]
    attempts: list[Deployment] = Field(description="Those that did not succeed.")
    releases: list[ReadyVersion]


class Shown(Document):
    """One version as it was deployed, whole."""

    kind: Literal["Release"]
    app: AppText
    version: VersionText
    release: int
    digest: str
    colour: Colour | None
    created_at: At
    proven_at: At | None
    failure: str | None
    hold: Hold | None
    bundle: Bundle
    bundle_hash: str
    role: Part
    instance: Instance | None
    last_deployment: Deployment | None
    siblings: list[int]
    readiness: Ready | None


class Side(Answer):
    version: VersionText
    release: int


class Diff(Document):
    kind: Literal["Diff"]
    app: AppText
    from_: Side = Field(alias="from")
    to: Side
    differences: list[DiffLine]


class Line(Answer):
    version: str
    release: int
    at: str
    stream: Literal["stdout", "stderr"]
    text: str


class Logs(Document):
    kind: Literal["Logs"]
    app: AppText
    lines: list[Line]


class Deployments(Document):
    kind: Literal["Deployments"]
    app: AppText
    deployments: list[Deployment]


class Step(Answer):
    kind: str
    release: int | None
    sentence: str
    begun_at: At
    finished_at: At | None
    ok: bool | None
    ms: Ms | None
    text: str


class DeploymentShown(Document):
    kind: Literal["Deployment"]
    app: AppText
    deployment: Deployment
    steps: list[Step]


# -- changes ------------------------------------------------------------------------------------------------------------
class ImageNews(Answer):
    """What a registry said of the image. Digests are the registry's own."""

    code: Literal["tag_moved", "to_pull", "unverified", "only_here"]
    reference: str
    from_digest: str | None = Field(description="Under which this server had it; null: it was never pulled.")
    to_digest: str | None
    why: str | None = Field(description="Why the registry could not tell.")
    message: str


class Moved(Document):
    """Where the traffic is now, and what it took. `changed` is false when all was so already."""

    kind: Literal["Upgrade", "Rollback", "Undo"]
    ok: Literal[True]
    app: AppText
    from_: str | None = Field(alias="from")
    to: str
    from_release: int | None
    to_release: int | None
    revision: int
    switch_ms: Ms
    total_ms: Ms
    confirmed: bool = Field(description="HAProxy said itself that it was done.")
    failed_requests: int | None = Field(description="By HAProxy's own count; null when it could not be asked.")
    failed_precision: FailedPrecision
    changed: bool
    colour: Colour | None
    image_checked: bool = Field(description="false: Docker was away, so the image of what serves goes by the last look.")
    held: list[str]
    lifted: list[str]
    standby: str | None
    warnings: list[str]
    steps: list[StepDone]
    image: ImageNews | None


class Done(Document):
    """What is so now, in one sentence; further keys are of the verb."""

    model_config = ConfigDict(extra="allow")
    kind: str
    ok: Literal[True]
    app: str
    changed: bool
    sentence: str
    details: list[str]


class Problem(Answer):
    """A refusal (RFC 9457). `code` is the same word as on the command line."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened, for people.")
    code: str
    remedy: list[str] = Field(description="What to do next.")
    serving: Serving | None = Field(description="Who answers visitors now, where that is known.")
    details: list[str] = Field(description="Evidence: mistakes, the last lines of a log, answers to probes.")
    revision: int | None = Field(description="At which a question was asked.")


class Serving(Answer):
    app: str
    version: str
    release: int
    revision: int
    address: str | None


class Operation(Document):
    """Something that takes long. When it is done it has a result or an error."""

    kind: Literal["Operation"]
    id: str
    app: AppText
    verb: str
    by: str
    started_at: At
    ended_at: At | None
    deployment: int | None
    done: bool
    step: str
    detail: str
    result: Moved | Done | None
    error: Problem | None
