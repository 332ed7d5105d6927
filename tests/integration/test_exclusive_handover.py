"""A real Redis, PostgreSQL and file writer change hands at one fixed address: nothing that was acknowledged is lost, and
there are never two writers. DEPLOYCTL_LONG=1 takes 20 hand-overs of each."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests import machine
from tests.contract.engine_worlds import docker_world
from tests.realapps.pairs import Pair, pair_of
from tests.realapps.stores import STORES, connected
from tests.realapps.watched_writer import Watch, Writer
from tests.realapps.wheels import Unobtainable

pytestmark = pytest.mark.skipif(not machine.may_route(), reason="only root makes interfaces and reads every process")
HANDOVERS = 20 if os.environ.get("DEPLOYCTL_LONG") == "1" else 2


@pytest.fixture(params=STORES, ids=[store.name for store in STORES])
def pair(request: pytest.FixtureRequest, engine_url: str) -> Iterator[Pair]:
    with suppress(Unobtainable), docker_world(engine_url) as world, pair_of(world, request.param) as made:
        connected(request.param.connect, made.address).close()
        yield made
        return
    pytest.skip(f"the packages of {request.param.name} cannot be had here")


def test_nothing_acknowledged_is_lost_and_there_are_never_two_writers(pair: Pair) -> None:
    write = Writer(lambda: pair.store.connect(pair.address))
    with Watch(pair.world.exclusion, pair.lock).looking() as watch, write.writing() as writer:
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
