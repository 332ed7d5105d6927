"""A reload leaves every port open, whatever the addresses; one that was closed is noticed and opened again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.master import members
from deployctl.effects.haproxy.process import HaproxyProcess
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.linux import proc_net
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import ProxyUnavailable
from tests.proxies import BLOG, SHOP, Proxy, ask, proxy, wait_for
from tests.support import free_port

RELOADS = 4  # the fault showed at every other one


def process(world: Proxy) -> HaproxyProcess:
    return HaproxyProcess(world.home, world.spec, HaproxySockets(world.home), SystemClock())


def reload(world: Proxy) -> None:
    """Let another worker take over, without a look at the ports."""
    former = set(members(world.home))
    HaproxySockets(world.home).master(wire.RELOAD, timeout=30)
    wait_for(lambda: (found := process(world).find_processes()) and found.worker not in {None, *former})
    wait_for(lambda: process(world).find_token() is not None)


@pytest.mark.parametrize("address", ["::1", "::", "127.0.0.1", "0.0.0.0"])
def test_a_reload_shuts_no_port_of_any_app(world: Proxy, address: str) -> None:
    port = free_port()
    world.ledger.listen(BLOG, port, address=address)
    world.traffic().sync()
    for _ in range(RELOADS):
        reload(world)
        assert process(world).deaf() == []
        assert world.ask(SHOP) == (200, "shop.1")
        assert ask(port, address="::1" if ":" in address else "127.0.0.1")[:2] == (200, "blog.1")


def test_the_address_of_hosts_may_be_one_of_ipv6_as_well() -> None:
    with proxy(spec=ServerSpec(http=("::1", free_port()))) as world:
        world.ledger.table = replace(world.ledger.table, hosts={"shop.example.com": SHOP})
        world.traffic().switch(SHOP, 1)
        for _ in range(RELOADS):
            reload(world)
            assert world.ask(SHOP) == (200, "shop.1")
            assert ask(world.spec.http[1], address="::1", headers={"Host": "shop.example.com"})[0] == 200


def _without_v6only(address: str, port: int) -> str:
    return wire.endpoint(address, port)


def test_a_reload_that_shuts_ports_and_tells_of_success_is_mended_by_another(
    world: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "bind_words", _without_v6only)  # the head that every other reload shuts ports with
    world.ledger.listen(BLOG, free_port(), address="::1")
    for port in (free_port() for _ in range(RELOADS)):
        world.ledger.listen(SHOP, port)
        world.traffic().sync()
        assert world.traffic().drift() == []
        assert world.ask(SHOP) == (200, "shop.1")


def test_ports_that_somebody_shut_are_drift_and_the_next_sync_opens_them(
    world: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(wire, "bind_words", _without_v6only)
        world.ledger.listen(BLOG, free_port(), address="::1")
        world.traffic().sync()
        _reload_until_deaf(world)
        where = wire.endpoint("127.0.0.1", world.port(SHOP))
        assert f"HAProxy does not listen on {where}: reload needed" in world.traffic().drift()
        world.traffic().sync()
        assert world.traffic().drift() == []
    assert world.ask(SHOP) == (200, "shop.1")


def _reload_until_deaf(world: Proxy) -> None:
    for _ in range(RELOADS):
        reload(world)
        if process(world).deaf():
            return
    raise AssertionError("this HAProxy does not have the fault")


def test_ports_that_stay_shut_are_told(world: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    token = config.token_of(world.home.config.read_text(encoding="utf-8")) or ""
    monkeypatch.setattr(proc_net, "find_listeners", lambda pid, *, six: set[tuple[str, int]]())
    with pytest.raises(ProxyUnavailable, match="does not listen on 127"):
        process(world).reload(token)


def test_where_the_kernel_may_not_be_asked_nothing_is_claimed(world: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proc_net, "find_listeners", lambda pid, *, six: None)
    assert process(world).deaf() == []
