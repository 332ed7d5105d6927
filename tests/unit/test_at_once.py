"""The instances of a release are started at once, by threads: in the order of their needs, and nothing is left of a failure."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.dataclass import replace
from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.order import may_begin
from deployctl.domain.change.plan import Step, StepKind
from deployctl.domain.images.component import Condition
from deployctl.domain.images.release import ProbeKind
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import Aborted, EngineRefused, Interrupted, LeaseHeld, NotHealthy, PlaceTaken
from deployctl.ports import ContainerFacts, Services
from deployctl.testing.fake_engine import Behaviour
from deployctl.testing.fake_prober import AskedProbe, Reply
from tests.unit.world import SHOP, World, world

LONG = 30.0  # seconds; a test that waits for that has failed
SIX: dict[str, Any] = {f"part{n}": {"port": 9000 + n} for n in range(5)}


class Threaded(World):
    """A world where a change has four hands, and time is real."""

    def services(self, **more: Any) -> Services:
        return replace(super().services(**more), hands=4, clock=SystemClock())

    def around_start(self, act: Callable[[str, Callable[[], ContainerFacts]], ContainerFacts]) -> None:
        """Have `act` called with the component's name in place of each start, and with what starts it."""
        real = self.engine.ensure_started

        def start(container: str) -> ContainerFacts:
            seen = self.engine.find_container(container)
            assert seen is not None
            return act(seen.labels["deployctl.component"], lambda: real(container))

        self.engine.ensure_started = start  # type: ignore[method-assign]


@pytest.fixture
def w(tmp_path: Path) -> Iterator[Threaded]:
    made = Threaded(tmp_path)
    made.edit(components=SIX)
    with world(tmp_path):
        yield made
    made.ledger.close()


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def running(w: World) -> set[str]:
    return {c.labels["deployctl.component"] for c in w.engine.containers() if c.running}


def test_four_are_started_at_once_and_no_more(w: Threaded) -> None:
    four, active, most = threading.Barrier(4), list[str](), list[int]()

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        active.append(name)
        most.append(len(active))
        if len(most) <= 4:
            four.wait(LONG)
        seen = start()
        active.remove(name)
        return seen

    w.around_start(act)
    w.upgraded("v1")
    assert max(most) == 4
    assert running(w) == {"web", *SIX}
    assert w.serving == w.active == "v1"


def test_one_that_needs_another_started_does_not_wait_for_its_health(w: Threaded) -> None:
    w.edit(components={"api": {"port": 9000}, "worker": {"health": {"uptime": "0s"}, "needs": {"api": "started"}}})
    w.sick["v1 api"] = 503  # until the worker runs

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        seen = start()
        if name == "worker":
            assert "api" in running(w)
            w.sick.pop("v1 api", None)
        return seen

    w.around_start(act)
    w.upgraded("v1")
    assert not w.sick


def test_one_that_needs_another_healthy_is_started_after_its_health_check(w: Threaded) -> None:
    w.edit(components={"api": {"port": 9000}}, needs={"api": "healthy"})
    w.upgraded("v1")
    steps = [f"{step.kind} {step.component}" for step, _ in w.told.ended if step.kind in {"start", "health"}]
    assert steps == ["start api", "health api", "start web", "health web"]


def test_a_job_ends_before_what_needs_it_and_others_do_not_wait_for_it(w: Threaded) -> None:
    job = {"kind": "job", "command": ["migrate"]}
    w.edit(components={"api": {"port": 9000}, "migrate": job}, needs={"migrate": "completed"})
    w.engine.behaviours["migrate",] = Behaviour(exits=0)

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        if name == "migrate":
            wait_for(lambda: "api" in running(w))
        assert name != "web" or w.release("v1").completed
        return start()

    w.around_start(act)
    w.upgraded("v1")
    assert running(w) == {"web", "api"}


