"""Responses, key by key: the JSON of the command line, described for the OpenAPI document. A test compares the two."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from deployctl.domain.change.diagnosis import FailureCause
from deployctl.domain.images.release import Bundle, Colour, Hold
from deployctl.usecases.results import DiffLine, StepDone
from deployctl_web.api.request_fields import AppText, VersionText
from deployctl_web.api.response_app import Answer as Answer
from deployctl_web.api.response_app import App as App
from deployctl_web.api.response_app import At as At
from deployctl_web.api.response_app import Back as Back
from deployctl_web.api.response_app import Config as Config
from deployctl_web.api.response_app import Document as Document
from deployctl_web.api.response_app import Drift as Drift
from deployctl_web.api.response_app import FailedPrecision as FailedPrecision
from deployctl_web.api.response_app import Instance as Instance
from deployctl_web.api.response_app import Ms as Ms
from deployctl_web.api.response_app import Part as Part
from deployctl_web.api.response_app import Ready as Ready
from deployctl_web.api.response_app import Status as Status
from deployctl_web.api.response_app import UnderWay as UnderWay
from deployctl_web.api.response_app import WhyNotPassing as WhyNotPassing


class Change(Answer):
    """One switch of the traffic."""

    revision: int
    at: At
    action: str
    from_version: str | None
    to_version: str | None
    from_release: int | None
    to_release: int | None
    actor: str
    switch_ms: Ms | None
    note: str


class Deployment(Answer):
    """One attempt to change an app."""

    id: int
    action: str
    from_release: int | None
    to_release: int | None
    phase: str
    actor: str
    note: str
    started_at: At
    finished_at: At | None
    error: str | None
    error_code: str | None = Field(description="The same for programs: the code of an error, or how else it ended.")
    cause: FailureCause | None = Field(description="Why its candidate failed, as far as that is known.")
    evidence: list[str]


class ReadyVersion(Answer):
    version: str
    release: int
    readiness: Ready


class History(Document):
    kind: Literal["History"]
    app: AppText
    changes: list[Change]
    attempts: list[Deployment] = Field(description="Attempts that did not succeed.")
    releases: list[ReadyVersion]


class Shown(Document):
    """One version as it was deployed, complete."""

    kind: Literal["Release"]
    app: AppText
    version: VersionText
    release: int
    digest: str
    colour: Colour | None
    created_at: At
    proven_at: At | None
    failure: str | None
    failure_code: str | None
    hold: Hold | None
    bundle: Bundle
    bundle_hash: str
    cap_drop: list[str] = Field(description="Linux capabilities that its containers run without.")
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
    message: str


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
    summary: str
    begun_at: At
    finished_at: At | None
    ok: bool | None
    duration_ms: Ms | None
    message: str


class DeploymentShown(Document):
    kind: Literal["Deployment"]
    app: AppText
    deployment: Deployment
    steps: list[Step]


# -- changes ------------------------------------------------------------------------------------------------------------
class ImageNews(Answer):
    """What a registry reported of the image. Digests are the registry's own."""

    code: Literal["tag_moved", "to_pull", "unverified", "only_here"]
    reference: str
    from_digest: str | None = Field(description="The digest this server had; null: never pulled.")
    to_digest: str | None
    why: str | None = Field(description="Why the registry could not be checked.")
    message: str


class Moved(Document):
    """Where the traffic is now, and what it took. `changed` is false if nothing had to be done."""

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
    confirmed: bool = Field(description="HAProxy confirmed the switch.")
    failed_requests: int | None = Field(description="As counted by HAProxy; null if it was not responding.")
    failed_precision: FailedPrecision
    changed: bool = Field(description="false: the version was already live.")
    colour: Colour | None
    image_checked: bool = Field(description="false: Docker was not responding, so the live version's image was not checked.")
    held: list[str]
    lifted: list[str]
    standby: str | None
    warnings: list[str]
    steps: list[StepDone]
    image: ImageNews | None
    taken_over: list[DiffLine] = Field(description="Settings of the app that were changed without a switch.")


class Done(Document):
    """The resulting state, in one sentence; further keys depend on the verb."""

    model_config = ConfigDict(extra="allow")
    kind: str
    ok: Literal[True]
    app: str
    changed: bool
    summary: str
    details: list[str]


class Problem(Answer):
    """An error (RFC 9457). `code` is the same word as on the command line."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened, for people.")
    code: str
    cause: FailureCause | None = Field(description="Why a candidate failed, as far as that is known.")
    remedy: list[str] = Field(description="Suggested next steps.")
    serving: Serving | None = Field(description="The live version, if known.")
    details: list[str] = Field(description="Evidence: invalid fields, last log lines, probe results.")
    revision: int | None = Field(description="The revision at which confirmation was requested.")


class Serving(Answer):
    app: str
    version: str
    release: int
    revision: int
    address: str | None


class Operation(Document):
    """Something that takes longer. Once done it has a result or an error."""

    kind: Literal["Operation"]
    id: str
    app: AppText
    action: str
    actor: str
    started_at: At
    ended_at: At | None
    deployment: int | None
    done: bool
    step: str
    detail: str
    result: Moved | Done | None
    error: Problem | None
