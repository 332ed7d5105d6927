"""Reads the whole home at once and reports where it contradicts the ledger. Changes nothing and blocks nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.change.drift import Drift, DriftKind, Repair, find_drift, stray
from deployctl.domain.change.facts import ActualState, AppFacts, AppSnapshot, NetworkState
from deployctl.domain.change.plan import PlanKind as DeploymentKind
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, EngineUnavailable
from deployctl.execution.labels import app_of_network, instance_id, is_sealed, keep_tags, kept_name, kept_number
from deployctl.usecases.read_facts import Containers, remembered, with_backing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Change, Instance, Release
    from deployctl.execution.pins import Believed
    from deployctl.ports import ContainerFacts, Services


@dataclass(frozen=True, slots=True)
class Outside:
    """What was read of engine and HAProxy for all apps at once; None if it was not available."""

    routes: Mapping[AppName, int] | None = None
    containers: Containers | None = None
    networks: frozenset[str] | None = None
    tags: Sequence[str] | None = None  # those that keep images of this home; None: not read
    proxy: str | None = None  # why HAProxy could not be read
    engine: str | None = None
    store: str | None = None  # of the engine; read only if a container is not visible
    guarded: Set[str] | None = None  # subnets in the ledger with a guard route; None if none is needed
    believed: Believed | None = None  # which MAC each address resolves to; None if nothing can be pinned


@dataclass(frozen=True, slots=True)
class DriftReading:
    """One reading of the home: `drifts` by app, including what belongs to none of the ledger's apps."""

    drifts: Mapping[AppName, Sequence[Drift]] = field(default_factory=dict)
    home: Sequence[Drift] = ()
    outside: Outside = Outside()

    @property
    def every(self) -> list[Drift]:
        return [*self.home, *(drift for some in self.drifts.values() for drift in some)]


def look_at_home(s: Services, *, closely: Collection[AppName] | None = None, tags: bool = True) -> DriftReading:
    """Return what contradicts the ledger. `closely` are the apps whose containers are inspected one by one; None: all.

    Apps that are being changed are left out: a change in progress is not drift. A home without apps needs no HAProxy.
    """
    apps = s.ledger.apps()
    outside = look_outside(s, tags=tags)
    idle = [app for app in apps if s.ledger.find_lease(app.name) is None]
    drifts = {app.name: [*_interrupted(app, s),
                         *find_drift(snapshot_of(app, s, outside, closely=closely is None or app.name in closely))]
              for app in idle}
    return DriftReading(drifts, [*(_proxy(s) if apps else ()), *_of_no_app({app.name for app in apps}, outside, s)], outside)


def store_now(s: Services, containers: Iterable[ContainerFacts]) -> str | None:
    """Return the engine's store if a container created in a known one is missing; otherwise it is not needed."""
    seen = {c.id for c in containers}
    missing = any(container not in seen for container in s.ledger.containers_with_store())
    return s.engine.info().store if missing else None


def look_outside(s: Services, *, tags: bool = True, listed: Containers | None = None) -> Outside:
    """Read engine and HAProxy once for all apps; `listed` are the engine's containers if they were just read."""
    from deployctl.execution.pins import read_believed

    routes: Mapping[AppName, int] | None = None
    proxy = None
    guarded = s.guard.guarded(network.subnet for network in s.ledger.networks()) if s.bridged else None
    try:
        routes = with_backing(s.traffic.routes(), s)
    except DeployctlError as e:
        proxy = e.message
    try:
        containers = Containers(s.engine.containers()) if listed is None else listed
        return Outside(routes, containers, frozenset(n.name for n in s.engine.networks()),
                       _tags(s) if tags else None, proxy, store=store_now(s, containers), guarded=guarded,
                       believed=read_believed(s))
    except DeployctlError as e:
        return Outside(routes, proxy=proxy, engine=e.message, guarded=guarded)


def _tags(s: Services) -> list[str]:
    home = s.ledger.identity
    return [tag for tag in s.engine.kept_tags() if kept_name(home, tag)]


def _proxy(s: Services) -> list[Drift]:
    try:
        return [Drift(DriftKind.PROXY, sentence, Repair.SYNC) for sentence in s.traffic.drift()]
    except DeployctlError as e:
        return [Drift(DriftKind.PROXY, e.message, Repair.SYNC)]


