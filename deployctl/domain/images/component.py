"""What a release consists of: components, each with the spec of its containers and its relation to the others."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.digest import sha256
from deployctl.domain.inputs.names import ComponentName
from deployctl.domain.proxy.traffic import part_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    from deployctl.domain.images.release import Bundle, Release

MAX_GAP = 30.0  # seconds that requests may wait while an exclusive component is handed over
WEB = ComponentName("web")  # what the component that clients reach is called unless the app's file says otherwise


class ComponentKind(StrEnum):
    """How two versions of a component may meet."""

    SIDE_BY_SIDE = "side-by-side"  # both run at the same time
    EXCLUSIVE = "exclusive"  # one version at a time: the former one ends before the next one's program begins
    BACKING = "backing"  # one for all releases, with versions and a history of its own: a database
    JOB = "job"  # runs once for each release, and ends


class Condition(StrEnum):
    """What another component must be before one that needs it is started."""

    STARTED = "started"
    HEALTHY = "healthy"
    COMPLETED = "completed"  # of a job: it ended with exit code 0


if TYPE_CHECKING:
    class InstanceId(NamedTuple):
        """Which instance of an app: one container of a component of a release."""

        release: int  # number
        component: ComponentName = WEB
        replica: int = 1  # counts from 1
else:  # without `typing`, which every command would have to load
    InstanceId = namedtuple("InstanceId", "release component replica", defaults=(WEB, 1))


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a release. The first one of a release is the one that clients reach."""

    bundle: Bundle
    name: ComponentName = WEB
    kind: ComponentKind = ComponentKind.SIDE_BY_SIDE
    needs: tuple[tuple[ComponentName, Condition], ...] = ()  # sorted by name
    overlap: bool = True  # False: the former version's ends before this one starts; of a worker only
    timeout: float = 0.0  # seconds in which a job must have ended
    ports: tuple[tuple[str, int], ...] = ()  # its ports that further ports of the app lead to, by their names; sorted
    replicas: int | None = None  # as written in the app's file; None: not written, so it is one and cannot be scaled
    max_gap: float = MAX_GAP
    aliases: tuple[str, ...] = ()  # further names by which the app's components find it

    @property
    def is_exclusive(self) -> bool:
        """Return whether one version of it runs at a time."""
        return self.kind in {ComponentKind.EXCLUSIVE, ComponentKind.BACKING}

    @property
    def is_backing(self) -> bool:
        return self.kind is ComponentKind.BACKING

    @property
    def is_job(self) -> bool:
        return self.kind is ComponentKind.JOB

    @property
    def may_run_several(self) -> bool:
        """Return whether several of it may run at a time in one release."""
        return self.kind is ComponentKind.SIDE_BY_SIDE

    @property
    def may_scale(self) -> bool:
        """Return whether `scale` may change how many replicas it has: its siblings were created without its address, and
        any number of it may run at a time."""
        return self.replicas is not None and self.may_run_several

    def parts(self, replica: int) -> tuple[str, ...]:
        """Return what HAProxy calls that replica of it, once for each of its ports that clients reach."""
        ports = dict.fromkeys([*([] if self.bundle.port is None else [self.bundle.port]), *(port for _, port in self.ports)])
        return tuple([part_name(self.name, port, replica) for port in ports])

    @property
    def is_worker(self) -> bool:
        """Return whether it works without being asked. A standby's workers are stopped: its version takes no work."""
        return self.bundle.port is None and not self.is_job

    def relations(self) -> dict[str, Any]:
        """Return everything but the bundle; what is not set is left out, so that texts stay the same when keys are added."""
        told: dict[str, Any] = {"name": self.name, "needs": dict(self.needs),
                                "kind": "" if self.kind is ComponentKind.SIDE_BY_SIDE else self.kind,
                                "alone": not self.overlap, "timeout": self.timeout, "replicas": self.replicas,
                                "ports": dict(self.ports), "max_gap": 0 if self.max_gap == MAX_GAP else self.max_gap,
                                "aliases": [*self.aliases]}
        return {name: value for name, value in told.items() if value}

    @classmethod
    def from_relations(cls, raw: Mapping[str, Any], bundle: Bundle) -> Component:
        needs = tuple((ComponentName(name), Condition(condition)) for name, condition in sorted(raw.get("needs", {}).items()))
        return cls(bundle, ComponentName(raw["name"]), ComponentKind(raw.get("kind") or ComponentKind.SIDE_BY_SIDE), needs,
                   overlap=not raw.get("alone"), timeout=raw.get("timeout", 0.0), replicas=raw.get("replicas"),
                   ports=tuple(sorted(raw.get("ports", {}).items())), max_gap=raw.get("max_gap", MAX_GAP),
                   aliases=tuple(raw.get("aliases", ())))


