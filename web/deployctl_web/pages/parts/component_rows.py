"""The components of one release as pages show them: one row each, with all its replicas. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployctl.dataclass import dataclass
from deployctl.domain.images.capabilities import kept_text
from deployctl.domain.images.component import Component, ComponentKind, InstanceId
from deployctl.domain.images.engine_keys import weakenings
from deployctl.domain.images.mounts import MountKind
from deployctl.domain.images.release import Bundle, Release
from deployctl.domain.inputs.names import AppName, ComponentName, backing_of
from deployctl.ports.metrics import ContainerNow, sum_of
from deployctl.usecases.redaction import redact_bundle
from deployctl.usecases.results import AppView, InstanceView, worst_of
from deployctl_web.pages.parts.template_filters import health_word


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """A volume that a component mounts, or a folder or file of the server."""

    name: str
    size: int | None = None  # bytes; None: not counted, or not ours


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """One component. `instances` are its containers that are known, `wanted` is how many there are to be."""

    spec: Component
    instances: tuple[InstanceView, ...]
    wanted: int
    reached: bool  # clients reach it at the app's address
    used: ContainerNow | None  # by all its containers together
    volumes: tuple[VolumeRow, ...] = ()

    @property
    def kind(self) -> str:
        return kind_word(self.spec, reached=self.reached)

    @property
    def scalable(self) -> bool:
        return self.spec.may_scale

    @property
    def health(self) -> str:
        return worst_of(self.instances).health if self.instances else "stopped"

    @property
    def health_word(self) -> str:
        if self.health == "completed" or (self.health == "passing" and self.spec.is_worker):  # running takes no time
            return self.health.capitalize()
        return next((health_word(one) for one in self.instances if one.health == self.health), "Not created")

    @property
    def passing(self) -> int:
        return sum(one.health == "passing" for one in self.instances)

    @property
    def message(self) -> str:
        """Return what its probe found, if that is not good."""
        return next((one.probe_message for one in self.instances if one.health == "failing" and one.probe_message), "")


@dataclass(frozen=True, slots=True)
class ShownSpec:
    """What the containers of one component are created from, as the page of a version shows it."""

    spec: Component
    kind: str
    replicas: int
    env: Sequence[tuple[str, str]]  # without what may be secret
    given_back: Sequence[str]  # what weakens its isolation, as sentences
    kept: str | None

    @property
    def bundle(self) -> Bundle:
        return self.spec.bundle

    @property
    def needs(self) -> str:
        """Return what must be so before it is started: `db healthy, migrate completed`."""
        return ", ".join(f"{name} {condition}" for name, condition in self.spec.needs)


def specs_of(release: Release) -> list[ShownSpec]:
    """Return the spec of each component, the one that clients reach first."""
    return [ShownSpec(one, kind_word(one, reached=one is release.components[0]), release.replicas(one),
                          redact_bundle(one.bundle).env, list(weakenings(one.bundle)),
                          kept_text(release.cap_drop, one.bundle.cap_add)) for one in release.components]


def kind_word(spec: Component, *, reached: bool) -> str:
    """Return what it is, in a few words; nothing for one that just runs beside the others."""
    if spec.kind is not ComponentKind.SIDE_BY_SIDE:
        return str(spec.kind)
    return "takes no requests" if spec.is_worker else "reached by clients" if reached else ""


@dataclass(frozen=True, slots=True)
class BackingRow:
    """A backing component as the page of its app shows it; `row` is None while nothing of it runs."""

    view: AppView
    row: ComponentRow | None

    @property
    def name(self) -> ComponentName | None:
        return backing_of(AppName(self.view.app))

    @property
    def health(self) -> str:
        return self.row.health if self.row else "stopped"

    @property
    def back(self) -> str | None:
        """Return the version that ran before, if it is kept."""
        return self.view.standby.version if self.view.standby and not self.view.standby.held else None


def rows_of(release: Release, view: AppView, used: Mapping[InstanceId, ContainerNow],
            sizes: Mapping[str, int]) -> tuple[ComponentRow, ...]:
    """Return the components of the release, the one that clients reach first; none if it is a single container without
    volumes."""
    if release.is_plain and not release.bundle.mounts and not view.is_backing:
        return ()
    mine: dict[ComponentName, list[InstanceView]] = {}
    for one in view.every_instance:
        if one.release == release.number:
            mine.setdefault(ComponentName(one.component), []).append(one)
    return tuple(ComponentRow(spec, tuple(mine.get(spec.name, ())), release.replicas(spec), spec is release.components[0],
                              _used(spec.name, release.number, used), _volumes(spec, sizes)) for spec in release.components)


def _volumes(spec: Component, sizes: Mapping[str, int]) -> tuple[VolumeRow, ...]:
    return tuple(VolumeRow(mount.source, sizes.get(mount.source) if mount.kind is MountKind.VOLUME else None)
                 for mount in spec.bundle.mounts)


def _used(name: ComponentName, release: int, used: Mapping[InstanceId, ContainerNow]) -> ContainerNow | None:
    return sum_of([now for one, now in used.items() if (one.release, one.component) == (release, name)])
