"""What must hold: I1 and I4 at every change, the others once recovery has run. Each returns what is wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from deployctl.domain.change.plan import TRAFFIC_MOVES
from deployctl.domain.host.home import ONE_OFF
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.execution.labels import keep_tag
from deployctl.usecases.steps.adopt import NOBODY_SAID
from tests.simulation.promises import AroundKinds, i12_nobody_waits, i13_nothing_is_an_orphan
from tests.simulation.scheduler import Process
from tests.simulation.world import APPS, DB, SHOP, World

KNOWN = (*APPS, DB)
Check = Callable[[World], Iterator[str]]


# -- once recovery has run ----------------------------------------------------------------------------------------
def i1_nothing_is_under_way(w: World) -> Iterator[str]:
    """No deployment is open, no lease is held."""
    for deployment in w.reader.open_deployments():
        yield f"{deployment.kind} {deployment.id} of {deployment.app} is still open in {deployment.phase}"
    for row in w.db.execute("select * from leases where holder is not null"):
        if w.scheduler.alive(row["pid"]):
            yield f"{row['holder']} still holds {row['app']}"


def i2_the_ledger_says_who_serves(w: World) -> Iterator[str]:
    """What is active is what HAProxy serves, by its own word and by its file, at the container's own address."""
    apps = w.reader.apps()
    if w.traffic.worker is None:
        if apps:
            yield "HAProxy is dead"
        return
    routes = w.traffic.routes()
    for app in apps:
        if not app.is_backing and app.active != routes.get(app.name) and not is_stuck(w, app.name):
            yield f"the ledger says that {app.name} {app.active} is active, HAProxy serves {routes.get(app.name)}"
    if w.traffic.file_routes != routes:
        yield f"route.map says {w.traffic.file_routes}, HAProxy {routes}"
    yield from _servers(w, routes)


def _servers(w: World, routes: dict[AppName, int]) -> Iterator[str]:
    """A release that serves has a server for each of its replicas that is routed to, and for none of another release."""
    for app, number in routes.items():
        mine = [one for one in w.reader.instances(app) if one.release == number]
        routed = {one.id: one.address for one in mine if one.routed}
        carried = w.traffic.worker.servers if w.traffic.worker else {}
        servers = {one.address for one in carried.get((app, number), {}).values()}
        if InstanceId(number) not in routed:
            yield f"{app} {number} serves, but the ledger does not call it routed"
        elif not {*routed.values()} <= servers <= {one.address for one in mine}:
            yield f"{app} {number} serves, but its servers are {servers} and its instances {mine}"


def i2_there_are_as_many_replicas_as_are_wanted(w: World) -> Iterator[str]:
    """What serves has all of its replicas, and none too many."""
    for app in w.reader.apps():
        release = w.reader.find_release(app.name, app.active) if app.active is not None else None
        found = {one.id for one in w.reader.instances(app.name) if one.release == app.active}
        if release is not None and not {*release.instances} <= found <= {*release.containers}:
            yield f"{app.name} {app.active} is to have {release.instances}, and has {sorted(found)}"


def is_stuck(w: World, app: AppName) -> bool:
    """Return whether manual intervention is needed since the last deployment that switched the traffic and
    succeeded."""
    for deployment in w.reader.deployments(app):
        if deployment.outcome == "stuck":
            return True
        if deployment.outcome == "succeeded" and deployment.kind in TRAFFIC_MOVES:
            return False
    return False


def i3_nothing_is_orphaned_or_lost(w: World) -> Iterator[str]:
    """Containers and rows are the same set, and so are rows and their leases."""
    rows = {i.container: i for i in w.reader.instances()}
    ours = {c.facts.id: c.facts for c in w.engine._containers.values() if ONE_OFF not in c.facts.labels}
    yield from (f"container {ours[one].name} is in no row of the ledger" for one in ours.keys() - rows.keys())
    yield from (f"{rows[one].name} ({one}) has no container" for one in rows.keys() - ours.keys())
    instances = {(i.app, i.release, i.host_port) for i in rows.values() if i.host_port is not None}
    ports = {(r["app"], r["release"], r["port"]) for r in w.db.execute("select * from port_leases")}
    addresses = {(r["app"], r["release"], r["address"]) for r in w.db.execute("select * from address_leases")}
    if instances != ports:
        yield f"instances and leased ports differ: {sorted(instances ^ ports)}"
    placed = {(i.app, i.release, i.address) for i in rows.values()}
    if {one for one in placed if "/" not in one[0]} != {one for one in addresses if "/" not in one[0]}:
        yield f"instances and leased addresses differ: {addresses}"
    for app in {one[0] for one in placed if "/" in one[0]}:  # one for life, whichever version has it
        if len({one[2] for one in {*placed, *addresses} if one[0] == app}) != 1:
            yield f"{app} has several addresses: {placed} {addresses}"