def test_what_may_begin() -> None:
    w_release: Any = type("Release", (), {"component": lambda self, name: type("Component", (), {
        "needs": (("db", Condition.HEALTHY), ("mail", Condition.STARTED)) if name == "web" else ()})()})()
    start, health, db, mail = (Step(kind, 1, "", name, replica) for kind, name, replica in (  # type: ignore[arg-type]
        (StepKind.START, "web", 1), (StepKind.HEALTH, "web", 1), (StepKind.HEALTH, "db", 1), (StepKind.HEALTH, "mail", 1)))
    assert may_begin(start, w_release, [health, mail])
    assert not may_begin(start, w_release, [health, db])
    assert not may_begin(start, w_release, [Step(StepKind.START, 1, "", mail.component, 2)]), "every replica of what it needs"
    assert not may_begin(health, w_release, [start])
    assert may_begin(health, w_release, [db])


def test_a_failure_stops_the_others_and_everything_is_reverted(w: Threaded) -> None:
    w.upgraded("v1")
    before = {key: value for key, value in w.everything().items() if key not in {"releases", "containers"}}
    w.sick |= {f"v2 part{n}": 503 for n in range(4)}  # these would be asked for five seconds
    began = time.monotonic()

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        seen = start()
        if name == "part4":
            w.engine.die(seen.id)
        return seen

    w.around_start(act)
    with pytest.raises(NotHealthy, match="part4 of v2"):
        w.upgrade("v2")
    assert time.monotonic() - began < 4
    after = w.everything()
    kept = {i for i in w.ledger.instances(SHOP) if i.release == 2}
    assert all(i.failed and not i.routed for i in kept)
    after["instances"] = [i for i in w.ledger.instances() if i.release == 1]
    assert {key: after[key] for key in before} == before
    assert w.serving == "v1"
    assert {c.labels["deployctl.version"] for c in w.engine.containers() if c.running} == {"v1"}
    told = {(row["kind"], row["component"]): row["text"] for row in w.ledger.steps(2) if not row["ok"]}
    assert told.pop(("health", "part4"))
    assert set(told.values()) == {"stopped with the others"}


def test_one_that_the_engine_rejects_is_told_by_its_name(w: Threaded) -> None:
    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        if name == "part2":
            raise EngineRefused("no such program")
        return start()

    w.around_start(act)
    with pytest.raises(EngineRefused, match="part2 of v1 did not start"):
        w.upgrade("v1")
    assert running(w) == set()
    assert w.ledger.deployments(SHOP)[0].phase is Phase.REVERTED


def test_whoever_lost_the_lease_starts_nothing_more(w: Threaded) -> None:
    w.upgraded("v1")
    calls: list[str] = []

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        calls.append(name)
        if len(calls) == 4:
            with w.beside() as other:
                taken = other.ledger.take_lease(SHOP, holder="another", verb="rollback", at=other.clock.utc(), by_force=True)
                assert isinstance(taken, int)
            calls.append("taken over")
        else:
            wait_for(lambda: "taken over" in calls)
        return start()  # was on its way to the engine

    w.around_start(act)
    with pytest.raises(LeaseHeld, match="taken over"):
        w.upgrade("v2")
    assert len(calls) == 5, "four were on their way"
    assert w.ledger.find_open(SHOP) is not None, "for the one that took it over to settle"


def test_an_abort_is_noticed_while_all_of_them_wait(w: Threaded) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    begin = w.told.begin
    asked: list[Step] = []

    def look(step: Step) -> None:
        begin(step)
        if step.kind is StepKind.HEALTH and not asked:
            asked.append(step)
            with w.beside() as other:
                assert other.ledger.ask_abort(SHOP, actor="mara (cli)")

    w.told.begin = look  # type: ignore[method-assign]
    with pytest.raises(Aborted):
        w.upgrade("v2")
    assert {c.labels["deployctl.version"] for c in w.engine.containers()} == {"v1"}