def in_order(components: Sequence[Component]) -> tuple[Component, ...]:
    """Return them so that each comes after those it needs, else as they were given. Raises ValueError for a ring."""
    done: dict[ComponentName, Component] = {}
    while len(done) < len(components):
        free = [one for one in components if one.name not in done and all(name in done for name, _ in one.needs)]
        if not free:
            raise ValueError("components that need each other")
        done |= {free[0].name: free[0]}
    return tuple(done.values())


def exclusive_part(components: Sequence[Component]) -> frozenset[ComponentName]:
    """Return those that can only run while their version is live: exclusive ones, and what cannot start without one."""
    return dependent_on({one.name for one in components if one.is_exclusive}, components)


def ends_before_next(text: str) -> bool:
    """Return whether what clients reach can run in one version at a time, from what `components_text` wrote."""
    told = json.loads(text)
    found, before = {one["name"] for one in told if one.get("kind") == ComponentKind.EXCLUSIVE}, -1
    while len(found) > before:
        before = len(found)
        found |= {one["name"] for one in told if found & one.get("needs", {}).keys()}
    return told[0]["name"] in found


def dependent_on(some: Collection[ComponentName], components: Sequence[Component]) -> frozenset[ComponentName]:
    """Return `some` and every component that needs one of them, directly or by way of others. A job that has to run runs
    among them."""
    found, before = {*some}, -1
    while found and len(found) > before:
        before = len(found)
        found |= {one.name for one in components if any(name in found for name, _ in one.needs)}
    return frozenset(found)


def instance_name(release: Release, one: InstanceId) -> str:
    """Return what people call an instance: its version, and its component or replica where the release has several."""
    which = one.component if release.components[1:] else ""
    replica = f"replica {one.replica}" if release.component(one.component).replicas else ""
    return f"{' '.join(filter(None, [which, replica]))} of {release.version}" if which or replica else release.version


def is_plain(components: Sequence[Component]) -> bool:
    """Return whether that is one component with one container, as every release was before there were components."""
    first = components[0]
    return len(components) == 1 and first.kind is ComponentKind.SIDE_BY_SIDE and first.replicas is None and not first.ports


def release_hash(components: Sequence[Component]) -> str:
    """Return 64 hex characters that two releases share only if they would run alike.

    A release of one component has the hash of its bundle, as all had before there were components. Its name counts only
    where others can call it by that name.
    """
    if is_plain(components):
        return components[0].bundle.hash()
    told = [{**one.relations(), "bundle": one.bundle.hash()} for one in components]
    return sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def components_text(components: Sequence[Component]) -> str:
    """Return the components as the ledger keeps them beside the first one's bundle, which stands in a column of its own."""
    rest = [{**one.relations(), "bundle": one.bundle.canonical()} for one in components[1:]]
    return json.dumps([components[0].relations(), *rest], sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_components(text: str, first: Bundle) -> tuple[Component, ...]:
    """Return what `components_text` wrote."""
    return tuple(Component.from_relations(raw, _bundle_of(raw, first)) for raw in json.loads(text))


def _bundle_of(raw: Mapping[str, Any], first: Bundle) -> Bundle:
    return type(first).from_canonical(raw["bundle"]) if "bundle" in raw else first


def without_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what is not left at its default of nothing."""
    return {name: value for name, value in fields.items() if value}


def attached_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `read_attached` reads, from all fields of a release spec as plain values."""
    lists: dict[str, Any] = {name: [without_defaults(one) for one in fields[name]] for name in ("mounts", "files")}
    return {**lists, "keys": without_defaults(fields["keys"] or {})}


def read_attached(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what its containers have of outside their image; most have nothing, and then nothing is loaded."""
    found: dict[str, Any] = {}
    if "mounts" in raw or "files" in raw:
        from deployctl.domain.images.mounts import read_files, read_mounts

        found |= {"mounts": read_mounts(raw.get("mounts", ())), "files": read_files(raw.get("files", ()))}
    if "secrets" in raw:
        from deployctl.domain.images.secret import SecretRef

        found["secrets"] = tuple(map(SecretRef.from_json, raw["secrets"]))
    if "keys" in raw:
        from deployctl.domain.images.engine_keys import read_keys

        found["keys"] = read_keys(raw["keys"])
    return found


def dropped(cap_drop: Collection[str], bundle: Bundle) -> tuple[str, ...]:
    """Return the capabilities that containers with that spec are created without: what their release drops, but for what the
    spec adds back, and what it drops besides. Sorted."""
    more = bundle.keys.cap_drop if bundle.keys else ()
    return tuple(sorted({*(name for name in cap_drop if name not in bundle.cap_add), *more}))