def i4_somebody_serves(w: World) -> Iterator[str]:
    """What is active answers, unless its container died by itself or a person must look."""
    for app in w.reader.apps():
        served = w.is_at_work(app.name) if app.is_backing else w.is_served(app.name)
        if app.active is None or served or any(is_stuck(w, one) for one in (app.name, DB)):
            continue
        if not has_died(w, app.name, app.active):
            yield f"{app.name} {app.active} is active and does not answer"


def has_died(w: World, app: AppName, number: int) -> bool:
    """Tell whether a container of that release, or of the app's database, died by itself."""
    return any(i.container in w.befallen for i in w.reader.instances()
               if (i.app, i.release) == (app, number) or i.app.startswith(f"{app}/"))


def i5_history_only_grows(w: World) -> Iterator[str]:
    for app in KNOWN:
        changes = w.reader.changes(app)
        if [c.revision for c in changes] != list(range(len(changes), 0, -1)):
            yield f"revisions of {app} are {[c.revision for c in changes]}"
        for after, before in pairwise(changes):
            if after.source != before.target and not _began_anew(w, app, before):
                yield f"revision {after.revision} of {app} came from {after.source}, but {before.target} served"


def _began_anew(w: World, app: AppName, before: Change) -> bool:
    """Tell whether the app was removed once: its history goes on, its releases do not."""
    return any(event["kind"] == "remove" for event in w.reader.events(app))


def i2_nothing_came_apart(w: World) -> Iterator[str]:
    """Nobody switched the traffic outside deployctl, so it must never find that somebody did."""
    for app in KNOWN:
        for change in w.reader.changes(app):
            if change.kind == "drift" and change.actor == NOBODY_SAID:
                yield f"revision {change.revision} of {app} says that somebody moved it past us to {change.target}"


def i2_haproxy_carries_the_table(w: World) -> Iterator[str]:
    if w.reader.apps():  # without any, nobody needs HAProxy
        yield from w.traffic.drift()


def i8_nothing_is_left_over(w: World) -> Iterator[str]:
    """Tags keep the images of instances, and only those; a network and its guard are there for instances only."""
    instances = w.reader.instances()
    due = {keep_tag(w.reader.identity, i.app, i.id) for i in instances}
    kept = set(w.engine.images.kept_tags())
    yield from (f"the image kept as {tag} is left over" for tag in sorted(kept - due))
    yield from (f"the image {tag} is not kept" for tag in sorted(due - kept))
    apps = {a.name: a for a in w.reader.apps()}
    used = {apps[i.app].network_of(i).name for i in instances if i.app in apps}
    networks = set(w.engine.networks_here.facts)
    if networks != used:
        yield f"networks {sorted(networks)} are there, {sorted(used)} are used"
    guards = {apps[i.app].network_of(i).subnet for i in instances if i.app in apps}
    if w.guard.routes != guards:
        yield f"guard routes {sorted(w.guard.routes)} are there, {sorted(guards)} are needed"


def i9_the_journal_tells(w: World) -> Iterator[str]:
    """Every deployment records how it ended, every revision its deployment, and why one was reverted."""
    for app in KNOWN:
        for deployment in w.reader.deployments(app):
            if deployment.outcome in {"reverted", "stuck"} and not deployment.error:
                yield f"{deployment.kind} {deployment.id} of {app} was {deployment.outcome} without a word why"
    for row in w.db.execute("select c.revision, c.app, d.outcome from changes c "
                            "left join deployments d on d.id = c.deployment where c.kind <> 'drift'"):
        if row["outcome"] not in {"succeeded", "stuck"}:
            yield f"revision {row['revision']} of {row['app']} was made by a deployment that is {row['outcome']}"


WHEN_SETTLED: tuple[Check, ...] = (
    i1_nothing_is_under_way, i2_the_ledger_says_who_serves, i2_nothing_came_apart, i4_somebody_serves,
    i5_history_only_grows, i9_the_journal_tells, i12_nobody_waits,
)  # fmt: skip
AFTER_A_CLEAN_DEATH: tuple[Check, ...] = (*WHEN_SETTLED, i3_nothing_is_orphaned_or_lost, i8_nothing_is_left_over)
WHEN_RECONCILED: tuple[Check, ...] = (*WHEN_SETTLED, i2_haproxy_carries_the_table,
                                      i2_there_are_as_many_replicas_as_are_wanted, i3_nothing_is_orphaned_or_lost,
                                      i8_nothing_is_left_over, i13_nothing_is_an_orphan)


def broken(w: World, checks: tuple[Check, ...]) -> list[str]:
    """Return everything that does not hold, each with the number of its invariant."""
    return [f"{check.__name__.split('_')[0].upper()}: {text}" for check in checks for text in check(w)]


