"""Several processes, reloads and load at once: one HAProxy, no file behind another, no request lost."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import TrafficTable
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.home import HaproxyHome, proxy_lock
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import ProxyUnavailable
from tests.integration.test_haproxy_repair import masters
from tests.proxies import BLOG, SHOP, HurriedClock, Proxy, ask, backend, wait_for


def switch_often(folder: Path, spec: ServerSpec, table: TrafficTable, app: AppName, times: int, last: int) -> None:
    traffic = HaproxyTraffic(folder, spec, lambda: table, SystemClock())
    for turn in range(times, 0, -1):
        traffic.switch(app, 1 + (last + turn) % 2)
    traffic.switch(app, last)


def reload_often(folder: Path, spec: ServerSpec, table: TrafficTable, times: int) -> None:
    """Let HAProxy reload by a change of this server's values, there and back."""
    for turn in range(times):
        changed = replace(spec, client_timeout=60.0 + turn % 2)
        HaproxyTraffic(folder, changed, lambda: table, SystemClock()).sync()


def test_two_processes_switch_while_a_third_reloads_and_all_agree_in_the_end(world: Proxy) -> None:
    context = multiprocessing.get_context("spawn")
    same = (world.folder, world.spec, world.ledger.table)
    workers = [
        context.Process(target=switch_often, args=(*same, SHOP, 100, 2)),
        context.Process(target=switch_often, args=(*same, BLOG, 100, 1)),
        context.Process(target=reload_often, args=(*same, 6)),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert config.read_map((world.folder / "route.map").read_text()) == {SHOP: "2", BLOG: "1"}
    assert world.traffic().routes() == {SHOP: 2, BLOG: 1}
    assert (world.ask(SHOP), world.ask(BLOG)) == ((200, "shop.2"), (200, "blog.1"))
    assert len(masters(world)) == 1


def test_four_processes_that_find_it_dead_start_it_once(world: Proxy) -> None:
    world.traffic().stop()
    context = multiprocessing.get_context("spawn")
    same = (world.folder, world.spec, world.ledger.table)
    workers = [context.Process(target=switch_often, args=(*same, app, 5, 2)) for app in (SHOP, BLOG, SHOP, BLOG)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert len(masters(world)) == 1
    assert world.traffic().routes() == {SHOP: 2, BLOG: 2}


# -- load ---------------------------------------------------------------------------------------------------------
@dataclass
class Load:
    """Requests at fixed times, whether or not earlier ones were answered; every other one on a kept connection."""

    port: int
    every: float = 0.01
    lost: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    _idle: list[socket.socket] = field(default_factory=list)

    def run_while(self, work: Callable[[], None]) -> None:
        done = threading.Event()
        with ThreadPoolExecutor(16) as pool:
            clock = threading.Thread(target=self._tick, args=(pool, done))
            clock.start()
            try:
                work()
            finally:
                done.set()
                clock.join()
        for connection in self._idle:
            connection.close()

    def _tick(self, pool: ThreadPoolExecutor, done: threading.Event) -> None:
        began, count = time.monotonic(), 0
        while not done.is_set():
            pool.submit(self._once, keep=bool(count % 2))
            count += 1
            time.sleep(max(0.0, began + count * self.every - time.monotonic()))

    def _once(self, *, keep: bool) -> None:
        try:
            status, text = self._ask_kept() if keep else ask(self.port)[:2]
        except OSError as e:
            self.lost.append(repr(e))
            return
        if status != 200:
            self.lost.append(f"{status} {text}")
        self.answers[text] = self.answers.get(text, 0) + 1

    def _ask_kept(self) -> tuple[int, str]:
        connection = self._idle.pop() if self._idle else socket.create_connection(("127.0.0.1", self.port), 10)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = b""
        while not reply.endswith((b"shop.1", b"shop.2")):
            part = connection.recv(65536)
            if not part:
                raise OSError(f"the connection ended after {reply!r}")
            reply += part
        if b"connection: close" in reply.lower():  # HAProxy says so before it goes: then the next one is a fresh one
            connection.close()
        else:
            self._idle.append(connection)
        return int(reply.split()[1]), reply.rpartition(b"\r\n")[2].decode()


def test_no_request_is_lost_over_200_switches_and_5_reloads(world: Proxy) -> None:
    load, traffic = Load(world.port(SHOP)), world.traffic()

    def work() -> None:
        for turn in range(200):
            traffic.switch(SHOP, 1 + turn % 2)
            if turn % 40 == 39:
                reload_often(world.folder, world.spec, world.ledger.table, times=1 + turn // 40 % 2)
            time.sleep(0.01)

    load.run_while(work)
    assert load.lost == []
    assert sum(load.answers.values()) > 100
    assert min(load.answers["shop.1"], load.answers["shop.2"]) > 20


# -- drain --------------------------------------------------------------------------------------------------------
def test_open_requests_count_through_a_reload_until_they_end(world: Proxy) -> None:
    traffic = world.traffic()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.ask, SHOP, "/wait")
        wait_for(lambda: traffic.in_flight(SHOP, 1) == 1)
        reload_often(world.folder, replace(world.spec, client_timeout=9.0), world.ledger.table, times=1)
        second = pool.submit(world.ask, SHOP, "/wait")
        wait_for(lambda: traffic.in_flight(SHOP, 1) == 2)
        traffic.switch(SHOP, 2)
        assert (traffic.in_flight(SHOP, 1), traffic.in_flight(SHOP, 2)) == (2, 0)
        world.instances["shop.1"].let_go.set()
        assert (first.result(), second.result()) == ((200, "shop.1"), (200, "shop.1"))
    wait_for(lambda: traffic.in_flight(SHOP, 1) == 0)


def has_ended(waiting: Future[tuple[int, str]]) -> bool:
    """Return whether HAProxy cut the request: 2.8 still sends a response, 3.0 only disconnects."""
    try:
        return waiting.result()[0] in {502, 503}
    except RemoteDisconnected:
        return True


def test_cutting_ends_what_is_open_in_every_worker(world: Proxy) -> None:
    traffic = world.traffic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.ask, SHOP, "/wait")
        wait_for(lambda: traffic.in_flight(SHOP, 1) == 1)
        reload_often(world.folder, replace(world.spec, client_timeout=9.0), world.ledger.table, times=1)
        traffic.cut(SHOP, 1)
        assert has_ended(waiting)
    wait_for(lambda: traffic.in_flight(SHOP, 1) == 0)


# -- the lock -----------------------------------------------------------------------------------------------------
def test_who_waits_too_long_for_the_lock_is_told_who_holds_it(world: Proxy) -> None:
    impatient = HaproxyTraffic(world.folder, world.spec, world.ledger, HurriedClock())
    with proxy_lock(HaproxyHome(world.folder), SystemClock()), pytest.raises(ProxyUnavailable, match=f"{os.getpid()}"):
        impatient.switch(SHOP, 2)
    assert world.traffic().routes()[SHOP] == 1


def test_a_switch_costs_the_same_with_300_servers(world: Proxy) -> None:
    few = sorted(world.traffic().switch(SHOP, 1 + turn % 2).ms for turn in range(40))[20]
    apps = [AppName(f"app{number}") for number in range(150)]
    for index, app in enumerate(apps):
        pair = (backend(app, number, 9) for number in (1, 2))
        world.ledger.add(*(replace(one, server_id=1000 + 2 * index + one.release) for one in pair))
    traffic = world.traffic()
    traffic.sync()
    for app in apps[:20]:
        traffic.switch(app, 1)
    many = sorted(traffic.switch(SHOP, 1 + turn % 2).ms for turn in range(40))[20]
    assert many < 5 * few + 5
    assert traffic.drift() == []
