"""Where the actual state contradicts the ledger, and what would repair it. Facts in, drifts out.

Which release is live is never decided here: HAProxy's routes stand, and only a lost route is restored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from deployctl.dataclass import dataclass
from deployctl.domain.change.drift_kinds import DriftKind as DriftKind
from deployctl.domain.change.drift_kinds import Repair as Repair
from deployctl.domain.images.component import InstanceId, dropped, instance_name
from deployctl.domain.images.image_ref import is_made_of, short_digest
from deployctl.domain.images.image_store import find_hidden, switched_text
from deployctl.domain.images.release import OVERTAKEN, SET_ASIDE, Restart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import ActualState, AppSnapshot, NetworkState
    from deployctl.domain.images.release import Bundle, Instance, Resources
    from deployctl.domain.inputs.names import AppName


@dataclass(frozen=True, slots=True)
class Drift:
    """One contradiction between the ledger and what runs."""

    kind: DriftKind
    message: str  # does not name the app
    repair: Repair | None = None  # None: a person has to decide
    app: AppName | None = None  # None: concerns the whole home
    release: int | None = None  # number
    container: str | None = None  # full id, network name, or image tag
    instance: InstanceId | None = None  # None: not about one instance

    @property
    def sentence(self) -> str:
        """Return the message with the app's name in front, for lists of several apps."""
        return f"{self.app}: {self.message}" if self.app else self.message


def find_drift(snapshot: AppSnapshot) -> list[Drift]:
    """Return every contradiction of one app: first what keeps a live release from running, then live releases, then the rest
    by number."""
    found = [*_around(snapshot), *_traffic(snapshot), *_lost(snapshot)]
    if snapshot.seen is not None:
        instances = snapshot.facts.instances
        hidden = find_hidden(instances, {one for one in instances if snapshot.find(one)}, snapshot.store)
        found += _hidden(snapshot, hidden)
        wanted = {*instances, *(one for n in snapshot.actives for one in snapshot.facts.ids(n) or (InstanceId(n),))}
        order = sorted(wanted - hidden, key=lambda one: (
            not is_in_the_way(snapshot, one), one.release not in snapshot.actives, one))
        found += [drift for one in order for drift in _instance(snapshot, one)]
        created = {drift.instance for drift in found if drift.repair is Repair.CREATE}  # creating also tags the image
        found += [*_strays(snapshot), *(drift for drift in _images(snapshot) if drift.instance not in {*hidden, *created})]
    return found


def _lost(snapshot: AppSnapshot) -> Iterator[Drift]:
    """Yield what containers have outside their images and what is gone. Nothing that runs by itself can bring data back."""
    app = snapshot.facts.app.name
    for name in snapshot.volumes_gone:
        yield Drift(DriftKind.VOLUME, f"its volume {name} is gone, and the data in it: an upgrade begins with an empty one",
                    app=app)
    for number, target, fault in snapshot.files_lost:
        yield Drift(DriftKind.CONFIG_FILE, f"the kept copy of {target} of {_version(snapshot, number)} is {fault}", app=app,
                    release=number)


def _hidden(snapshot: AppSnapshot, hidden: frozenset[InstanceId]) -> Iterator[Drift]:
    facts = snapshot.facts
    if hidden:
        before = facts.instances[min(hidden)].store or ""
        message = switched_text(facts.app.name, facts.version(facts.app.active), before=before, now=snapshot.store or "")
        yield Drift(DriftKind.STORE, message, app=facts.app.name)


# -- around the containers -----------------------------------------------------------------------------------------
def _around(snapshot: AppSnapshot) -> Iterator[Drift]:
    app = snapshot.facts.app
    for one in snapshot.app_networks:
        if one.network.name in snapshot.used:
            yield from _network(snapshot, one)
        elif (app.active is None and not snapshot.used) or one.network.name != app.network:
            yield from _empty(app.name, one)


def _empty(app: AppName, one: NetworkState) -> Iterator[Drift]:
    kept = [word for word, there in (("network", one.there), ("guard route", one.guarded)) if there]
    if kept:
        yield Drift(DriftKind.EMPTY, f"its {' and its '.join(kept)} {'are' if kept[1:] else 'is'} kept for no container",
                    Repair.CLEAR, app, container=one.network.name)