def everything(w: World) -> dict[str, object]:
    """Return all that a second recovery must leave alone (I7)."""
    return {
        "ledger": {table: [tuple(row) for row in w.db.execute(f"select * from {table}")] for table in TABLES},
        "routes": (w.traffic.file_routes, w.traffic.live, w.traffic.file, w.traffic.worker),
        "containers": {c.facts.id: c.facts for c in w.engine._containers.values()},
        "images": dict(w.engine.images._here), "networks": dict(w.engine.networks_here.facts), "guards": set(w.guard.routes),
        "volumes": dict(w.engine.volumes_here.here), "secrets": dict(w.secrets.laid), "queues": set(w.traffic.queues()),
    }


TABLES = ("apps", "releases", "instances", "port_leases", "address_leases", "changes", "events", "deployments", "steps")


def of_app(w: World, app: AppName) -> dict[str, object]:
    """Return what makes up one app: nobody who works on another one may touch it (I6)."""
    return {
        "app": w.reader.find_app(app), "releases": w.reader.releases(app), "instances": w.reader.instances(app),
        "changes": w.reader.changes(app),
        "route": (w.traffic.live.get(app), (w.traffic.file_routes or {}).get(app)),
        "containers": {c.facts.id: (c.facts.name, c.facts.running, c.facts.labels, c.facts.addresses)
                       for c in w.engine._containers.values() if c.facts.labels.get("deployctl.app") == app},
    }


def removes(process: Process) -> bool:
    return process.name.partition(":")[2].startswith("remove")


# -- at every change ------------------------------------------------------------------------------------------------
class AroundChanges:
    """Looks before and after every change that a process makes."""

    def __init__(self, w: World, found: Callable[[str], None]) -> None:
        self._w, self._found = w, found
        self.half_removed: set[AppName] = set()
        self.of_kinds = AroundKinds(w, found)

    def begins(self, process: Process, port: str, name: str, args: tuple[Any, ...]) -> None:
        """I1: a process that begins to change an app holds its lease. A response may come later than that."""
        if name == "switch" and removes(process):
            self.half_removed.add(args[0])
        if name == "open_deployment" and removes(process) and args[0].app == DB:  # with its app
            self.half_removed.add(SHOP)
        self.of_kinds.before(name, args)
        app = self._app_of(port, name, args)
        holder = self._w.hearts.holders.get(app) if app else None
        if app and (holder is None or holder[0] is not process):
            who = holder[0].name if holder else "nobody"
            self._found(f"I1: {process.name} did {port}.{name} to {app}, whose lease {who} holds")

    def after(self, process: Process, port: str, name: str, args: tuple[Any, ...], served: dict[AppName, bool]) -> None:
        for app, was in served.items():
            if was and not self._w.is_served(app) and not self._may_go_dark(app, process):
                self._found(f"I4: {port}.{name} of {process.name} left {app} unserved")
        if name == "promote":
            self._promoted(process, args[0])
        if name == "remove_app":
            self.half_removed.discard(args[0])
        if (port, name) == ("traffic", "switch") and args[1] is not None:
            self._switched(process, args[0], args[1])
        self.of_kinds.after(process, port, name, args)

    def _may_go_dark(self, app: AppName, process: Process) -> bool:
        """Return whether that was requested (a removal, a restart, stopping the live version, reverting to none), its clients
        wait, or what had just passed its health check died by itself right then."""
        if app in self._w.traffic.queued or has_died(self._w, app, self._w.traffic.live.get(app, 0)):
            return True
        opened = [one for one in self._w.reader.open_deployments() if owner_of(one.app) == app]
        return removes(process) or "restart" in process.name or any(None in {one.source, one.target} for one in opened)

    def _promoted(self, process: Process, change: Change) -> None:
        """I2: what is called active is what HAProxy serves at that very moment, or will when it is started again."""
        w = self._w
        serves = (w.traffic.live if w.traffic.worker else w.traffic.file_routes or {}).get(change.app)
        if serves != change.target and "/" not in change.app:
            self._found(f"I2: {process.name} promoted {change.app} {change.target} while HAProxy serves {serves}")

    def _switched(self, process: Process, app: AppName, to: int) -> None:
        """Promise 1: traffic goes only to what passed its health check once."""
        release = self._w.reader.find_release(app, to)
        served = any(change.target == to for change in self._w.reader.changes(app))
        if release is None or not (release.proven_at or served):
            self._found(f"I4: {process.name} gave the traffic of {app} to release {to}, which was never proven")

    def _app_of(self, port: str, name: str, args: tuple[Any, ...]) -> AppName | None:
        if (port, name) == ("traffic", "switch"):
            return AppName(args[0])
        if port == "engine" and name == "ensure_created":
            return None if ONE_OFF in args[0].labels else AppName(args[0].labels["deployctl.app"])
        if port == "engine" and name in {"ensure_started", "ensure_stopped", "ensure_removed", "set_restart"}:
            seen = self._w.engine._find(args[0])
            return AppName(seen.facts.labels["deployctl.app"]) if seen and ONE_OFF not in seen.facts.labels else None
        return None