def _of_no_app(known: Collection[AppName], outside: Outside, s: Services) -> list[Drift]:
    """Return the containers of this home whose app is not in the ledger."""
    home, found = s.ledger.identity, []
    for one in outside.containers or ():
        app = AppName(one.labels.get("deployctl.app", ""))
        if app not in known:
            served = None if outside.routes is None else outside.routes.get(app)
            one_seen = container_state(one, home)
            serves = outside.routes is None or (served is not None and served == one_seen.release)
            found.append(stray(app or AppName("no app"), one_seen, serves=serves, doubled=False))
    return [*found, *_of_removed_apps(known, outside, s)]


def _of_removed_apps(known: Collection[AppName], outside: Outside, s: Services) -> Iterator[Drift]:
    """Yield the images and networks left over from a removed app. Those of an app that the ledger never knew may belong
    to a lost ledger, and `ledger rebuild` needs them."""
    home = s.ledger.identity
    for tag in outside.tags or ():
        app = AppName(tag.removeprefix("deployctl/").partition(":")[0])
        if _was_removed(app, known, s):
            yield Drift(DriftKind.IMAGE, f"the app was removed, but its image {tag} is still kept", Repair.UNTAG, app,
                        container=tag)
    for name in sorted(outside.networks or ()):
        removed = app_of_network(home, name)
        if removed is not None and _was_removed(removed, known, s):
            yield Drift(DriftKind.EMPTY, f"the app was removed, but its network {name} still exists, without containers",
                        Repair.CLEAR, removed,
                        container=name)


def _was_removed(app: AppName, known: Collection[AppName], s: Services) -> bool:
    last = next(iter(s.ledger.events(app, limit=1)), None) if app not in known else None
    return last is not None and last["kind"] == DeploymentKind.REMOVE


def _interrupted(app: App, s: Services) -> list[Drift]:
    """Return the deployment that a dead process has left open. The caller has checked that nobody holds the lease."""
    opened = s.ledger.find_open(app.name)
    if opened is None:
        return []
    return [Drift(DriftKind.INTERRUPTED, f"its {opened.kind} was interrupted in phase {opened.phase}",
                  Repair.RECOVER, app.name, opened.target)]


# -- one app -------------------------------------------------------------------------------------------------------
def snapshot_of(app: App, s: Services, outside: Outside, *, closely: bool) -> AppSnapshot:
    """Return one app's actual state from what was read for all; `closely` inspects each of its containers."""
    from deployctl.execution.pins import find_astray

    known = remembered(app, s)
    instances, releases = known.instances, known.releases
    facts = replace(facts_of(app, instances, releases, outside), changes=known.changes)
    mine = [] if outside.containers is None else [*outside.containers.of(app.name)]
    if closely:
        mine = [s.engine.find_container(c.id) or c for c in mine]
    used = {*instances, *(one for c in mine if (one := instance_id(c.labels)))}
    loose, misled = find_astray(s, app, instances, mine if closely else (), outside.believed)
    home = s.ledger.identity
    due = {tag for one in used for tag in keep_tags(home, app.name, one)} if outside.tags else set[str]()
    idle = {tag: number for tag in outside.tags or ()
            if (number := kept_number(home, app.name, tag)) is not None and tag not in due}
    of_ours = s.ledger.names_of(app.name, idle.values()) if idle else {}
    return AppSnapshot(
        facts, seen=None if outside.containers is None else tuple(container_state(one, home) for one in mine),
        proxy=outside.routes is not None,
        networks=outside.networks,
        lends=frozenset() if instances else frozenset(
            one.network_of(i).name for one in s.ledger.backing(app.name) for i in s.ledger.instances(one.name)),
        app_networks=tuple(_network_seen(one, outside, s) for one in s.ledger.networks(app.name)),
        tags=tuple(tag for tag, number in idle.items() if number in of_ours),  # an unknown one's are left alone
        store=outside.store, loose=loose, misled=misled, unlaid=_unlaid(app.name, instances, releases, s),
        **(_lost([releases[n] for n in sorted(known.kept) if n in releases], s) if closely and outside.containers else {}),
        unkept=() if outside.tags is None else tuple(
            one for one in sorted(instances)
            if one.release in releases and not set(outside.tags) & set(keep_tags(home, app.name, one))),
    )