def _network(snapshot: AppSnapshot, one: NetworkState) -> Iterator[Drift]:
    app, network = snapshot.facts.app, one.network
    if one.guarded is False:
        yield Drift(DriftKind.GUARD, f"the guard route of {network.subnet} is gone", Repair.GUARD, app.name,
                    container=network.name)
    serves = {app.network_of(snapshot.facts.main(n)).name for n in snapshot.actives if snapshot.facts.is_up(n)}
    if one.there is False:
        yield Drift(DriftKind.NETWORK, f"its network {network.name} is gone", Repair.NETWORK, app.name,
                    container=network.name)
    elif one.up is False and network.name in serves:
        yield Drift(DriftKind.BRIDGE, f"its bridge {network.bridge} is gone or down, visitors get 503 "
                    "(sudo systemctl restart docker)", app=app.name, container=network.name)


def _traffic(snapshot: AppSnapshot) -> Iterator[Drift]:
    app, serving = snapshot.facts.app, snapshot.facts.serving
    if not snapshot.proxy or serving == app.active:
        return
    if serving is None:
        yield Drift(DriftKind.ROUTE, f"HAProxy has lost its route, {_version(snapshot, app.active)} should be live",
                    Repair.SWITCH, app.name, app.active)
    else:
        yield Drift(DriftKind.TRAFFIC, f"HAProxy routes to release {serving}, but the ledger says {app.active}; "
                    "the next change settles it", Repair.FOLLOW, app.name, serving)


# -- one container -------------------------------------------------------------------------------------------------
def _instance(snapshot: AppSnapshot, which: InstanceId) -> Iterator[Drift]:
    app, instance, seen, n = snapshot.facts.app.name, snapshot.facts.instances.get(which), snapshot.find(which), which.release
    who = f"the container of {_name(snapshot, which)}{', which is live,' if n in snapshot.actives else ''}"

    def drift(kind: DriftKind, message: str, repair: Repair | None) -> Drift:
        return Drift(kind, f"{who} {message}", repair, app, n, seen.id if seen else None, which)

    if instance is not None and seen is None and instance.container is None and n not in snapshot.needed:
        yield drift(DriftKind.REMOVED, "was never created", Repair.FORGET)  # its release is none yet: the rest goes, too
        return
    if _is_job(snapshot, which):
        if seen is not None and seen.up:  # to end a migration in the middle may be worse than to let it run
            yield drift(DriftKind.RUNS, "is a job and runs again: someone started it", None)
        return
    if snapshot.facts.is_surplus(which):
        yield drift(DriftKind.SURPLUS, "is one more than there are to be", Repair.SHRINK)
        return
    if instance is None or seen is None:
        forgotten = instance is not None and instance.failed and not snapshot.needs(which)
        yield drift(DriftKind.REMOVED, "was removed by someone", Repair.FORGET if forgotten else Repair.CREATE)
        return
    bundle = _bundle(snapshot, which)
    if bundle is not None and not is_made_of(seen.image, bundle):
        yield drift(DriftKind.OTHER_IMAGE, f"is made of another image than its release, {short_digest(seen.image)} instead of "
                    f"{short_digest(bundle.digest)}: someone recreated it", Repair.REMAKE)
        return
    if seen.id != instance.container:
        yield drift(DriftKind.REPLACED, f"is another one than the ledger knows: {seen.id[:12]}", Repair.ADOPT)
    if seen.name != instance.name:
        yield drift(DriftKind.RENAMED, f"was renamed to {seen.name}", Repair.RENAME)
    if (state := _state(snapshot, which, instance, seen)) is not None:
        yield drift(*state)
    if snapshot.needs(which):
        yield from (drift(*one) for one in _closer(snapshot, which, seen))
    if not instance.failed:
        yield from (drift(*one) for one in _joined(snapshot, which, seen))


