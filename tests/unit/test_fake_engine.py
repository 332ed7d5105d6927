"""What the fake engine can do beyond Docker: its script of mishaps."""

from __future__ import annotations

import pytest

from deployctl.domain.images.release import Bundle
from deployctl.errors import EngineUnavailable
from deployctl.ports import ContainerFacts, ContainerSpec, NetworkSpec
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_engine import Behaviour, FakeEngine


def spec(engine: FakeEngine, number: int = 1) -> ContainerSpec:
    bundle = Bundle("shop:v1", engine.images.add("shop:v1").digest, 8080, command=("serve",))
    return ContainerSpec(f"shop--r{number}", bundle, "net", f"172.29.0.{number}", 20000 + number, "shop", {})


def started(engine: FakeEngine) -> ContainerFacts:
    engine.ensure_network(NetworkSpec("net", "dc-net", "172.29.0.0/24", "172.29.0.254", {}))
    return engine.ensure_started(engine.ensure_created(spec(engine)).id)


def test_every_change_is_listed_by_name_in_order() -> None:
    engine = FakeEngine()
    seen = started(engine)
    engine.ensure_stopped(seen.id, grace=1)
    assert engine.calls == ["network net", "create shop--r1", "start shop--r1", "stop shop--r1"]


def test_a_change_can_fail_before_it_is_done_or_lose_its_answer_after() -> None:
    engine = FakeEngine()
    for after in (False, True):
        engine.fail_next("create", EngineUnavailable("away"), after=after)
        with pytest.raises(EngineUnavailable):
            engine.ensure_created(spec(engine))
        assert (engine.find_container("shop--r1") is not None) is after
    assert engine.ensure_created(spec(engine)).name == "shop--r1"


def test_behaviour_is_chosen_by_command_before_image() -> None:
    engine = FakeEngine()
    wanted = spec(engine)
    engine.behaviours[wanted.bundle.digest] = Behaviour(exits=1)
    engine.behaviours[("serve",)] = Behaviour(prints=("ready",))
    seen = started(engine)
    assert seen.running
    assert [line.text for line in engine.logs(seen.id)] == ["ready"]


def test_a_running_container_can_die() -> None:
    engine = FakeEngine()
    engine.die(started(engine).id, exit_code=137, oom=True)
    seen = engine.find_container("shop--r1")
    assert seen is not None
    assert (seen.running, seen.exit_code, seen.oom_killed) == (False, 137, True)


def test_things_can_happen_while_somebody_sleeps() -> None:
    clock = FakeClock()
    engine = FakeEngine(clock=clock)
    seen = started(engine)
    clock.after(5, lambda: engine.die(seen.id))
    clock.sleep(4)
    assert [facts.running for facts in engine.containers()] == [True]
    clock.sleep(2)
    assert [facts.running for facts in engine.containers()] == [False]


def test_an_image_can_vanish_under_a_person() -> None:
    engine = FakeEngine()
    digest = engine.images.add("shop:v1").digest
    engine.images.drop(digest)
    assert engine.find_image("shop:v1") is None
