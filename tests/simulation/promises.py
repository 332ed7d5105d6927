"""What holds for apps that are more than one container, around every change and at the end.

I10  never two writers on an exclusive volume, and the engine restarts only the one that writes
I11  never a mixed release: what HAProxy sends to a release, and what a container finds of its siblings, is of that release
I12  no queued request is lost: what serves ends only while its clients wait, and they go on only when something serves
I13  no orphan volume, secret or command: each has its label and its app, data goes only with `--volumes`
I14  a job runs once in a release
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from deployctl.domain.host.home import ONE_OFF
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.execution.labels import instance_id
from deployctl.execution.mounts import VOLUME_LABEL
from deployctl.testing.fake_hands import FakeContainer
from tests.simulation.scheduler import Process
from tests.simulation.world import World


def at_work(w: World) -> list[FakeContainer]:
    """Return the containers whose program runs."""
    return [one for one in w.engine._containers.values() if one.facts.running and not one.waiting]


# -- at every change ------------------------------------------------------------------------------------------------------
class AroundKinds:
    """Looks after each change of a process; `let_go` are the deployments of which one let requests go on to nobody."""

    def __init__(self, w: World, found: Callable[[str], None]) -> None:
        self._w, self._found = w, found
        self.let_go: list[tuple[int, ...]] = []
        self._served: set[AppName] = set()  # when its requests began to wait
        self._jobs: set[str] = set()

    def before(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "queue" and self._w.is_served(args[0]):
            self._served.add(args[0])

    def after(self, process: Process, port: str, name: str, args: tuple[Any, ...]) -> None:
        if port not in {"engine", "traffic"}:
            return
        for text in (*two_writers(self._w), *mixed(self._w)):
            self._found(f"{text}, after {port}.{name} of {process.name}")
        if name == "release_queue":
            self._went_on(args[0])
        elif name == "ensure_volume_gone" and "--volumes" not in process.name:
            self._found(f"I13: {process.name} removed the volume {args[0]}")
        elif port == "engine" and name in {"ensure_started", "set_restart"}:
            one = self._w.engine._find(args[0])
            if one is not None and one.spec is not None and ONE_OFF not in one.facts.labels:
                self._started(process, one) if name == "ensure_started" else self._restarts(process, one)
        if "restart" in process.name and name == "ensure_stopped":  # reconcile starts what that leaves
            self._w.befallen.add(args[0])

    def _went_on(self, app: AppName) -> None:
        """What went on to nobody is judged at the end, unless HAProxy died meanwhile, and with it all that waited."""
        if app in self._w.traffic.queued:  # it waits for another change, too
            return
        w, served = self._w, app in self._served and self._w.traffic.worker is not None
        self._served.discard(app)
        if served and not w.is_served(app) and not w.befallen:
            self.let_go.append(tuple(one.id for one in w.reader.open_deployments() if owner_of(one.app) == app))

    def _started(self, process: Process, one: FakeContainer) -> None:
        facts, w = one.facts, self._w
        if facts.labels["deployctl.kind"] == "job":
            if facts.id in self._jobs:
                self._found(f"I14: {process.name} ran the job {facts.name} twice")
            self._jobs.add(facts.id)
        for text in (*_strangers(w, one), *_without_secrets(w, one)):
            self._found(f"{text}, which {process.name} started")

    def _restarts(self, process: Process, one: FakeContainer) -> None:
        launch = one.spec.launch if one.spec else None
        labels = one.facts.labels
        app = self._w.reader.find_app(AppName(labels["deployctl.app"]))
        meant = app is not None and str(app.active) == labels["deployctl.release"]  # the other one is ended next
        holder = self._w.hearts.holders.get(AppName(labels["deployctl.app"]))
        stale = holder is None or holder[0] is not process  # frozen between the fence's look and this
        stale = stale or one.facts.id in self._w.befallen  # Docker was restarted between the look at the lock and this
        if launch is None or launch.lock is None or meant or stale or not self._w.engine.restarts_always(one.facts.id):
            return
        if others := [pid for pid in self._w.engine.holders(launch.lock) if pid != one.facts.pid]:
            self._found(f"I10: {process.name} has the engine restart {one.facts.name} while {others} hold its lock")


def two_writers(w: World) -> Iterator[str]:
    """Of each volume of these apps, and of each exclusive or backing component, one program runs."""
    writers: dict[str, list[str]] = {}
    for one in at_work(w):
        labels, spec = one.facts.labels, one.spec
        for mount in spec.mounts if spec else ():
            if not (mount.is_path or mount.read_only):
                writers.setdefault(f"the volume {mount.source}", []).append(one.facts.name)
        if labels.get("deployctl.kind") in {"exclusive", "backing"} and ONE_OFF not in labels:
            key = f"{labels['deployctl.component']} of {labels['deployctl.app']}"
            writers.setdefault(key, []).append(one.facts.name)
    yield from (f"I10: {', '.join(names)} are writers of {what}" for what, names in writers.items() if names[1:])


def mixed(w: World) -> Iterator[str]:
    """Every server of a release is a container of that release, if it is one at all."""
    if w.traffic.worker is None:
        return
    owners = {address: one.facts for one in at_work(w) for address in one.facts.addresses.values()}
    for (app, number), servers in w.traffic.worker.servers.items():
        for server in servers.values():
            facts = owners.get(server.address)
            if facts is not None and (facts.labels["deployctl.app"], facts.labels["deployctl.release"]) != (app, str(number)):
                yield f"I11: HAProxy's server {server.name} of {app} {number} is {facts.name}"


def _strangers(w: World, one: FakeContainer) -> Iterator[str]:
    """Names inside lead to siblings of the same release, or to the app's backing components."""
    labels, spec = one.facts.labels, one.spec
    app, number = labels["deployctl.app"], int(labels["deployctl.release"])
    placed = w.reader.instances()
    for name, address in spec.hosts if spec else ():
        whose = [i for i in placed if i.address == address]
        if not all(i.app.startswith(f"{app}/") or (i.app, i.release) == (app, number) for i in whose):
            yield f"I11: {name} inside {one.facts.name} is {[i.name for i in whose]}"


