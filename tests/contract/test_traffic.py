"""What every implementation of Traffic promises: the fake's words are as good as HAProxy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from deployctl.domain.images.release import Probe
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import Cause
from deployctl.domain.proxy.traffic import Counters, Recent
from deployctl.errors import ProxyUnavailable, SwitchRefused
from deployctl.ports import Traffic
from deployctl.testing.fake_traffic import FakeTraffic
from tests.proxies import BLOG, SHOP, Ledger, Proxy, ask, backend, end, proxy, replicas, wait_for
from tests.simulation.traffic import SimulatedTraffic

PROBE = Probe(host="shop.example.com", timeout=10)


@dataclass
class World:
    traffic: Traffic
    ledger: Ledger
    kill: Callable[[], object]
    lose_routes: Callable[[], object]
    visit: Callable[[int | None], object] = lambda status: None  # the shop, which answers so; None: no valid answer


@pytest.fixture(params=["fake", "simulated", pytest.param("haproxy", marks=pytest.mark.integration)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield _fake_world()
        return
    if request.param == "simulated":
        yield _simulated_world()
        return
    with proxy() as found:
        yield _real_world(found)


@pytest.fixture(params=["fake", pytest.param("haproxy", marks=pytest.mark.integration)])
def visited(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world that visitors can come to."""
    if request.param == "fake":
        yield _fake_world()
        return
    with proxy() as found:
        yield _real_world(found)


def _real_world(found: Proxy) -> World:
    def visit(status: int | None) -> None:
        port = found.port(SHOP)
        answer, _, _ = ask(port, "/drop", method="POST") if status is None else ask(port, f"/status/{status}")
        assert answer == (status or 502)

    return World(found.traffic(), found.ledger, lambda: end(found.home), lambda: _lose_routes(found), visit)


def _fake_world() -> World:
    ledger = _two_apps()
    fake = FakeTraffic(ledger)
    return World(fake, ledger, fake.die, lambda: fake.die(losing_the_routes=True), lambda status: fake.visit(SHOP, status))


def _simulated_world() -> World:
    ledger = _two_apps()
    simulated = SimulatedTraffic(ledger)

    def lose_routes() -> None:
        simulated.die()
        simulated.file_routes = None

    return World(simulated, ledger, simulated.die, lose_routes)


def _two_apps() -> Ledger:
    ledger = Ledger()
    for app, port in ((SHOP, 8001), (BLOG, 8002)):
        ledger.listen(app, port)
        ledger.add(*(backend(app, number, 9000 + number) for number in (1, 2)))
    return ledger


def _lose_routes(found: Proxy) -> None:
    end(found.home)
    (found.folder / "route.map").unlink()


def test_it_is_started_once_and_adopted_afterwards(world: World) -> None:
    assert world.traffic.ensure_up()
    assert not world.traffic.ensure_up()
    assert world.traffic.pid() is not None


def test_a_sync_starts_it_and_gives_nobody_traffic(world: World) -> None:
    world.traffic.sync()
    assert world.traffic.routes() == {}


def test_a_switch_moves_one_app_and_tells_who_served_before(world: World) -> None:
    world.traffic.switch(BLOG, 1)
    first, second = world.traffic.switch(SHOP, 1), world.traffic.switch(SHOP, 2)
    assert (first.was, first.now, second.was, second.now) == (None, 1, 1, 2)
    assert first.ms > 0
    assert world.traffic.routes() == {SHOP: 2, BLOG: 1}


