"""What the verbs return. CLI, API and pages show these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.drift_kinds import DriftKind as Drifted
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.proxy.traffic import Precision

if TYPE_CHECKING:
    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.drift import Drift
    from deployctl.domain.change.drift_kinds import Repair
    from deployctl.domain.change.plan import Plan
    from deployctl.domain.change.probes import HealthReason
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.change.status_note import StatusNote
    from deployctl.domain.host.home import HomeFacts
    from deployctl.domain.images.image_source import ImageNews
    from deployctl.domain.images.release import Change, Release


@dataclass(frozen=True, slots=True)
class StepDone:
    kind: str
    sentence: str
    ms: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Upgrade, rollback and undo: where the traffic is now, and what it took. `changed` is False if it was there
    already."""

    kind: str  # Upgrade, Rollback, Undo
    app: str
    source: str | None  # version that was live before
    target: str  # version that is live now
    revision: int
    switch_ms: float
    total_ms: float
    confirmed: bool
    failed_requests: int | None  # None: HAProxy could not be read
    failed_precision: Precision = Precision.EXACT
    source_release: int | None = None  # numbers
    target_release: int | None = None
    steps: tuple[StepDone, ...] = ()
    changed: bool = True
    colour: str | None = None
    held: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()
    standby: str | None = None  # version that stays warm
    warnings: tuple[str, ...] = ()
    image_checked: bool = True  # False: the engine was not responding, the image of the live release is as last read
    image: ImageNews | None = None  # what its registry reported, if noteworthy
    hints: tuple[str, ...] = ()  # what may have been meant, if nothing was done
    taken_over: tuple[DiffLine, ...] = ()  # settings of the app, if its release was live already

    @property
    def names(self) -> tuple[str | None, str]:
        """Return the names of the former and the live release; releases of one version by their numbers."""
        if self.source != self.target or self.source_release == self.target_release:
            return self.source, self.target
        return f"{self.source}@{self.source_release}", f"{self.target}@{self.target_release}"


@dataclass(frozen=True, slots=True)
class Done:
    """Start, stop, hold, unhold, abort, prune, app remove, init: the resulting state, in one sentence each."""

    kind: str
    app: str
    sentence: str
    details: tuple[str, ...] = ()
    changed: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)  # further JSON fields
    image: ImageNews | None = None  # for `start`


@dataclass(frozen=True, slots=True)
class InstanceView:
    version: str
    release: int
    role: str
    port: int  # on 127.0.0.1
    address: str
    health: str  # passing, failing, stopped, unknown
    weight: int  # percent of new requests
    container: str | None
    colour: str | None
    digest: str
    held: bool = False
    warm: bool = False
    health_reason: HealthReason | None = None  # why it is failing or stopped
    said: str = ""  # the last probe's message
    probe_ms: float | None = None
    status: str = ""  # as the engine reports it: running, exited…
    requests: int = 0
    in_flight: int = 0
    failed_requests: int = 0
    failed_precision: Precision = Precision.EXACT
    closed_connections: int = 0  # by reloads
    answers_5xx: int = 0
    response_ms: float = 0.0
    since: str | None = None  # when it last went live
    readiness: Readiness | None = None  # for a rollback to it; None: it is live, or being checked


@dataclass(frozen=True, slots=True)
class AppView:
    """One app as `status` shows it. `state`: not_deployed, healthy, degraded, down, deploying, unknown."""

    app: str
    address: str | None
    revision: int
    state: str
    active: InstanceView | None
    standby: InstanceView | None
    instances: tuple[InstanceView, ...]
    deployment: Mapping[str, Any] | None
    notes: tuple[StatusNote, ...] = ()  # what people should know: holds, trouble, disagreement with HAProxy
    since: str | None = None
    hosts: tuple[str, ...] = ()
    back: str | None = None  # version that `rollback` would go to; read only for a single app, or one in trouble
    back_release: int | None = None  # its number
    back_name: str | None = None  # its unambiguous name: its version, or VERSION@RELEASE
    brings_back: tuple[str, ...] = ()  # what would differ with it: image, names of variables and settings
    back_warm: bool = False
    way_back: Readiness | None = None  # of that version
    drifts: tuple[Drift, ...] = ()  # what contradicts the ledger; for a single app more is read than for each in a list
    quality: str | None = None  # how its clients are served, if that is what makes it degraded
    config: ConfigState | None = None  # how its file compares with what was deployed; read only for a single app

    @property
    def drift(self) -> tuple[str, ...]:
        """Return what contradicts the ledger, as text."""
        return tuple(one.sentence for one in self.drifts)

    @property
    def untold_drifts(self) -> tuple[Drift, ...]:
        """Return what contradicts the ledger and is not in `notes`."""
        elsewhere = any(note.code is NoteCode.TRAFFIC_ELSEWHERE for note in self.notes)
        return tuple(one for one in self.drifts if not (elsewhere and one.kind is Drifted.TRAFFIC))

    @property
    def way_back_name(self) -> str:
        """Return the name of the rollback target, empty if there is none."""
        return self.back_name or self.back or ""