def _without_secrets(w: World, one: FakeContainer) -> Iterator[str]:
    app, which = AppName(one.facts.labels["deployctl.app"]), instance_id(one.facts.labels)
    release = w.reader.find_release(app, which.release) if which else None
    if which and release and not w.secrets.is_delivered(app, which, release.component(which.component).bundle.secrets):
        yield f"I13: the secrets of {one.facts.name} do not lie there"


# -- once recovery has run -------------------------------------------------------------------------------------------------
def i12_nobody_waits(w: World) -> Iterator[str]:
    yield from (f"requests of {app} still wait" for app in w.traffic.queues())


def i13_nothing_is_an_orphan(w: World) -> Iterator[str]:
    """Each volume carries the labels of an app that has a file, and what its owner's image has; each folder of secrets has
    its instance, and each instance that runs has its secrets."""
    for name, volume in w.engine.volumes_here.here.items():
        labels = volume.facts.labels
        if labels.get("deployctl.app") not in w.files or not labels.get(VOLUME_LABEL):
            yield f"the volume {name} belongs to nobody: {labels}"
        elif volume.filled_from is None and any(name in _volumes(one) for one in at_work(w)):
            yield f"the volume {name} is used and was never filled by its owner"
    yield from (f"the command's container {one.facts.name} is left over" for one in w.engine._containers.values()
                if ONE_OFF in one.facts.labels)
    instances = {(i.app, i.id) for i in w.reader.instances()}
    yield from (f"secrets of {app} {one} are left over" for (app, one), files in w.secrets.laid.items()
                if files and (app, one) not in instances)
    for one in at_work(w):
        if ONE_OFF not in one.facts.labels:
            yield from (text.removeprefix("I13: ") for text in _without_secrets(w, one))


def _volumes(one: FakeContainer) -> set[str]:
    return {mount.source for mount in one.spec.mounts} if one.spec else set()


def lost(w: World, let_go: list[tuple[int, ...]]) -> Iterator[str]:
    """Requests went on to nobody although something could serve: unless a person has to look."""
    for numbers in let_go:
        rows = [w.db.execute("select app, kind, outcome from deployments where id = ?", [number])[0] for number in numbers]
        if rows and all(row["outcome"] != "stuck" for row in rows):
            told = ", ".join(f"{row['kind']} of {row['app']} ({row['outcome']})" for row in rows)
            yield f"I12: {told} let requests go on while nothing served"