def _lost(kept: Sequence[Release], s: Services) -> dict[str, Any]:
    """Return which volumes and config files of kept releases are gone. Of apps without them nothing is read."""
    parts = [one.bundle for release in kept for one in release.components]
    if not any(part.mounts or part.files for part in parts):
        return {}
    from deployctl.execution.mounts import lost_files, missing_volumes

    there = {one.name for one in s.engine.volumes()} if any(part.mounts for part in parts) else set[str]()
    gone = dict.fromkeys(name for release in kept for name in missing_volumes(release, there, s))
    lost = [(release.number, file.target, str(fault)) for release in kept for file, fault in lost_files(release, s)]
    return {"volumes_gone": tuple(gone), "files_lost": tuple(dict.fromkeys(lost))}


def _unlaid(app: AppName, instances: Mapping[InstanceId, Instance], releases: Mapping[int, Release],
            s: Services) -> frozenset[InstanceId]:
    """Return the instances whose secrets are not in memory. Of apps without secrets nothing is read."""
    refs = {one: found for one in instances if one.release in releases
            and (found := releases[one.release].component(one.component).bundle.secrets)}
    return frozenset(one for one, found in refs.items() if not s.secrets().is_delivered(app, one, found))


def _network_seen(network: AppNetwork, outside: Outside, s: Services) -> NetworkState:
    return NetworkState(
        network, there=None if outside.networks is None else network.name in outside.networks,
        guarded=None if outside.guarded is None else network.subnet in outside.guarded,
        up=s.guard.bridge_up(network.bridge) if s.bridged else None)


def facts_of(app: App, instances: Mapping[InstanceId, Instance], releases: Mapping[int, Release], outside: Outside) -> AppFacts:
    """Return the facts of one app as far as they were already read, without its history."""
    there = (outside.containers or Containers(())).judge(instances, releases)
    return AppFacts(
        app, releases, instances, running=there.running, present=there.present, other_image=there.other_image,
        serving=app.active if outside.routes is None else outside.routes.get(app.name), engine_away=outside.engine,
    )


def container_state(one: ContainerFacts, home: HomeIdentity) -> ActualState:
    """Return a container as the domain knows it; its signature label decides whether its labels are ours."""
    others = frozenset(name for name in one.networks if app_of_network(home, name) is None)  # not ours
    return ActualState(one.id, one.name, one.image, one.status, tuple(one.addresses.values()), instance_id(one.labels),
                is_sealed(home, one.labels), one.limits, one.restart, one.cap_drop,
                others if one.networks else None)


# -- for status ----------------------------------------------------------------------------------------------------
def listed_drift(app: App, instances: Sequence[Instance], releases: Mapping[tuple[AppName, int], Release | None],
                 changes: Sequence[Change], outside: Outside, home: HomeIdentity) -> tuple[Drift, ...]:
    """Return the drift of one app that the list of containers reveals: nothing further is read for it."""
    if outside.containers is None:
        return ()
    mine = {i.id: i for i in instances}
    known = {r.number: r for one in mine if (r := releases.get((app.name, one.release))) is not None}
    facts = replace(facts_of(app, mine, known, outside), changes=tuple(changes))
    seen = tuple(container_state(c, home) for c in outside.containers.of(app.name))
    return _worth_telling(find_drift(AppSnapshot(facts, seen, proxy=outside.routes is not None, store=outside.store)))


def closer_drift(app: App, s: Services, *, listed: Containers | None = None) -> tuple[Drift, ...]:
    """Return all drift of one app and HAProxy; nothing while the app is being changed. `listed` are the engine's
    containers if they were read since the app last changed."""
    if s.ledger.find_lease(app.name) is not None:
        return ()
    try:
        found = find_drift(snapshot_of(app, s, look_outside(s, listed=listed), closely=True))
    except EngineUnavailable:
        found = []
    return _worth_telling([*found, *_proxy(s)])


def _worth_telling(drifts: Sequence[Drift]) -> tuple[Drift, ...]:
    """Return the drift worth reporting; not a standby about to be stopped, or what 0.1.0 did differently."""
    return tuple(drift for drift in drifts if drift.kind not in {DriftKind.EXPIRED, DriftKind.FORMER_RESTART})
