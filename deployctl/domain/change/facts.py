"""What was read of one app before anything is decided: as a change needs it, and as closely as drift is found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from deployctl.dataclass import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import App, Change, Instance, Release, Resources, Restart
    from deployctl.domain.inputs.names import ComponentName, Version


@dataclass(frozen=True, slots=True)
class AppFacts:
    """One reading of ledger, engine and HAProxy. Numbers are release numbers."""

    app: App
    releases: Mapping[int, Release] = field(default_factory=dict)
    instances: Mapping[InstanceId, Instance] = field(default_factory=dict)
    running: frozenset[InstanceId] = frozenset()  # its container runs at its own address
    present: frozenset[InstanceId] = frozenset()  # its container exists, running or not
    other_image: frozenset[InstanceId] = frozenset()  # its container is of another image: neither running nor present
    own_mac: frozenset[InstanceId] = frozenset()  # runs with the MAC it was created with: its address may be pinned
    changes: tuple[Change, ...] = ()  # the part of the history that decisions need, latest first (Ledger.telling_changes)
    serving: int | None = None  # where HAProxy routes
    engine_away: str | None = None  # why the engine could not be read; the ledger's record is used instead

    def version(self, number: int | None) -> Version | None:
        release = None if number is None else self.releases.get(number)
        return release.version if release else None

    def last_served(self, number: int) -> int:
        """Return the last revision that switched traffic to or away from that release, 0 if there is none."""
        return max((c.revision for c in self.changes if number in (c.source, c.target)), default=0)

    # -- one release, all of its instances ---------------------------------------------------------------------------
    @property
    def kept(self) -> frozenset[int]:
        """Return the releases that have a container."""
        return frozenset(one.release for one in self.instances)

    def ids(self, number: int) -> tuple[InstanceId, ...]:
        """Return what runs while that release serves, the instance that clients reach first."""
        release = self.releases.get(number)
        return release.instances if release else tuple(one for one in self.instances if one.release == number)

    def of(self, number: int) -> tuple[Instance, ...]:
        """Return the instances of that release which the ledger records."""
        return tuple(i for one, i in self.instances.items() if one.release == number)

    def main(self, number: int | None) -> Instance | None:
        """Return the instance of that release which clients reach."""
        release = self.releases.get(number or 0)
        if release is not None:
            return self.instances.get(release.main)
        ids = () if number is None else self.ids(number)
        return self.instances.get(ids[0]) if ids else None

    def is_up(self, number: int) -> bool:
        """Return whether it can take requests: of each component that does at least one instance runs."""
        return bool(self._serving(number)) and not self.missing(number)

    def is_complete(self, number: int) -> bool:
        """Return whether all of its instances that take requests run."""
        return bool(self._serving(number)) and self.running.issuperset(self._serving(number))

    def missing(self, number: int) -> frozenset[ComponentName]:
        """Return its components that take requests and of which nothing runs."""
        up = {one.component for one in self.running if one.release == number}
        return frozenset(one.component for one in self._serving(number)) - up

    def _serving(self, number: int) -> tuple[InstanceId, ...]:
        release = self.releases.get(number)
        return release.serving if release else self.ids(number)

    def mains(self, number: int | None) -> tuple[Instance, ...]:
        """Return the instances of that release which the app's own address leads to."""
        release, main = self.releases.get(number or 0), self.main(number)
        if release is None:
            return (main,) if main else ()
        return tuple([self.instances[one] for one in release.mains if one in self.instances])

    def is_surplus(self, one: InstanceId) -> bool:
        """Return whether it is a replica more than there are to be."""
        release = self.releases.get(one.release)
        return release is not None and any(
            one.replica > release.replicas(part) for part in release.components if part.name == one.component)

    def workers(self, number: int | None) -> tuple[InstanceId, ...]:
        release = self.releases.get(number or 0)
        return release.workers if release else ()

    def is_working(self, number: int) -> bool:
        """Return whether all of its workers run."""
        return self.running.issuperset(self.workers(number))

    def is_partly_up(self, number: int) -> bool:
        """Return whether any of its instances runs."""
        return any(one.release == number for one in self.running)

    def is_whole(self, number: int) -> bool:
        """Return whether the containers of all of its instances exist."""
        ids = self.ids(number)
        return bool(ids) and self.present.issuperset(ids)

    def is_routed(self, number: int) -> bool:
        """Return whether HAProxy routes to it."""
        return any(one.routed for one in self.of(number))

    def is_beside(self, number: int) -> bool:
        """Return whether it was started by `start`, outside keep_warm."""
        return any(one.beside for one in self.of(number))

    def is_failed(self, number: int) -> bool:
        """Return whether it is kept for inspection only."""
        return any(one.failed for one in self.of(number))

    def has_other_image(self, number: int) -> bool:
        """Return whether any of its containers was created from another image."""
        return any(one.release == number for one in self.other_image)

    def is_warm(self, number: int) -> bool:
        """Return whether the release can take traffic immediately: health-checked, running and known to HAProxy."""
        release = self.releases.get(number)
        reached = self.app.is_backing or any(one.routed for one in self.mains(number))
        return bool(self.is_up(number) and reached and release and release.proven_at)

    def can_stand_by(self, number: int) -> bool:
        """Return whether that release can run beside the live one."""
        release = self.releases.get(number)
        return release is None or release.can_stand_by

    def rivals(self, target: Release) -> frozenset[ComponentName]:
        """Return the components of that release that cannot begin while another release's of the same name runs."""
        kinds = {one.name: one.is_exclusive for one in target.components if not one.is_job}
        return frozenset(one.component for one in self.running if one.release != target.number and one.component in kinds
                         and (kinds[one.component] or self._is_exclusive(one)))

    def locked(self, component: ComponentName, target: Release) -> bool:
        """Return whether all that runs of that component in other releases holds its lock."""
        return all(self._is_exclusive(one) for one in self.running
                   if one.component == component and one.release != target.number)

    def _is_exclusive(self, one: InstanceId) -> bool:
        release = self.releases.get(one.release)
        return release is not None and release.component(one.component).is_exclusive

    def newest_proven(self, version: Version) -> Release | None:
        """Return the release that a version means: the newest one that ever passed its health check."""
        found = [r for r in self.releases.values() if r.version == version and r.proven_at]
        return max(found, key=lambda r: r.number, default=None)