def test_a_switch_to_nobody_takes_the_route_away(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    gone = world.traffic.switch(SHOP, None)
    assert (gone.was, gone.now) == (1, None)
    assert world.traffic.routes() == {}
    assert world.traffic.switch(SHOP, None).was is None


def test_a_switch_to_a_release_that_is_not_carried_is_refused_and_changes_nothing(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    with pytest.raises(SwitchRefused):
        world.traffic.switch(SHOP, 7)
    assert world.traffic.routes() == {SHOP: 1}


def test_a_switch_finds_a_release_that_the_ledger_has_learned_of_since(world: World) -> None:
    world.traffic.ensure_up()
    world.ledger.add(backend(SHOP, 3, 9003))
    assert world.traffic.switch(SHOP, 3).now == 3


def test_a_sync_never_changes_who_serves(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    world.ledger.table = replace(world.ledger.table, actives={SHOP: 2})
    world.traffic.sync()
    assert world.traffic.routes() == {SHOP: 1}


def test_a_sync_forgets_the_route_of_an_app_that_is_gone(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    world.traffic.switch(BLOG, 2)
    world.ledger.forget(SHOP)
    world.traffic.sync()
    assert world.traffic.routes() == {BLOG: 2}


def test_who_serves_survives_a_death(world: World) -> None:
    world.traffic.switch(SHOP, 2)
    world.kill()
    assert world.traffic.pid() is None
    assert world.traffic.ensure_up()
    assert world.traffic.routes() == {SHOP: 2}


def test_lost_routes_come_back_from_the_ledger(world: World) -> None:
    world.traffic.switch(SHOP, 2)
    world.ledger.table = replace(world.ledger.table, actives={SHOP: 1, BLOG: 2})
    world.lose_routes()
    world.traffic.ensure_up()
    assert world.traffic.routes() == {SHOP: 1, BLOG: 2}


def test_a_switch_repairs_a_death_first(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    world.kill()
    assert world.traffic.switch(SHOP, 2).was == 1


def test_a_release_is_asked_whoever_serves_and_that_changes_nothing(world: World) -> None:
    assert world.traffic.ask(SHOP, 2, PROBE).ok, "a dead one is started first"
    world.traffic.switch(SHOP, 1)
    assert world.traffic.ask(SHOP, 2, PROBE).ok
    assert world.traffic.routes() == {SHOP: 1}


def test_a_release_that_is_not_carried_is_named_unreachable(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    answer = world.traffic.ask(SHOP, 7, PROBE)
    assert (answer.ok, answer.cause, answer.status) == (False, Cause.UNREACHABLE, 503)


@pytest.mark.parametrize("ask", ["routes", "counters"])
def test_a_dead_one_has_no_answers(world: World, ask: str) -> None:
    with pytest.raises(ProxyUnavailable):
        getattr(world.traffic, ask)()


def test_it_counts_for_every_server(world: World) -> None:
    world.traffic.sync()
    counted = world.traffic.counters()
    assert set(counted) == {(app, number) for app in (SHOP, BLOG) for number in (1, 2)}
    assert all(counters.requests == 0 for counters in counted.values())


def test_answers_are_counted_by_class_for_who_gave_them(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    for status in (200, 204, 302, 404, 404, 500, 503, 503):
        visited.visit(status)
    counted = _at_rest(visited)
    shop = counted[SHOP, 1]
    assert (shop.answers_2xx, shop.answers_3xx, shop.answers_4xx, shop.answers_5xx) == (2, 1, 2, 3)
    assert (shop.requests, shop.failed, shop.in_flight) == (8, 0, 0)
    assert 0 <= shop.response_ms < 1000
    assert counted[SHOP, 2].requests == counted[BLOG, 1].requests == 0


def test_a_request_without_a_valid_answer_is_counted_once(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    visited.visit(200)
    visited.visit(None)
    shop = _at_rest(visited)[SHOP, 1]
    assert (shop.requests, shop.failed, shop.answers_2xx, shop.answers_5xx) == (2, 1, 1, 0)


def _at_rest(world: World) -> dict[tuple[AppName, int], Counters]:
    """Return the counters once nothing is open: a visitor has the answer a moment before HAProxy is done with it."""
    wait_for(lambda: not any(one.in_flight for one in world.traffic.counters().values()))
    return world.traffic.counters()


def test_how_the_requests_of_the_last_minute_ended_is_known(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    for status in (200, 404, None):
        visited.visit(status)
    assert visited.traffic.counters()[SHOP, 1].recent == Recent(answered=2, failed=1)
    assert visited.traffic.counters()[SHOP, 2].recent == Recent()


def test_what_was_counted_outlives_a_death(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    visited.visit(200)
    visited.visit(None)
    visited.traffic.counters()  # what nobody has read goes with it
    visited.kill()
    visited.traffic.ensure_up()
    visited.visit(500)
    shop = visited.traffic.counters()[SHOP, 1]
    assert (shop.requests, shop.failed, shop.answers_2xx, shop.answers_5xx) == (3, 1, 1, 1)


def test_what_was_counted_outlives_the_reload_for_another_app(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    visited.visit(200)
    visited.visit(None)
    visited.ledger.forget(BLOG)
    visited.traffic.sync()
    visited.visit(404)
    shop = visited.traffic.counters()[SHOP, 1]
    assert (shop.requests, shop.failed, shop.answers_2xx, shop.answers_4xx) == (3, 1, 1, 1)


def test_an_app_that_is_gone_leaves_no_counts_to_the_next_one_of_its_name(visited: World) -> None:
    visited.traffic.switch(SHOP, 1)
    visited.visit(200)
    shop = visited.ledger.table
    visited.traffic.switch(SHOP, None)
    visited.ledger.forget(SHOP)
    visited.traffic.sync()
    assert (SHOP, 1) not in visited.traffic.counters()
    visited.ledger.table = shop
    visited.traffic.switch(SHOP, 1)
    assert visited.traffic.counters()[SHOP, 1].requests == 0


def test_nothing_is_in_flight_to_a_server_nobody_has_heard_of(world: World) -> None:
    world.traffic.sync()
    world.traffic.cut(AppName("nobody"), 3)
    assert world.traffic.in_flight(AppName("nobody"), 3) == 0
    assert world.traffic.in_flight(SHOP, 1) == 0


def test_drift_is_nothing_after_a_sync_and_tells_of_a_death(world: World) -> None:
    world.traffic.sync()
    assert world.traffic.drift() == []
    world.kill()
    assert world.traffic.drift() == ["HAProxy is not running"]


def test_stopping_twice_is_fine_and_it_can_be_started_again(world: World) -> None:
    world.traffic.switch(SHOP, 1)
    world.traffic.stop()
    world.traffic.stop()
    wait_for(lambda: world.traffic.pid() is None)
    assert world.traffic.ensure_up()
    assert world.traffic.routes() == {SHOP: 1}


def test_a_sync_that_ends_no_worker_closes_nothing(world: World) -> None:
    assert [world.traffic.sync() for _ in range(2)] == [0, 0]


# -- replicas -----------------------------------------------------------------------------------------------------
@pytest.fixture
def replicated(world: World) -> World:
    """A world whose shop has, beside releases 1 and 2, release 3 with three replicas."""
    ports = [backend.port for backend in world.ledger.table.backends][:3]
    world.ledger.add(*replicas(SHOP, 3, *ports))
    world.traffic.sync()
    return world


def test_a_release_with_replicas_is_switched_to_like_any_other_and_back(replicated: World) -> None:
    switched = replicated.traffic.switch(SHOP, 3), replicated.traffic.switch(SHOP, 1), replicated.traffic.switch(SHOP, 3)
    assert [(one.was, one.now) for one in switched] == [(None, 3), (3, 1), (1, 3)]
    assert replicated.traffic.routes() == {SHOP: 3}
    assert replicated.traffic.drift() == []


def test_each_replica_answers_at_the_gate_and_one_that_is_not_there_does_not(replicated: World) -> None:
    told = [replicated.traffic.ask(SHOP, 3, PROBE, replica=f"web.8080.{n}") for n in (1, 2, 3, 4)]
    assert [one.ok for one in told] == [True, True, True, False]
    assert told[3].cause is Cause.UNREACHABLE


def test_a_replica_that_is_dropped_is_gone_and_the_others_stay(replicated: World) -> None:
    replicated.traffic.switch(SHOP, 3)
    replicated.ledger.drop(SHOP, 3, replica=2)
    replicated.traffic.sync()
    assert [replicated.traffic.ask(SHOP, 3, PROBE, replica=f"web.8080.{n}").ok for n in (1, 2, 3)] == [True, False, True]
    assert replicated.traffic.routes() == {SHOP: 3}
    assert replicated.traffic.drift() == []


def test_a_release_with_replicas_survives_a_death_and_leaves_nothing_behind(replicated: World) -> None:
    replicated.traffic.switch(SHOP, 3)
    replicated.kill()
    assert replicated.traffic.ensure_up()
    assert replicated.traffic.routes() == {SHOP: 3}
    assert replicated.traffic.ask(SHOP, 3, PROBE, replica="web.8080.3").ok
    replicated.traffic.switch(SHOP, 1)
    replicated.ledger.drop(SHOP, 3)
    replicated.traffic.sync()
    assert replicated.traffic.drift() == []
    with pytest.raises(SwitchRefused):
        replicated.traffic.switch(SHOP, 3)


def test_nothing_is_in_flight_to_replicas_that_nobody_asks(replicated: World) -> None:
    replicated.traffic.cut(SHOP, 3)
    replicated.traffic.cut(SHOP, 3, replica="web.8080.2")
    assert replicated.traffic.in_flight(SHOP, 3) == 0
    assert replicated.traffic.in_flight(SHOP, 3, replica="web.8080.2") == 0


def test_two_releases_with_replicas_are_told_apart(replicated: World) -> None:
    ports = [backend.port for backend in replicated.ledger.table.backends if not backend.replica][:2]
    replicated.ledger.add(*replicas(SHOP, 4, *ports))
    replicated.traffic.switch(SHOP, 4)
    assert replicated.traffic.ask(SHOP, 4, PROBE, replica="web.8080.2").ok
    assert not replicated.traffic.ask(SHOP, 4, PROBE, replica="web.8080.3").ok
    assert replicated.traffic.ask(SHOP, 3, PROBE, replica="web.8080.3").ok


# -- the queue ----------------------------------------------------------------------------------------------------------
def test_an_app_is_queued_until_it_is_released(world: World) -> None:
    world.ledger.let_wait(SHOP)
    world.traffic.switch(SHOP, 1)
    assert world.traffic.queue_lack() is None
    for seconds in (20, 30):
        world.traffic.queue(SHOP, seconds=seconds)
        assert world.traffic.queues()[SHOP] == pytest.approx(seconds, abs=10)
    world.traffic.release_queue(SHOP, unless=lambda: True)
    assert set(world.traffic.queues()) == {SHOP}
    for _ in range(2):
        world.traffic.release_queue(SHOP)
        assert world.traffic.queues() == {}
    assert world.traffic.routes() == {SHOP: 1}


def test_a_queue_starts_a_dead_proxy_and_a_release_does_not_need_one(world: World) -> None:
    world.ledger.let_wait(SHOP)
    world.traffic.sync()
    world.kill()
    world.traffic.queue(SHOP, seconds=30)
    assert set(world.traffic.queues()) == {SHOP}
    world.kill()
    world.traffic.release_queue(SHOP)
    world.traffic.ensure_up()
    assert world.traffic.queues() == {}