def test_ctrl_c_reverts_everything(w: Threaded, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1")
    before = {key: value for key, value in w.everything().items() if key != "releases"}
    w.sick["v2"] = 503
    came: list[str] = []
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        seen = start()
        came.append(name)
        if len(came) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return seen

    w.around_start(act)
    try:
        with pytest.raises(Interrupted):
            w.upgrade("v2")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert {key: value for key, value in w.everything().items() if key != "releases"} == before


def test_a_component_that_is_checked_by_what_it_does_is_checked_in_a_thread_too(w: Threaded) -> None:
    asked: set[str] = set()
    run = w.engine.execute

    def execute(container: str, command: Any, *, timeout: float) -> Any:
        asked.add(threading.current_thread().name)
        return run(container, command, timeout=timeout)

    w.engine.execute = execute  # type: ignore[method-assign]
    health = {"kind": str(ProbeKind.EXEC), "command": ["true"], "rise": 1}
    w.edit(components={name: {**part, "health": health} for name, part in SIX.items()})
    w.upgraded("v1")
    assert asked
    assert all(name.startswith("upgrade shop") for name in asked)


def test_one_component_needs_no_thread(w: Threaded) -> None:
    w.edit(components={})
    threads: list[threading.Thread] = []

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        threads.append(threading.current_thread())
        return start()

    w.around_start(act)
    w.upgraded("v1")
    assert threads == [threading.main_thread()]


# -- a release that runs already ---------------------------------------------------------------------------------------
def test_a_rollback_asks_all_instances_at_the_same_moment(w: Threaded) -> None:
    w.upgraded("v1", "v2")
    six, script = threading.Barrier(6), w.prober.script

    def reply(asked: AskedProbe) -> Reply:
        six.wait(LONG)
        return script(asked)

    w.prober.script = reply
    w.rollback("v1")
    w.prober.script = script
    checks = [step.component for step, _ in w.told.ended if step.kind is StepKind.HEALTH][-6:]
    assert {*checks} == {"web", *SIX}
    assert all(row["ok"] for row in w.ledger.steps(3))
    assert w.serving == w.active == "v1"


def test_a_rollback_to_one_of_which_a_part_is_sick_leaves_the_traffic(w: Threaded) -> None:
    w.upgraded("v1", "v2")
    w.sick |= {"v1 part1": 503, "v1 part3": 503}
    with pytest.raises(NotHealthy, match="part1 of v1"):
        w.rollback("v1")
    assert w.serving == w.active == "v2"
    assert running(w) == {"web", *SIX}
    assert w.ledger.deployments(SHOP)[0].phase is Phase.REVERTED
    assert {row["component"] for row in w.ledger.steps(3) if not row["ok"]} == {"part1", "part3"}
    assert {row["component"] for row in w.ledger.steps(3) if row["ok"]} == {"web", "part0", "part2", "part4"}


def test_ctrl_c_while_a_rollback_asks_ends_every_check(w: Threaded) -> None:
    w.upgraded("v1", "v2")

    def reply(asked: AskedProbe) -> Reply:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return 200

    w.prober.script = reply
    with pytest.raises(Interrupted):
        w.rollback("v1")
    assert w.serving == w.active == "v2"
    assert [row["text"] for row in w.ledger.steps(3)] == ["interrupted"] * 6


def test_all_move_when_one_finds_its_place_taken_while_others_are_started(w: Threaded) -> None:
    w.upgraded("v1")
    calls: list[str] = []

    def act(name: str, start: Callable[[], ContainerFacts]) -> ContainerFacts:
        calls.append(name)
        if name == "part3" and calls.count(name) == 1:
            wait_for(lambda: len(calls) >= 4)
            raise PlaceTaken("start part3: the address for this container is used by another one")
        return start()

    w.around_start(act)
    moved = w.upgrade("v2")
    assert w.serving == w.active == "v2"
    assert [text for text in moved.warnings if text.endswith("is used by another one: v2 is created again elsewhere")]
    placed = {i.component: i.address for i in w.ledger.instances(SHOP) if i.release == 2}
    specs = [c.spec for c in w.engine._containers.values() if c.facts.labels["deployctl.version"] == "v2"]
    known = [dict(spec.hosts) for spec in specs if spec]
    assert known == [placed] * 6
