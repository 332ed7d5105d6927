"""A container for one command, beside those of a release: of its image, with its variables, networks, names and mounts.

It carries a label of its own and is in no list of the app's containers, so nothing takes it for one of them. It gets no
requests, is never restarted, and is removed with the command; one whose process died is removed by the next `prune`,
`reconcile` or `app remove`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from deployctl.dataclass import replace
from deployctl.domain.host.home import ONE_OFF
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.release import Probe
from deployctl.errors import PlaceTaken, Refused
from deployctl.execution.interrupts import shielded
from deployctl.execution.labels import container_labels, container_name, host_name
from deployctl.execution.names_inside import names_inside
from deployctl.ports import ContainerSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import App, Instance, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.ports.inside import Streams

MARK_BYTES = 3
LONGEST_GRACE = 10.0  # seconds that an interrupted command has to end by itself


def run_once(app: App, release: Release, component: Component, command: Sequence[str], streams: Streams, s: Services) -> int:
    """Run the command in a container of its own, and return its exit code. The container is removed, however this ends."""
    placed = [one for one in s.ledger.instances(app.name) if one.release == release.number]
    front = next((one for one in placed if one.component == component.name), placed[0])
    for address in _free_addresses(app, front, s):
        spec = _spec(app, release, component, command, streams, s, front=front, placed=placed, address=address)
        try:
            return _run(spec, streams, s)
        except PlaceTaken:  # another command was faster, or something else has that address
            continue
    raise Refused(f"{app.name} has no free address for one more container", remedy=[f"deployctl prune {app.name}"])


def _run(spec: ContainerSpec, streams: Streams, s: Services) -> int:
    try:
        made = s.engine.ensure_created(spec)
        return s.engine.inside().run(made.id, streams)
    finally:
        with shielded():
            _end(spec.name, min(spec.bundle.stop_grace, LONGEST_GRACE), s)


def _end(container: str, grace: float, s: Services) -> None:
    seen = s.engine.find_container(container)
    if seen is not None and seen.running:
        s.engine.ensure_stopped(seen.id, grace=grace)
    if seen is not None:
        s.engine.ensure_removed(seen.id)


def _spec(app: App, release: Release, component: Component, command: Sequence[str], streams: Streams, s: Services, *,
          front: Instance, placed: Sequence[Instance], address: str) -> ContainerSpec:
    one, mark = InstanceId(release.number, component.name), secrets.token_hex(MARK_BYTES)
    names, like = names_inside(release, front, placed, s), replace(front, component=component.name)
    return ContainerSpec(
        name=f"{container_name(s.ledger.identity, release, one)}--run-{mark}",
        bundle=replace(component.bundle, command=tuple(command), port=None, probe=Probe()),
        network=app.network_of(front).name, address=address, publish=None, hostname=f"{host_name(release, one)}-run-{mark}",
        labels={**container_labels(s, release, one, operation=0), ONE_OFF: s.ledger.this_process()},
        links=names.get("links", ()), hosts=names.get("hosts", ()), cap_drop=release.cap_drop,
        stdin=streams.stdin is not None, terminal=streams.terminal, **_attached(release, component, like, s))


def _attached(release: Release, component: Component, like: Instance, s: Services) -> dict[str, Any]:
    """Return mounts and launcher of that instance, whose secrets it shares. Of a component of which only one version may run,
    volumes can only be read: that version is the one that writes."""
    bundle = component.bundle
    if not (bundle.mounts or bundle.files or bundle.secrets):
        return {}
    from deployctl.execution.kinds.attachments import attached

    found = attached(s, release, like, None)
    if component.is_exclusive:
        found["mounts"] = tuple(replace(mount, read_only=True) for mount in found["mounts"])
    return found


def _free_addresses(app: App, front: Instance, s: Services) -> Iterator[str]:
    """Yield addresses that no instance has: of the engine's own part of the network, so that none is taken from a release."""
    from ipaddress import IPv4Network

    network = app.network_of(front)
    leased = {one.address for one in s.ledger.instances(app.name)}
    own = map(str, IPv4Network(network.engines_own)) if network.engines_own else network.addresses()
    last = str(IPv4Network(network.subnet)[-1])
    yield from (one for one in reversed([*own]) if one not in leased and one != last)


def remove_dead(app: AppName | None, s: Services, *, also_living: bool = False) -> int:
    """Remove the containers for one command, of that app or of all, whose process has died, or all of them; return how
    many."""
    found = [one for one in s.engine.inside().one_offs() if app in {None, one.labels.get("deployctl.app")}]
    dead = [one for one in found if also_living or not s.ledger.lives(one.labels[ONE_OFF])]
    for one in dead:
        s.engine.ensure_removed(one.id)
    if dead:
        s.report.warn(f"removed {len(dead)} container{'s' * (len(dead) > 1)} of commands that were killed")
    return len(dead)
