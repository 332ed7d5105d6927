"""Two releases of a real server at one fixed address, and the hand-over between them as the ports allow it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from deployctl.domain.host.networks import AppNetwork, mac_of
from deployctl.domain.images.release import Bundle, Resources
from deployctl.ports import ContainerFacts, ContainerMount, ContainerSpec
from tests.contract.engine_worlds import DockerWorld, network, volume
from tests.realapps.stores import DATA, Store, connected, is_in_container, loaded


@dataclass
class Pair:
    """Two releases of one store at the fixed address of their component."""

    world: DockerWorld
    store: Store
    specs: list[ContainerSpec]
    lock: str
    live: int = 0

    @property
    def network(self) -> AppNetwork:
        spec = network(self.world)
        return AppNetwork(spec.name, spec.bridge, spec.subnet, spec.gateway)

    @property
    def address(self) -> str:
        return self.specs[0].address

    def live_pid(self) -> int:
        seen = self.world.engine.find_container(self.specs[self.live].name)
        assert seen is not None
        return seen.pid

    def waiting(self) -> ContainerFacts:
        """Have the other one wait, created afresh: its former place is the other's now."""
        engine, spec = self.world.engine, self.specs[1 - self.live]
        engine.ensure_removed(spec.name)
        return engine.ensure_started(engine.ensure_created(replace(spec, apart=True)).id)

    def hand_over(self) -> float:
        """Do it, and return the seconds from the call to stop until the successor answered."""
        engine, exclusion = self.world.engine, self.world.exclusion
        former, later = engine.find_container(self.specs[self.live].name), self.waiting()
        assert former is not None
        began = time.monotonic()
        with exclusion.stand_in(self.network, self.address, mac_of(self.address), after=former.pid) as standing:
            ended = engine.ensure_stopped(former.id, grace=60, keep_restart=True)
            assert (ended.running, ended.exit_code) == (False, 0)
            placed = engine.ensure_attached(later.id, self.specs[1 - self.live].endpoint)
        connected(self.store.connect, self.address).close()
        answered = time.monotonic()
        assert standing.refused
        assert standing.ended is not None
        assert began < standing.ended < answered
        assert exclusion.holds(self.lock, placed.pid)
        assert all(is_in_container(holder, placed.pid) for holder in exclusion.holders(self.lock))
        engine.set_restart(former.id, always=False)
        engine.set_restart(later.id, always=True)
        self.live = 1 - self.live
        return answered - began


@contextmanager
def pair_of(world: DockerWorld, store: Store, *, launched: bool = True) -> Iterator[Pair]:
    """Yield two releases of which the first one runs. Without the launcher nothing but their common address keeps them from
    running at once."""
    engine = world.engine
    engine.ensure_network(network(world))
    engine.ensure_volume(volume(world))
    launch, address = world.launch(store.name), str(world.subnet[20])
    with loaded(world.url, store, "v1", "v2") as images:
        specs = [ContainerSpec(
            name=f"{world.mark}--r{number}", bundle=Bundle(
                image=f"{name}:{version}", digest=digest, port=store.port, user=store.user, stop_signal=store.stop_signal,
                stop_grace=60, resources=Resources(memory=512 * 2**20, cpus=2.0, pids=256)),
            network=network(world).name, address=address, publish=None, hostname=f"{store.name}-r{number}",
            labels={"deployctl.app": "shop", "deployctl.release": str(number)}, aliases=(store.name,),
            mounts=(ContainerMount(volume(world).name, DATA),), launch=replace(launch, address=address) if launched else None)
            for number, (version, (name, digest)) in enumerate(images.items(), 1)]
        first = engine.ensure_started(engine.ensure_created(specs[0]).id)
        engine.set_restart(first.id, always=True)
        try:
            yield Pair(world, store, specs, launch.lock or "")
        finally:
            for spec in specs:
                engine.ensure_removed(spec.name)
            engine.ensure_volume_gone(volume(world).name)
