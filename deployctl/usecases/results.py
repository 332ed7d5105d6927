"""What the verbs return. CLI, API and pages show these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass, field
from deployctl.domain.proxy.traffic import Precision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, Any, Literal

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.drift import Drift
    from deployctl.domain.change.expected_gap import ExpectedGap
    from deployctl.domain.change.plan import Plan
    from deployctl.domain.change.probes import HealthReason
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.change.status_note import StatusNote
    from deployctl.domain.host.home import HomeFacts
    from deployctl.domain.images.component import ComponentKind
    from deployctl.domain.images.image_source import ImageNews
    from deployctl.domain.images.release import Change, Colour, ReleaseRole
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.domain.inputs.units import At, Ms, Percent

AT_MOST = "at_most: HAProxy before 2.8; clients that disconnected may be included in failed_requests."
NONE_ANSWERED = "none_answered: the probe passes, but none of at least ten requests in the last minute succeeded."


@dataclass(frozen=True, slots=True)
class StepDone:
    kind: str
    sentence: str
    ms: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Upgrade, rollback and undo: where the traffic is now, and what it took."""

    kind: Annotated[str, Literal["Upgrade", "Rollback", "Undo"]]
    app: Annotated[str, AppName]
    source: str | None  # version that was live before
    target: str  # version that is live now
    revision: int
    switch_ms: Ms
    total_ms: Ms
    confirmed: Annotated[bool, "HAProxy confirmed the switch."]
    failed_requests: Annotated[int | None, "As counted by HAProxy; null if it was not responding."]
    failed_precision: Annotated[Precision, AT_MOST] = Precision.EXACT
    source_release: int | None = None  # numbers
    target_release: int | None = None
    steps: tuple[StepDone, ...] = ()
    changed: Annotated[bool, "false: the version was already live."] = True
    colour: Annotated[str, Colour] | None = None
    held: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    standby: str | None = None  # version that stays warm
    warnings: tuple[str, ...] = ()
    image_checked: Annotated[bool, "false: Docker was not responding, so the live version's image was not checked."] = True
    image: ImageNews | None = None  # what its registry reported, if noteworthy
    hints: tuple[str, ...] = ()  # what may have been meant, if nothing was done
    taken_over: Annotated[tuple[DiffLine, ...], "Settings of the app that were changed without a switch."] = ()

    @property
    def names(self) -> tuple[str | None, str]:
        """Return the names of the former and the live release; releases of one version by their numbers."""
        if self.source != self.target or self.source_release == self.target_release:
            return self.source, self.target
        return f"{self.source}@{self.source_release}", f"{self.target}@{self.target_release}"


@dataclass(frozen=True, slots=True)
class Done:
    """The state now, in one sentence; further keys depend on the verb."""

    kind: str  # Start, Stop, Hold, Unhold, Abort, Prune, AppRemove, Init…
    app: str
    sentence: str
    details: tuple[str, ...] = ()
    changed: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)  # further JSON fields
    image: ImageNews | None = None  # for `start`

    @property
    def more(self) -> Mapping[str, Any]:
        """Return the further fields of its JSON."""
        return {**self.extra, **({"image": self.image} if self.image else {})}


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One running version, as HAProxy and Docker see it now. Counts are HAProxy's, since it was started."""

    version: Annotated[str, Version]
    release: int
    role: Annotated[str, ReleaseRole]
    port: Annotated[int, "On 127.0.0.1."]
    address: str
    health: Annotated[str, Literal["passing", "failing", "stopped", "unknown", "completed"]]
    weight: Percent
    container: str | None
    colour: Annotated[str, Colour] | None
    digest: str
    held: bool = False
    warm: bool = False
    health_reason: Annotated[HealthReason | None, NONE_ANSWERED] = None
    probe_message: Annotated[str, "What the last probe found."] = ""
    probe_ms: float | None = None
    status: Annotated[str, "As Docker reports it: running, exited…"] = ""
    requests: int = 0
    in_flight: int = 0
    failed_requests: int = 0
    failed_precision: Annotated[Precision, AT_MOST] = Precision.EXACT
    closed_connections: Annotated[int, "Long-lived connections that were closed by HAProxy reloads."] = 0
    answers_5xx: int = 0
    response_ms: float = 0.0
    since: Annotated[At | None, "When it last became the live version."] = None
    readiness: Annotated[Readiness | None, "For a rollback to it; null: it is live, or being checked."] = None
    component: Annotated[str, "The component of the app that it runs."] = "web"
    kind: Annotated[str, ComponentKind] = "side-by-side"
    replica: int = 1
    replicas: Annotated[int, "How many containers of its component there are to be."] = 1
    replicas_written: Annotated[int | None, "As many as the app's file says; null: it says nothing, and they stay so."] = None


WORST_FIRST = ("failing", "stopped", "unknown", "passing", "completed")


def worst_of(replicas: Iterable[InstanceView]) -> InstanceView:
    """Return the one whose health matters most."""
    return min(replicas, key=lambda one: WORST_FIRST.index(one.health))


@dataclass(frozen=True, slots=True)
class ComponentView:
    """One component of the live version; of several replicas the health that matters most."""

    name: str
    kind: Annotated[str, ComponentKind]
    version: Annotated[str, Version]
    digest: str
    health: Annotated[str, Literal["passing", "failing", "stopped", "unknown", "completed"]]  # of its worst replica
    replicas: Annotated[int, "How many there are to be."] = 1
    replicas_written: Annotated[int | None, "As many as the app's file says; null: it says nothing."] = None


@dataclass(frozen=True, slots=True)
class OpenDeployment:
    """A deployment in progress. `interrupted`: its process is gone."""

    id: int
    action: str
    phase: str
    actor: str
    since: At
    interrupted: bool
    to_version: str | None


