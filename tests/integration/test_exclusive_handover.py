"""A real Redis, PostgreSQL and file writer change hands at one fixed address: nothing that was acknowledged is lost, and
there are never two writers."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from tests import machine
from tests.contract.engine_worlds import DockerWorld, docker_world
from tests.realapps.pairs import Pair, pair_of
from tests.realapps.stores import STORES, Client, Store, connected
from tests.realapps.wheels import Unobtainable

pytestmark = pytest.mark.skipif(not machine.may_route(), reason="only root makes interfaces and reads every process")
HANDOVERS = 4


@dataclass
class Writer:
    """An ordinary client that writes one number after the other, and remembers which were acknowledged."""

    store: Store
    address: str
    acknowledged: list[int] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)  # when it was asked, when acknowledged
    failed: Exception | None = None

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        ended = threading.Event()
        thread = threading.Thread(target=self._write, args=(ended,))
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=90)
        assert not thread.is_alive()

    def _write(self, ended: threading.Event) -> None:
        client: Client | None = None
        for number in itertools.count():
            if ended.is_set():
                break
            try:
                client = client or self.store.connect(self.address)
                asked = time.monotonic()
                client.put(number)
                self.answers.append((asked, time.monotonic()))
                self.acknowledged.append(number)
            except (OSError, ValueError):
                if client is not None:
                    client.close()
                client = None
                time.sleep(0.002)
        if client is not None:
            client.close()

    def longest_gap(self, since: float) -> float:
        """Return the seconds from the last acknowledgement before a gap to the first one after it."""
        good = [done for _, done in self.answers if done >= since]
        return max((later - earlier for earlier, later in itertools.pairwise(good)), default=math.inf)


class Watch:
    """Looks at the kernel's locks all the time: how many containers held one, and whether there were ever two."""

    def __init__(self, world: DockerWorld, lock: str) -> None:
        self._world, self._lock = world, lock
        self.mains: set[int] = set()
        self.worst, self.looks = 0, 0

    @contextmanager
    def looking(self) -> Iterator[Watch]:
        ended = threading.Event()
        thread = threading.Thread(target=self._look, args=(ended,))
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join(timeout=30)

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(0.001):
            holders = self._world.exclusion.holders(self._lock)
            self.worst, self.looks = max(self.worst, len(set(holders))), self.looks + 1


@pytest.fixture(params=STORES, ids=[store.name for store in STORES])
def pair(request: pytest.FixtureRequest, engine_url: str) -> Iterator[Pair]:
    with suppress(Unobtainable), docker_world(engine_url) as world, pair_of(world, request.param) as made:
        connected(request.param.connect, made.address).close()
        yield made
        return
    pytest.skip(f"the packages of {request.param.name} cannot be had here")


def test_nothing_acknowledged_is_lost_and_there_are_never_two_writers(pair: Pair) -> None:
    with Watch(pair.world, pair.lock).looking() as watch, Writer(pair.store, pair.address).writing() as writer:
        for _ in range(HANDOVERS):
            before, since = len(writer.acknowledged), time.monotonic()
            while len(writer.acknowledged) < before + 20:
                assert time.monotonic() < since + 60
                time.sleep(0.01)
            since = time.monotonic()
            took = pair.hand_over()
            while not writer.answers or writer.answers[-1][0] < since + took:
                assert time.monotonic() < since + 60
                time.sleep(0.002)
            print(f"{pair.store.name}: stop to answer {took * 1000:.0f} ms, "
                  f"an ordinary client without answer {writer.longest_gap(since) * 1000:.0f} ms")
    client = connected(pair.store.connect, pair.address)
    there = client.numbers()
    client.close()
    assert set(writer.acknowledged) - set(there) == set()
    assert watch.worst == 1
    assert watch.looks > HANDOVERS


def test_the_former_one_cannot_come_back_beside_its_successor(pair: Pair) -> None:
    pair.hand_over()
    engine, former = pair.world.engine, pair.specs[0]
    engine.ensure_detached(former.name, former.network)
    seen = engine.ensure_started(former.name)
    assert seen.running
    assert not pair.world.exclusion.holds(pair.lock, seen.pid), "it waits for the address"
    assert engine.ensure_stopped(former.name, grace=60).exit_code != 137, "and heeds its signal meanwhile"
