"""Repairs that are a single act. All run under the app's lease, may be repeated, and switch no traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployctl.dataclass import replace
from deployctl.domain.change.drift import Drift, Repair
from deployctl.domain.change.facts import AppSnapshot
from deployctl.domain.images.component import instance_name
from deployctl.errors import NetworkTaken, NotFound, RegistryUnavailable
from deployctl.execution import networks, pins
from deployctl.execution.containers import ensure_image, keep_log
from deployctl.execution.labels import keep_tag
from deployctl.ports import Services

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.images.release import Bundle

RepairAct = Callable[[Drift, AppSnapshot, Services], None]


def ensure_guard(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.guard.ensure(_network(drift, snapshot).subnet)


def ensure_network(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    """Recreate it. If its subnet has been taken, what was in it is removed: the plan recreates that in another one."""
    app, network = snapshot.facts.app, _network(drift, snapshot)
    try:
        networks.make(s, app.name, network)
    except NetworkTaken:
        for one, instance in snapshot.facts.instances.items():
            if app.network_of(instance) == network and (seen := snapshot.find(one)):
                make_room(replace(drift, release=one.release, container=seen.id, instance=one), snapshot, s)


def adopt(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.ledger.set_instance(snapshot.facts.app.name, _instance(drift), container=_container(drift))


def rename(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.engine.ensure_named(_container(drift), snapshot.facts.instances[_instance(drift)].name)


def give_limits_back(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.engine.set_limits(_container(drift), _bundle(drift, snapshot).resources)


def let_restart(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.engine.set_restart(_container(drift), always=True)


def lay_secrets(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    from deployctl.execution.kinds.attachments import ensure_delivered  # few apps have any

    which = _instance(drift)
    name = instance_name(snapshot.facts.releases[which.release], which)
    ensure_delivered(s, snapshot.facts.instances[which], _bundle(drift, snapshot), name=name)


def connect(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    """Connect it again to the networks that its release names and it has lost."""
    seen = snapshot.find(_instance(drift))
    there = (seen and seen.networks) or frozenset()
    for name in _bundle(drift, snapshot).networks:
        if name not in there:
            s.engine.ensure_connected(_container(drift), name)


def pin(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    """Pin its address exactly if it has the MAC it was created with."""
    seen = s.engine.find_container(_container(drift))
    if seen is not None:
        pins.settle(s, snapshot.facts.app, snapshot.facts.instances[_instance(drift)], seen)


def make_room(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    """Remove what is to be recreated, once the image for it is present."""
    try:
        ensure_image(snapshot.facts.releases[_instance(drift).release], _bundle(drift, snapshot), s)
    except (NotFound, RegistryUnavailable) as e:
        e.message = f"{e.message}. The container was left unchanged"
        raise
    if (instance := snapshot.facts.instances.get(_instance(drift))) is not None:
        keep_log(instance, _container(drift), s)
    remove(drift, snapshot, s)


def remove(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.engine.ensure_removed(_container(drift))


def untag(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    s.engine.release_image(_container(drift))


def keep(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    tag = keep_tag(s.ledger.identity, snapshot.facts.app.name, _instance(drift))
    s.engine.keep_image(_bundle(drift, snapshot).digest, tag)


def clear(drift: Drift, snapshot: AppSnapshot, s: Services) -> None:
    networks.clear_unused(s, snapshot.facts.app.name)


def ensure_guards(s: Services) -> None:
    """Add the guard route of every app with containers, before HAProxy may send anything to their addresses."""
    for app in s.ledger.apps() if s.bridged else ():
        with s.ledger.transaction():  # an app that is removed in the meantime gets no route back
            for subnet in {app.network_of(i).subnet for i in s.ledger.instances(app.name)}:
                s.guard.ensure(subnet)


ACTS: Mapping[Repair, RepairAct] = {  # in the order of execution
    Repair.GUARD: ensure_guard,
    Repair.NETWORK: ensure_network,
    Repair.ADOPT: adopt,
    Repair.RENAME: rename,
    Repair.LIMIT: give_limits_back,
    Repair.RESTART: let_restart,
    Repair.SECRETS: lay_secrets,
    Repair.CONNECT: connect,
    Repair.PIN: pin,
    Repair.UNPIN: pin,
    Repair.REMAKE: make_room,  # the plan recreates it
    Repair.REMOVE: remove,
    Repair.UNTAG: untag,
    Repair.KEEP: keep,
    Repair.CLEAR: clear,
}


def _instance(drift: Drift) -> InstanceId:
    if drift.instance is None:
        raise NotFound(f"no instance in this drift: {drift.sentence}")
    return drift.instance


def _bundle(drift: Drift, snapshot: AppSnapshot) -> Bundle:
    """Return the spec that its container is to be made from."""
    which = _instance(drift)
    return snapshot.facts.releases[which.release].component(which.component).bundle


def _network(drift: Drift, snapshot: AppSnapshot) -> AppNetwork:
    found = next((one.network for one in snapshot.app_networks if one.network.name == drift.container), None)
    if found is None:
        raise NotFound(f"no network in this drift: {drift.sentence}")
    return found


def _container(drift: Drift) -> str:
    if drift.container is None:
        raise NotFound(f"no container in this drift: {drift.sentence}")
    return drift.container