@dataclass(frozen=True, slots=True)
class Back:
    """What a rollback without a version means."""

    version: Annotated[str, Version]
    release: int
    name: Annotated[str, "Its name on the command line: the version, or VERSION@RELEASE if it has several."]
    warm: bool
    brings_back: Annotated[tuple[str, ...], "What would change: image, names of variables and settings."]
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class AppView:
    """One app as `status` shows it."""

    app: Annotated[str, AppName]
    address: str | None
    revision: Annotated[int, "Counts every traffic switch of the app."]
    state: Annotated[str, Literal["not_deployed", "healthy", "degraded", "down", "deploying", "unknown"]]
    active: InstanceView | None
    standby: InstanceView | None
    instances: tuple[InstanceView, ...]
    deployment: OpenDeployment | None
    notes: Annotated[tuple[StatusNote, ...], "What a person should know of it, with codes."] = ()
    since: At | None = None
    hosts: tuple[str, ...] = ()
    rollback: Annotated[Back | None, "null: there is none; read only for a single app, or one in trouble."] = None
    drifts: Annotated[tuple[Drift, ...], "What contradicts the ledger, with codes."] = ()  # more for one app than in a list
    quality: Annotated[str | None, "How requests fail, when that is what makes it degraded."] = None
    config: Annotated[ConfigState | None, "null: not checked, in a list of apps."] = None
    backing: tuple[AppView, ...] = ()  # its backing components, each with versions of its own
    siblings: tuple[InstanceView, ...] = ()  # the other components' instances; `instances` are those that clients reach

    @property
    def is_backing(self) -> bool:
        return "/" in self.app

    @property
    def every_instance(self) -> tuple[InstanceView, ...]:
        return (*self.instances, *self.siblings)

    @property
    def components(self) -> Annotated[tuple[ComponentView, ...], "What the live version consists of."]:
        found: dict[str, list[InstanceView]] = {}
        for one in self.every_instance:
            if self.active and one.release == self.active.release:
                found.setdefault(one.component, []).append(one)
        found |= {view.active.component: [view.active] for view in self.backing if view.active is not None}
        return tuple(ComponentView(one.component, one.kind, one.version, one.digest, one.health, one.replicas,
                                   one.replicas_written) for one in map(worst_of, found.values()))

    @property
    def note_lines(self) -> Annotated[tuple[str, ...], "The same as `notices`, as text."]:
        return tuple(one.line for one in self.notes)

    @property
    def drift(self) -> Annotated[tuple[str, ...], "The same as `drifts`, as text."]:
        """Return what contradicts the ledger, as text."""
        return tuple(one.sentence for one in self.drifts)

    @property
    def untold_drifts(self) -> tuple[Drift, ...]:
        """Return what contradicts the ledger and is not in `notes`."""
        from deployctl.domain.change.drift_kinds import DriftKind
        from deployctl.domain.change.status_note import NoteCode

        elsewhere = any(note.code is NoteCode.TRAFFIC_ELSEWHERE for note in self.notes)
        return tuple(one for one in self.drifts if not (elsewhere and one.kind is DriftKind.TRAFFIC))

    @property
    def rollback_name(self) -> str:
        """Return the name of the rollback target, empty if there is none."""
        return self.rollback.name if self.rollback else ""

    @property
    def rollback_release(self) -> int | None:
        """Return the number of the rollback target."""
        return self.rollback.release if self.rollback else None


@dataclass(frozen=True, slots=True)
class StatusView:
    apps: tuple[AppView, ...]
    engine: Annotated[str | None, "null: Docker is responding. Otherwise why not."]
    proxy: Annotated[str | None, "null: HAProxy is responding. Otherwise why not."]
    engine_code: Annotated[str | None, "The code of that error."] = None
    proxy_code: Annotated[str | None, "The code of that error."] = None
    others: tuple[HomeFacts, ...] = ()  # other homes on the engine, looked up when this one has no apps


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One switch of the traffic."""

    change: Change
    source: str | None  # versions
    target: str | None


@dataclass(frozen=True, slots=True)
class ReadyVersion:
    version: str
    release: int
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class HistoryView:
    app: Annotated[str, AppName]
    lines: tuple[HistoryLine, ...]
    attempts: Annotated[tuple[Deployment, ...], "Attempts that did not succeed."]
    releases: Mapping[int, str]  # number → version
    readiness: tuple[Readiness, ...] = ()  # of what these lines mention and is not live, newest first

    @property
    def ready(self) -> tuple[ReadyVersion, ...]:
        """Return which of them can be rolled back to."""
        return tuple(ReadyVersion(one.version, one.release, one) for one in self.readiness)


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
    """How the app's file differs from what was last deployed, and what is wrong with it."""

    code: ConfigCode
    lines: Annotated[tuple[DiffLine, ...], "Values that may be secrets are hidden."] = ()
    why: str = ""

    @property
    def reason(self) -> str | None:
        return self.why or None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.name for line in self.lines))


@dataclass(frozen=True, slots=True)
class Side:
    version: Annotated[str, Version]
    release: int


@dataclass(frozen=True, slots=True)
class DiffView:
    app: Annotated[str, AppName]
    before: Side
    after: Side
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What --dry-run shows: the plan that would be carried out."""

    plan: Plan
    restores: tuple[str, ...] = ()  # what the target restores, and what it does not
    changes: tuple[DiffLine, ...] = ()  # from the live release, with possible secrets hidden
    warnings: tuple[str, ...] = ()
    image: ImageNews | None = None
    gap: ExpectedGap | None = None  # in which a component does not run, because only one version of it may
    first: tuple[Preview, ...] = ()  # of backing components that are started before