def _is_job(snapshot: AppSnapshot, which: InstanceId) -> bool:
    release = snapshot.facts.releases.get(which.release)
    return release is not None and release.component(which.component).is_job


def _state(snapshot: AppSnapshot, which: InstanceId, instance: Instance,
           seen: ActualState) -> tuple[DriftKind, str, Repair | None] | None:
    n = which.release
    if n in snapshot.expired:
        return DriftKind.EXPIRED, f"runs beyond keep_warm = {snapshot.facts.app.policy.keep_warm}", Repair.STOP
    if not snapshot.needs(which):
        release = snapshot.facts.releases.get(n)
        if instance.failed and release is not None and release.failure_code == OVERTAKEN:
            return (DriftKind.RUNS, f"runs although {SET_ASIDE}", Repair.STOP) if seen.up else None
        if n in snapshot.needed:
            return (DriftKind.RUNS, "runs although its version is not live: it takes work", Repair.REST) if seen.up else None
        inspected = "runs although it failed: someone started it", None
        stopped = "runs although nothing needs it: someone started it", Repair.STOP
        kept = instance.failed and not is_in_the_way(snapshot, which)
        return (DriftKind.RUNS, *(inspected if kept else stopped)) if seen.up else None
    match seen.status:
        case "running":
            return _place(instance, seen)
        case "paused":
            return DriftKind.PAUSED, "is paused", Repair.START
        case "restarting":  # Docker is restarting it
            return None
    lost = seen.status == "dead" or snapshot.lacks_network(which)  # it would start in a network that no longer exists
    return DriftKind.STOPPED, f"does not run: Docker says {seen.status}", Repair.REMAKE if lost else Repair.START


def is_in_the_way(snapshot: AppSnapshot, which: InstanceId) -> bool:
    """Return whether it runs, is not needed, and holds the lock or the address of what is."""
    release, seen = snapshot.facts.releases.get(which.release), snapshot.find(which)
    if release is None or seen is None or not seen.up or snapshot.needs(which):
        return False
    return snapshot.facts.app.is_backing or release.component(which.component).is_exclusive


def _place(instance: Instance, seen: ActualState) -> tuple[DriftKind, str, Repair | None] | None:
    if instance.address in seen.addresses:
        return None
    where = f"answers on {', '.join(seen.addresses)}" if seen.addresses else "has no address any more"
    return DriftKind.MOVED, f"{where} and not on its own {instance.address}: someone reconnected it", Repair.REMAKE


def _closer(snapshot: AppSnapshot, which: InstanceId, seen: ActualState) -> Iterator[tuple[DriftKind, str, Repair | None]]:
    n, release, bundle = which.release, snapshot.facts.releases.get(which.release), _bundle(snapshot, which)
    if bundle and seen.limits is not None and seen.limits != bundle.resources:
        differ = _limits(seen.limits, bundle.resources)
        yield DriftKind.LIMITS, f"has other limits than its release: {differ}", Repair.LIMIT
    if release and bundle and seen.cap_drop is not None and (
            more := _more(dropped(release.cap_drop, bundle), seen.cap_drop)):
        yield (DriftKind.CAPABILITIES, f"has {', '.join(more)}, which its release drops: someone recreated it",
               None if n in snapshot.actives else Repair.REMAKE)
    if which in snapshot.loose:
        yield (DriftKind.PIN, "has an address that another one on its network could answer for: it is not pinned to it",
               Repair.PIN)
    if which in snapshot.misled:
        yield DriftKind.PIN, "is not reached: its address is pinned to another MAC than it has", Repair.UNPIN
    if which in snapshot.unlaid:
        yield DriftKind.SECRETS, "lacks its secrets in memory: it could not start again", Repair.SECRETS
    if seen.restart is Restart.NEVER and seen.up:
        yield DriftKind.RESTARTS, "is not restarted by Docker after a crash", Repair.RESTART
    if seen.restart is Restart.UNLESS_STOPPED and seen.up:
        yield DriftKind.FORMER_RESTART, "would not come back after a crash of Docker itself", Repair.RESTART