@dataclass(frozen=True, slots=True)
class StatusView:
    apps: tuple[AppView, ...]
    engine: str | None  # None: responding; else why not
    proxy: str | None  # likewise
    engine_code: str | None = None  # of the error in `engine`
    proxy_code: str | None = None
    others: tuple[HomeFacts, ...] = ()  # other homes on the engine, looked up when this one has no apps


@dataclass(frozen=True, slots=True)
class HistoryLine:
    change: Change
    source: str | None  # versions
    target: str | None


@dataclass(frozen=True, slots=True)
class HistoryView:
    app: str
    lines: tuple[HistoryLine, ...]
    attempts: tuple[Deployment, ...]  # those that did not succeed
    releases: Mapping[int, str]  # number → version
    readiness: tuple[Readiness, ...] = ()  # of what these lines mention and is not live, newest first


@dataclass(frozen=True, slots=True)
class ReleaseView:
    app: str
    release: Release
    role: str
    instance: InstanceView | None
    last: Deployment | None  # the last deployment whose target it was
    siblings: tuple[int, ...]  # other releases of the same version, newest first
    readiness: Readiness | None = None  # None: it is live, or being checked


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One difference: `sign` is +, - or ~."""

    group: str  # image, env, limits, command, health, ports
    sign: str
    name: str
    before: str | None
    after: str | None


class ConfigCode(StrEnum):
    DEPLOYED = "deployed"  # the file is as it was deployed
    CHANGED = "changed_not_deployed"  # the file was changed and has not been deployed
    WRONG = "wrong"  # the file cannot be deployed as it is
    UNKNOWN = "unknown"  # no file, nothing deployed, or deployed by a build that did not record it


@dataclass(frozen=True, slots=True)
class ConfigState:
    """`lines` is what differs in the file, with possible secrets hidden; `why` is what is wrong with it."""

    code: ConfigCode
    lines: tuple[DiffLine, ...] = ()
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.name for line in self.lines))


@dataclass(frozen=True, slots=True)
class DiffView:
    app: str
    before: Release
    after: Release
    lines: tuple[DiffLine, ...]


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
class Preview:
    """What --dry-run shows: the plan that would be carried out."""

    plan: Plan
    restores: tuple[str, ...] = ()  # what the target restores, and what it does not
    changes: tuple[DiffLine, ...] = ()  # from the live release, with possible secrets hidden
    warnings: tuple[str, ...] = ()
    image: ImageNews | None = None


@dataclass(frozen=True, slots=True)
class RepairDone:
    """One contradiction between ledger and actual state, and what became of it."""

    app: str | None  # None: concerns the whole home
    kind: str
    sentence: str
    mend: str | None  # how it is repaired, as text; None: a person has to decide
    done: bool = False
    why: str = ""  # why it was not repaired
    release: int | None = None  # number
    repair: Repair | None = None  # the code of `mend`
    why_code: str | None = None  # the code of the error that prevented it

    @property
    def says_more(self) -> bool:
        """Return whether `why` adds something: if checking itself failed, the message is the reason."""
        return bool(self.why) and (self.mend is not None or self.why_code is None)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` found and did; with `dry_run` what it would do."""

    lines: tuple[RepairDone, ...] = ()
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        return any(line.done for line in self.lines)

    @property
    def left(self) -> tuple[RepairDone, ...]:
        return tuple(line for line in self.lines if not line.done)


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One thing that was done or attempted. `before` and `after` are revisions of the app's traffic."""

    id: int
    at: str
    who: str
    how: str  # cli, web, token, watcher
    address: str | None  # where it came from, as far as known
    app: str | None  # None: it concerns the whole server
    what: str  # upgrade, rollback, user_added, refused…
    summary: str
    before: int | None
    after: int | None
    note: str
    result: str  # done, refused, failed
    count: int = 1  # attempts that the line stands for: rejected ones of a minute
