"""The networks that an app's containers are in: created, replaced by another one, and removed when they are empty.

A subnet, name or bridge that someone else has taken, or a full network, blocks nothing: new containers go to another
network, running ones stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice

from deployctl.dataclass import replace
from deployctl.domain.host.home import PATH_LABEL
from deployctl.domain.host.networks import AppNetwork, cut, find_taken
from deployctl.errors import DeployctlError, NetworkTaken, NotFound, NotPermitted, Refused
from deployctl.execution.labels import bridge_name, common_labels, named_like, network_name
from deployctl.ports import NetworkSpec
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App, Bundle
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Engine, NetworkFacts, Services

MAX_NETWORK_TRIES = 8  # others that create networks at the same moment were faster each time


def own_network(s: Services, app: App) -> App:
    """Create the network for new containers, another one if the app's own is now taken, and return the app."""
    for _ in range(MAX_NETWORK_TRIES):
        try:
            make(s, app.name, app.own_network)
            return app
        except NetworkTaken as e:
            left, app = app, move_on(s, app)
            s.report.warn(f"{e.message}: new containers use {app.subnet} ({app.network}), running ones stay where they are")
            clear_unused(s, left.name)
    raise DeployctlError(f"could not create a network for {app.name}: other processes were always faster", remedy=["try again"])


def make(s: Services, app: AppName, network: AppNetwork) -> None:
    """Create it if it does not exist; its guard route comes first, so that its addresses can never lead to another
    host.

    Raises NetworkTaken if its subnet, name or bridge is taken.
    """
    there = s.engine.networks()
    if all(one.name != network.name for one in there):
        _require_free(s, network, there)
    if s.bridged:
        s.guard.ensure(network.subnet)
    s.engine.ensure_network(NetworkSpec(network.name, network.bridge, network.subnet, network.gateway,
                                        common_labels(s, app), network.engines_own))


def _require_free(s: Services, network: AppNetwork, there: Iterable[NetworkFacts]) -> None:
    routes = s.guard.routed_subnets() if s.bridged else []
    taken = find_taken(network, subnets=(subnet for one in there for subnet in one.subnets), routes=routes)
    if taken:
        raise NetworkTaken(f"the subnet {network.subnet} of {network.name} is used by something else now ({taken})",
                           remedy=["docker network ls", "ip route"])
    if s.bridged and s.guard.has_interface(network.bridge):
        raise NetworkTaken(f"the interface {network.bridge} already exists, but the network {network.name} does not",
                           remedy=[f"ip link show {network.bridge}"])


def move_on(s: Services, app: App) -> App:
    """Choose another network for new containers and record it; if another process took the subnet, choose again."""
    for free in islice(_free(s, app.name), MAX_NETWORK_TRIES):
        network = replace(free, name=named_like(app.network, free.name))
        try:
            s.ledger.add_network(app.name, network)
        except sqlite3.IntegrityError:
            continue
        return app.moved_to(network)
    raise DeployctlError(f"could not lease a subnet for {app.name}: other processes were always faster", remedy=["try again"])


def widened(s: Services, app: App) -> App:
    """Return the app with a wide network for what comes: its own, or another one if there is room for one. Several components
    of several releases soon fill what 0.1.0 gave an app."""
    try:
        if app.own_network.is_wide or not first(s, app.name).is_wide:
            return app
    except Refused:  # the pool is used up
        return app
    left, app = app, move_on(s, app)
    clear_unused(s, left.name)
    return app


def first(s: Services, app: AppName) -> AppNetwork:
    """Return a network that is free now, for an app that has none yet."""
    return next(_free(s, app))


def _free(s: Services, app: AppName) -> Iterator[AppNetwork]:
    """Yield networks that are free now, reading again each time."""
    for number in count(1):
        there, known = s.engine.networks(), s.ledger.networks()
        home = s.ledger.identity
        name, bridge = network_name(home, app, number), bridge_name(home, app, number)
        named = {text for one in there for text in (one.name, one.bridge)} | {
            text for one in known for text in (one.name, one.bridge)}
        if named & {name, bridge} or (s.bridged and s.guard.has_interface(bridge)):
            continue
        taken = [subnet for one in there for subnet in one.subnets] + [one.subnet for one in known]
        yield AppNetwork(name, bridge, *cut(s.spec.pool, taken + (s.guard.routed_subnets() if s.bridged else [])))


def clear_unused(s: Services, app: AppName) -> None:
    """Remove each network of the app that has no containers. The one for new containers stays while others exist."""
    row = s.ledger.find_app(app)
    users = [row, *s.ledger.backing(app)] if row else []
    used = {one.network_of(i).name for one in users for i in s.ledger.instances(one.name)}
    for network in s.ledger.networks(app) if row else ():
        own = row is not None and network.name == row.network
        if network.name not in used and not (own and used):
            take_apart(s, network)
            if not own:
                s.ledger.remove_network(network.name)


def take_apart(s: Services, network: AppNetwork) -> None:
    """Remove network and guard route. A foreign one of that name stays, and so does another home's guard."""
    with suppress(NotPermitted):
        s.engine.ensure_network_gone(network.name)
    if s.bridged and not _guards_another(s, network):
        s.guard.ensure_gone(network.subnet)


def _guards_another(s: Services, network: AppNetwork) -> bool:
    """Return whether another home has a network of the same subnet: the route guards that, too."""
    return any(PATH_LABEL in one.labels and network.subnet in one.subnets for one in s.engine.networks())


# -- networks that are not ours ------------------------------------------------------------
def join_networks(engine: Engine, bundle: Bundle, container: str, *, name: str) -> None:
    """Connect a container that is about to start to the unmanaged networks of its release, which may have been recreated
    since it ran. Raises NotFound for one that does not exist."""
    try:
        for network in bundle.networks:
            engine.ensure_connected(container, network)
    except NotFound as e:
        raise NotFound(f"{name} cannot be started: {e.message}", remedy=e.remedy, code="network_missing") from e