# -- the actual state, container by container -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ActualState:
    """One container of this home as the engine reports it. What only an inspection reveals is None when it was not
    inspected."""

    id: str
    name: str
    image: str
    status: str  # created, running, paused, restarting, exited, dead
    addresses: tuple[str, ...] = ()
    instance: InstanceId | None = None  # from its labels
    sealed: bool = True  # the label carries our signature, and does not come from an image
    limits: Resources | None = None
    restart: Restart | None = None
    cap_drop: tuple[str, ...] | None = None  # capabilities it was created without
    networks: frozenset[str] | None = None  # names of the unmanaged networks it is connected to

    @property
    def release(self) -> int | None:
        return self.instance.release if self.instance else None

    @property
    def up(self) -> bool:
        return self.status in {"running", "paused", "restarting"}


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One network of the app. None means not read, or not readable."""

    network: AppNetwork
    there: bool | None = None
    guarded: bool | None = None
    up: bool | None = None  # its bridge interface


@dataclass(frozen=True)
class AppSnapshot:
    """One reading of an app's actual state. None means not read, or not readable."""

    facts: AppFacts
    seen: tuple[ActualState, ...] | None = None  # containers with the app's label
    proxy: bool = False  # HAProxy's routes could be read
    networks: frozenset[str] | None = None  # names of all networks on this server
    lends: frozenset[str] = frozenset()  # names of its networks that its backing components are in, if it has no container
    app_networks: tuple[NetworkState, ...] = ()  # every network that the ledger records for the app
    loose: frozenset[InstanceId] = frozenset()  # instances that HAProxy routes to whose address is not pinned to them
    misled: frozenset[InstanceId] = frozenset()  # instances whose address is pinned to a MAC that is not theirs
    unlaid: frozenset[InstanceId] = frozenset()  # instances whose secrets are not in memory
    tags: tuple[str, ...] = ()  # tags that keep an image no container needs
    unkept: tuple[InstanceId, ...] = ()  # instances whose image has lost its tag
    store: str | None = None  # the engine's image store
    volumes_gone: tuple[str, ...] = ()  # that kept releases mount, by the app's names
    files_lost: tuple[tuple[int, str, str], ...] = ()  # release, place inside, and what is wrong with the kept copy

    @cached_property
    def actives(self) -> frozenset[int]:
        """Return the live releases: the ledger's and HAProxy's."""
        return frozenset(n for n in (self.facts.app.active, self.facts.serving) if n is not None)

    @cached_property
    def needed(self) -> frozenset[int]:
        """Return what has to run: live releases, and those that HAProxy routes to."""
        return self.actives | {i.release for i in self.facts.instances.values() if i.routed}

    def needs(self, which: InstanceId) -> bool:
        """Return whether that instance has to run: the workers of a standby have not."""
        if self.facts.is_surplus(which):
            return False
        return which.release in self.actives or (which.release in self.needed and which not in self._only_live)

    @cached_property
    def _only_live(self) -> frozenset[InstanceId]:
        """Return the workers of all releases that have to run."""
        return frozenset(one for number in self.needed for one in self.facts.workers(number))

    @cached_property
    def expired(self) -> frozenset[int]:
        """Return what HAProxy routes to although retention would stop it. Empty while ledger and HAProxy disagree."""
        facts, routed = self.facts, frozenset(i.release for i in self.facts.instances.values() if i.routed)
        if not self.proxy or facts.serving != facts.app.active:
            return frozenset()
        from deployctl.domain.change.retention import retire  # it judges these facts itself

        up = {one for one in facts.instances if one.release in routed}
        well = replace(facts, running=facts.running | up)  # a container that has exited is no reason to keep another one
        return (frozenset(retire(well, active=facts.app.active, left=None).stop) & routed) - self.actives

    @cached_property
    def used(self) -> frozenset[str]:
        """Return the names of the networks that containers were created in, its own and those of its backing components."""
        return self.lends | {self.facts.app.network_of(i).name for i in self.facts.instances.values()}

    def lacks_network(self, which: InstanceId) -> bool:
        """Return whether that container was created in a network that no longer exists."""
        name = self.facts.app.network_of(self.facts.instances.get(which)).name
        return any(one.network.name == name and one.there is False for one in self.app_networks)

    def find(self, which: InstanceId) -> ActualState | None:
        """Return the container of that instance, whatever its image: the one with the recorded id, or else one of ours
        with its name."""
        instance = self.facts.instances.get(which)
        if instance is None:
            return None
        by_id = next((c for c in self.seen or () if c.id == instance.container), None)
        twins = (c for c in self.seen or () if c.sealed and c.instance == which and c.name == instance.name)
        return by_id or next(twins, None)
