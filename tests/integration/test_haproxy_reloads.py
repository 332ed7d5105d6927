"""However often HAProxy reloads, few workers stay for what they hold; what is closed for that is counted and told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.effects.haproxy.home import proxy_lock
from deployctl.effects.haproxy.master import find_master, workers_of
from deployctl.effects.haproxy.socket.runtime import ask as command
from deployctl.effects.haproxy.socket.wire import MOST_LEAVING
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import ProxyUnavailable
from tests.proxies import BLOG, SHOP, Proxy, ask, wait_for
from tests.support import free_port


def workers(world: Proxy) -> int:
    master = find_master(world.home)
    assert master is not None
    return len(workers_of(world.home, master))


def reloads(world: Proxy) -> int:
    """Return how often the master has reloaded."""
    told = command(world.home.master, "show proc", timeout=3).splitlines()
    return int(next(line.split()[2] for line in told if line.split()[1:2] == ["master"]))


Hold = Callable[..., socket.socket]


@pytest.fixture
def hold(world: Proxy) -> Iterator[Hold]:
    """Open connections that last for as long as they may, and wait until a worker has each."""
    with ExitStack() as held:
        def open_one(app: AppName = SHOP) -> socket.socket:
            traffic = world.traffic()
            before = traffic.in_flight(app, 1)
            one = held.enter_context(socket.create_connection(("127.0.0.1", world.port(app)), timeout=10))
            one.sendall(b"GET /wait HTTP/1.1\r\nHost: shop\r\n\r\n")
            wait_for(lambda: traffic.in_flight(app, 1) == before + 1)
            return one

        yield open_one


def reload(world: Proxy) -> int:
    """Let HAProxy reload as a changed listen does; return how many connections that closed."""
    world.ledger.listen(BLOG, free_port())
    return world.traffic().sync()


def is_cut(held: socket.socket) -> bool:
    held.settimeout(0.2)
    try:
        return not held.recv(999).startswith(b"HTTP/1.1 200")
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_after_any_number_of_reloads_three_workers_at_most_finish_what_they_hold(world: Proxy, hold: Hold) -> None:
    held = []
    for _ in range(MOST_LEAVING + 5):
        held.append(hold())
        reload(world)
        wait_for(lambda: workers(world) <= 1 + MOST_LEAVING)
    assert workers(world) == 1 + MOST_LEAVING
    assert [is_cut(one) for one in held] == [True] * 5 + [False] * MOST_LEAVING
    assert world.traffic().in_flight(SHOP, 1) == MOST_LEAVING


def test_what_a_reload_closed_is_counted_for_its_release_and_told_by_the_reload(world: Proxy, hold: Hold) -> None:
    held = [hold(), hold(), hold(BLOG)]
    told = [reload(world) for _ in range(MOST_LEAVING + 1)]
    assert told == [0] * MOST_LEAVING + [3]
    counted = world.traffic().counters()
    assert (counted[SHOP, 1].closed, counted[BLOG, 1].closed, counted[SHOP, 2].closed) == (2, 1, 0)
    assert (counted[SHOP, 1].requests, reload(world)) == (2, 0)
    assert world.traffic().counters()[SHOP, 1].closed == 2, "and stays, also for another process"
    assert all(is_cut(one) for one in held)


def test_what_ended_by_itself_is_not_counted(world: Proxy, hold: Hold) -> None:
    held = [hold(), hold(), hold(BLOG)]
    for _ in range(MOST_LEAVING):
        reload(world)
    world.instances["blog.1"].let_go.set()
    wait_for(lambda: world.traffic().in_flight(BLOG, 1) == 0)
    assert reload(world) == 2
    assert [is_cut(one) for one in held] == [True, True, False]


def test_a_reload_that_is_refused_closes_too_and_that_is_counted(world: Proxy, hold: Hold) -> None:
    held = hold()
    for _ in range(MOST_LEAVING):
        reload(world)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.ledger.listen(BLOG, taken.getsockname()[1])
        with pytest.raises(ProxyUnavailable):
            world.traffic().sync()
    closed = world.traffic().counters()[SHOP, 1].closed
    assert closed == int(is_cut(held))
    assert ask(world.port(SHOP))[:2] == (200, "shop.1")


def test_several_changed_listens_make_one_reload(world: Proxy) -> None:
    before = reloads(world)
    world.ledger.listen(SHOP, free_port())
    world.ledger.listen(BLOG, free_port())
    world.traffic().sync()
    assert reloads(world) == before + 1
    assert [world.ask(app)[0] for app in (SHOP, BLOG)] == [200, 200]
    world.traffic().sync()
    assert reloads(world) == before + 1


def test_commands_that_waited_for_each_other_make_one_reload(world: Proxy) -> None:
    """Each has written its listen before it asks for the lock; the first one that gets it brings all of them."""
    before, waiting = reloads(world), threading.Barrier(9)

    def sync(_n: int) -> int:
        traffic = HaproxyTraffic(world.folder, world.spec, world.ledger, SystemClock())
        waiting.wait(10)
        return traffic.sync()

    with ThreadPoolExecutor(8) as pool:
        with proxy_lock(world.home, SystemClock()):
            world.ledger.listen(SHOP, free_port())
            world.ledger.listen(BLOG, free_port())
            done = [pool.submit(sync, n) for n in range(8)]
            waiting.wait(10)
        assert [one.result() for one in done] == [0] * 8
    assert reloads(world) == before + 1
    assert world.ask()[0] == 200