def _more(wanted: Collection[str], dropped: Collection[str]) -> list[str]:
    """Return the capabilities that a container has although its release drops them."""
    return [] if "ALL" in dropped else [name for name in wanted if name not in dropped]


def _joined(snapshot: AppSnapshot, which: InstanceId, seen: ActualState) -> Iterator[tuple[DriftKind, str, Repair | None]]:
    """Compare the unmanaged networks it is connected to with those that its release joins."""
    bundle, app = _bundle(snapshot, which), snapshot.facts.app
    if bundle is None or seen.networks is None:
        return
    wanted = bundle.networks
    for name in wanted:
        if snapshot.networks is not None and name not in snapshot.networks:
            yield DriftKind.DISCONNECTED, f"needs the network {name}, which is gone (docker network create {name})", None
        elif name not in seen.networks:
            yield DriftKind.DISCONNECTED, f"is no longer connected to the network {name}", Repair.CONNECT
    more = sorted(seen.networks - {*wanted})
    if more and seen.up:
        line = ", ".join(f'"{name}"' for name in (*wanted, *more))
        yield DriftKind.CONNECTED, (f"was connected to {', '.join(more)} manually, which the next upgrade drops: to keep it, "
                               f"add networks = [{line}] to config/{app.name}.toml"), None


def _limits(has: Resources, should: Resources) -> str:
    pairs = (("memory", f"{has.memory / 2**20:g} MiB", f"{should.memory / 2**20:g} MiB"),
             ("cpus", f"{has.cpus:g}", f"{should.cpus:g}"), ("pids", str(has.pids), str(should.pids)))
    return ", ".join(f"{name} {one} for {other}" for name, one, other in pairs if one != other)


# -- what is no longer needed -----------------------------------------------------------------------------------------
def _strays(snapshot: AppSnapshot) -> Iterator[Drift]:
    app, serving = snapshot.facts.app.name, snapshot.facts.serving
    mine = {found.id for n in snapshot.facts.instances if (found := snapshot.find(n))}
    for seen in snapshot.seen or ():
        if seen.id not in mine:
            doubled = seen.instance is not None and snapshot.find(seen.instance) is not None
            yield stray(app, seen, serves=seen.release == serving, doubled=doubled)


def stray(app: AppName, seen: ActualState, *, serves: bool, doubled: bool) -> Drift:
    """Return the drift for a container that the ledger does not know. It may be removed when it is certainly ours, gets
    no traffic, and never ran or duplicates its release's container. Any other may be newer than a restored backup: then
    the ledger is what is incomplete."""
    if not seen.sealed:
        message = f"the container {seen.name} has our labels without our signature: it is not ours"
        return Drift(DriftKind.STRANGER, message, app=app, container=seen.id)
    kept = serves or not (doubled or seen.status == "created")
    what = "is live" if serves else "runs" if seen.up else "is left over"
    hint = " (deployctl ledger rebuild --force adopts it)" if kept else ""
    message = f"the container {seen.name} {what}, but is not in the ledger{hint}"
    return Drift(DriftKind.UNKNOWN, message, None if kept else Repair.REMOVE, app, seen.release, seen.id)


def _images(snapshot: AppSnapshot) -> Iterator[Drift]:
    for one in snapshot.unkept:
        yield Drift(DriftKind.IMAGE, f"the image of {_name(snapshot, one)} has lost the tag that "
                    "keeps it", Repair.KEEP, snapshot.facts.app.name, one.release, instance=one)
    for tag in snapshot.tags:
        yield Drift(DriftKind.IMAGE, f"the image {tag} is kept for no container", Repair.UNTAG,
                    snapshot.facts.app.name, container=tag)


def _bundle(snapshot: AppSnapshot, which: InstanceId) -> Bundle | None:
    release = snapshot.facts.releases.get(which.release)
    return release.component(which.component).bundle if release else None


def _name(snapshot: AppSnapshot, which: InstanceId) -> str:
    release = snapshot.facts.releases.get(which.release)
    return instance_name(release, which) if release else f"release {which.release}"


def _version(snapshot: AppSnapshot, n: int | None) -> str:
    return snapshot.facts.version(n) or f"release {n}"
