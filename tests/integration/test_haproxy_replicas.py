"""A release with replicas behind a real HAProxy: a dead one costs no GET, a POST is never sent twice, and no pool is ever two
releases'."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import Backend, port_server_id
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.socket.runtime import ask as command
from tests.proxies import BLOG, SHOP, Instance, Proxy, ask, backend, end, proxy, replicas, wait_for
from tests.support import free_port


@pytest.fixture
def world() -> Iterator[Proxy]:
    with proxy() as found:
        found.traffic().switch(SHOP, 1)
        yield found


@contextmanager
def three(world: Proxy, release: int = 3) -> Iterator[list[Instance]]:
    """Give the shop a release of three replicas."""
    made = [Instance(f"{release}.{n}") for n in (1, 2, 3)]
    world.ledger.add(*replicas(SHOP, release, *(one.port for one in made)))
    world.traffic().sync()
    try:
        yield made
    finally:
        for one in made:
            one.end()


def worker(home: HaproxyHome) -> str:
    return command(home.master, "show proc", timeout=3).partition("# workers")[2].split()[0]


def in_pools(world: Proxy) -> dict[str, set[str]]:
    """Return the servers of each pool that has any."""
    found: dict[str, set[str]] = {}
    for line in command(world.home.worker, "show servers state", timeout=3).splitlines()[2:]:
        words = line.split()
        if words and words[1].startswith("pool"):
            found.setdefault(words[1], set()).add(words[3])
    return found


def test_a_home_without_replicas_has_nothing_of_them_in_its_configuration(world: Proxy) -> None:
    text = (world.folder / "haproxy.cfg").read_text()
    assert "pool" not in text
    assert "txn.way" not in text
    assert not (world.folder / "pool.map").exists()
    with three(world):
        assert "\nbackend pool01\n" in (world.folder / "haproxy.cfg").read_text()
        world.ledger.drop(SHOP, 3)
        world.traffic().sync()
        after = (world.folder / "haproxy.cfg").read_text()
        assert after.replace(str(config.token_of(after)), str(config.token_of(text))).splitlines()[5:] != []
        assert len(after.splitlines()) == len(text.splitlines())


def test_the_first_one_costs_a_reload_and_the_next_ones_none(world: Proxy) -> None:
    before = worker(world.home)
    with three(world, 3):
        first = worker(world.home)
        with three(world, 4):
            assert before != first == worker(world.home)
            assert in_pools(world) == {"pool01": {f"shop.3.web.8080.{n}" for n in (1, 2, 3)},
                                       "pool02": {f"shop.4.web.8080.{n}" for n in (1, 2, 3)}}


def test_requests_go_to_every_replica_of_the_live_release_and_to_no_other(world: Proxy) -> None:
    with three(world):
        world.traffic().switch(SHOP, 3)
        seen = Counter(world.ask()[1] for _ in range(60))
        assert set(seen) == {"3.1", "3.2", "3.3"}
        assert ask(world.port(SHOP))[2]["x-deployctl-version"] == "v3"
        world.traffic().switch(SHOP, 2)
        assert {world.ask()[1] for _ in range(9)} == {"shop.2"}
        assert world.ask(BLOG)[0] == 503


def test_one_that_dies_and_stays_dead_costs_no_get(world: Proxy) -> None:
    with three(world) as made:
        world.traffic().switch(SHOP, 3)
        lost, over = [], threading.Event()

        def visit() -> None:
            while not over.is_set():
                if (status := world.ask()[0]) != 200:
                    lost.append(status)

        clients = [threading.Thread(target=visit) for _ in range(4)]
        for one in clients:
            one.start()
        made[1].end()
        wait_for(lambda: " DOWN" in _stat(world, "pool01"), seconds=20)
        answers = Counter(world.ask()[1] for _ in range(60))
        over.set()
        for one in clients:
            one.join()
        assert lost == []
        assert set(answers) == {"3.1", "3.3"}
        assert world.traffic().drift() == [], "that it is down is no difference between ledger and HAProxy"


def _stat(world: Proxy, pool: str) -> str:
    heading, *rows = command(world.home.worker, f"show stat {pool} 4 -1", timeout=3).splitlines()
    column = heading.removeprefix("# ").split(",").index("status")
    return "".join(f" {row.split(',')[column]}" for row in rows if row)


def test_one_that_comes_back_gets_requests_again(world: Proxy) -> None:
    with three(world) as made:
        world.traffic().switch(SHOP, 3)
        port = made[0].port
        made[0].end()
        wait_for(lambda: " DOWN" in _stat(world, "pool01") or not world.ask(), seconds=20)
        again = Instance("3.1 again", port)
        wait_for(lambda: world.ask()[1] == "3.1 again", seconds=20)
        again.end()


def test_a_post_that_was_cut_off_is_sent_to_no_other(world: Proxy) -> None:
    with three(world) as made:
        world.traffic().switch(SHOP, 3)
        assert ask(world.port(SHOP), "/drop", method="POST")[0] == 502
        assert sum(len(one.seen) for one in made) == 1


def test_all_dead_is_503_at_once_and_no_other_release_is_asked(world: Proxy) -> None:
    with three(world) as made:
        world.traffic().switch(SHOP, 3)
        for one in made:
            one.end()
        wait_for(lambda: world.ask()[0] == 503, seconds=20)
        assert not world.instances["shop.1"].seen


def test_requests_are_counted_for_the_release_whichever_replica_answers(world: Proxy) -> None:
    with three(world):
        traffic = world.traffic()
        traffic.switch(SHOP, 3)
        for _ in range(12):
            world.ask()
        wait_for(lambda: not traffic.counters()[SHOP, 3].in_flight)
        counted = traffic.counters()
        assert (counted[SHOP, 3].requests, counted[SHOP, 3].answers_2xx) == (12, 12)
        assert not [key for key in counted if key[1] not in {1, 2, 3}]


def test_open_requests_are_those_of_all_replicas_or_of_one(world: Proxy) -> None:
    with three(world) as made:
        traffic = world.traffic()
        traffic.switch(SHOP, 3)
        clients = [threading.Thread(target=world.ask, args=(SHOP, "/wait")) for _ in range(6)]
        for one in clients:
            one.start()
        wait_for(lambda: traffic.in_flight(SHOP, 3) == 6, seconds=20)
        parts = [traffic.in_flight(SHOP, 3, replica=f"web.8080.{n}") for n in (1, 2, 3)]
        assert sum(parts) == 6
        busiest = parts.index(max(parts)) + 1
        world.ledger.drop(SHOP, 3, replica=busiest)
        traffic.sync()
        assert traffic.in_flight(SHOP, 3, replica=f"web.8080.{busiest}") == max(parts), "it may finish what it began"
        assert traffic.in_flight(SHOP, 3) == 6
        traffic.cut(SHOP, 3, replica=f"web.8080.{busiest}")
        wait_for(lambda: not traffic.in_flight(SHOP, 3, replica=f"web.8080.{busiest}"), seconds=20)
        wait_for(lambda: traffic.in_flight(SHOP, 3) == 6, seconds=20)  # a GET that had no answer yet is asked of another one
        for instance in made:
            instance.let_go.set()
        for one in clients:
            one.join()


def test_a_pool_is_leased_again_only_when_its_last_server_is_gone(world: Proxy) -> None:
    with three(world) as made, three(world, 4):
        traffic = world.traffic()
        traffic.switch(SHOP, 3)
        client = threading.Thread(target=world.ask, args=(SHOP, "/wait"))
        client.start()
        wait_for(lambda: traffic.in_flight(SHOP, 3) == 1, seconds=20)
        traffic.switch(SHOP, 4)
        world.ledger.drop(SHOP, 3)
        traffic.sync()
        assert "pool01" in in_pools(world), "a request is still open there"
        with three(world, 5):
            assert in_pools(world)["pool03"] == {f"shop.5.web.8080.{n}" for n in (1, 2, 3)}
            for instance in made:
                instance.let_go.set()
            client.join()
            wait_for(lambda: traffic.sync() == 0 and "pool01" not in in_pools(world), seconds=20)
            world.ledger.add(*replicas(SHOP, 6, free_port()))
            traffic.sync()
            assert in_pools(world)["pool01"] == {"shop.6.web.8080.1"}
            assert traffic.drift() == []


@pytest.mark.parametrize("lost", [("pool.map",), ("haproxy.cfg",), ("haproxy.cfg", "pool.map")])
def test_lost_files_are_written_as_haproxy_runs(world: Proxy, lost: tuple[str, ...]) -> None:
    with three(world, 3), three(world, 4):
        traffic = world.traffic()
        traffic.switch(SHOP, 4)
        world.ledger.drop(SHOP, 3)
        traffic.sync()  # the second pool is leased, the first is not
        for name in lost:
            (world.folder / name).unlink()
        traffic.ensure_up()
        traffic.sync()
        assert (world.folder / "pool.map").read_text().startswith("shop.4 pool02\n")
        assert in_pools(world) == {"pool02": {f"shop.4.web.8080.{n}" for n in (1, 2, 3)}}
        assert world.ask()[1].startswith("4.")


def test_a_restart_brings_every_replica_back(world: Proxy) -> None:
    with three(world):
        world.traffic().switch(SHOP, 3)
        end(world.home)
        assert world.traffic().ensure_up()
        assert {world.ask()[1] for _ in range(60)} == {"3.1", "3.2", "3.3"}


def test_what_someone_changed_in_a_pool_is_found_and_corrected(world: Proxy) -> None:
    with three(world):
        traffic = world.traffic()
        traffic.switch(SHOP, 3)
        command(world.home.worker, "set server pool01/shop.3.web.8080.2 state maint", timeout=3)
        command(world.home.worker, "set map pool.map shop.3 pool09", timeout=3)
        assert len(traffic.drift()) >= 2
        traffic.sync()
        assert traffic.drift() == []
        assert {world.ask()[1] for _ in range(60)} == {"3.1", "3.2", "3.3"}


def test_a_further_port_of_another_component_follows_the_same_switch(world: Proxy) -> None:
    made = {name: Instance(name) for name in ("api of 1", "api of 2")}
    port, app = free_port(), AppName("shop")
    for number in (1, 2):
        world.ledger.add(_port_of(number, made[f"api of {number}"].port))
    world.ledger.open_port("shop.api", port)
    traffic = world.traffic()
    traffic.sync()
    assert (world.ask()[1], ask(port)[1]) == ("shop.1", "api of 1")
    traffic.switch(app, 2)
    assert (world.ask()[1], ask(port)[1]) == ("shop.2", "api of 2")
    assert traffic.drift() == []
    world.ledger.add(backend(SHOP, 3, world.instances["blog.1"].port))
    traffic.switch(app, 3)
    assert (world.ask()[1], ask(port)[0]) == ("blog.1", 503), "release 3 has no such port"
    for one in made.values():
        one.end()


def test_a_further_port_may_lead_to_replicas(world: Proxy) -> None:
    made = [Instance(f"api {n}") for n in (1, 2)]
    port = free_port()
    world.ledger.add(*replicas(SHOP, 1, *(one.port for one in made), main=False, part="api.9458", further=("api",)))
    world.ledger.open_port("shop.api", port)
    traffic = world.traffic()
    traffic.sync()
    assert {ask(port)[1] for _ in range(40)} == {"api 1", "api 2"}
    assert world.ask()[1] == "shop.1"
    assert traffic.drift() == []
    for one in made:
        one.end()


def _port_of(release: int, port: int) -> Backend:
    made = backend(SHOP, release, port)
    return replace(made, server_id=port_server_id(made.server_id, 1), part="api.9458", main=False, ports=("api",))
