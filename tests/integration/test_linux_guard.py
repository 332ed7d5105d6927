"""Guard routes on this very host, and what it tells of its network. Everything stays inside one unused subnet."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from deployctl.effects.linux.guard import LinuxGuard
from deployctl.effects.linux.neighbours import fix_port
from deployctl.errors import DeployctlError, Invalid, NotPermitted
from deployctl.ports import Neighbour
from tests import machine, support
from tests.contract.engine_worlds import container, docker_world, free_subnet, network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="routes and /proc as Linux has them")
EVERYWHERE = str(IPv4Address(0))
needs_root = pytest.mark.skipif(not machine.may_route(), reason="only root may change routes")


@pytest.fixture
def subnet(engine_url: str) -> Iterator[str]:
    with support.engine(engine_url) as api:
        free = str(free_subnet(api))
    yield free
    if machine.may_route():
        machine.remove_guards([free])


@needs_root
def test_a_guarded_subnet_is_unreachable_until_the_guard_goes(subnet: str) -> None:
    guard = LinuxGuard()
    guard.ensure(subnet)
    guard.ensure(subnet)
    assert subnet in machine.unreachable()
    assert guard.guarded([subnet])
    assert subnet not in guard.routed_subnets()
    guard.ensure_gone(subnet)
    guard.ensure_gone(subnet)
    assert not guard.guarded([subnet])
    assert subnet not in machine.unreachable()


@needs_root
def test_a_guard_that_is_there_starts_no_process(subnet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    LinuxGuard().ensure(subnet)
    monkeypatch.setattr("subprocess.run", None)
    LinuxGuard().ensure(subnet)


@needs_root
def test_a_living_bridge_wins_over_its_guard_and_a_dead_one_leads_nowhere(engine_url: str) -> None:
    with docker_world(engine_url) as world:
        guard, spec = LinuxGuard(), container(world)
        guard.ensure(str(world.subnet))
        try:
            world.engine.ensure_network(network(world))
            world.engine.ensure_started(world.engine.ensure_created(spec).id)
            assert guard.bridge_up(network(world).bridge)
            assert str(world.subnet) in guard.routed_subnets()
            assert network(world).bridge in _route_to(spec.address)
            world.engine.ensure_removed(spec.name)
            world.engine.ensure_network_gone(network(world).name)
            assert not guard.bridge_up(network(world).bridge)
            assert "unreachable" in _route_to(spec.address) or "No route" in _route_to(spec.address)
        finally:
            guard.ensure_gone(str(world.subnet))


def _route_to(address: str) -> str:
    done = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("subnet", ["0.0.0.0/0", "172.29.0.1/26", "x; reboot", "", "::/64", "172.29.0.0/26 dev lo"])
def test_what_is_no_subnet_of_ours_changes_no_route(subnet: str) -> None:
    before = machine.routes()
    with pytest.raises(Invalid):
        LinuxGuard().ensure(subnet)
    with pytest.raises(Invalid):
        LinuxGuard().ensure_gone(subnet)
    assert machine.routes() == before


def test_without_the_program_ip_nothing_is_guarded_and_that_is_said(
    subnet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *names, **more: None)
    with pytest.raises(NotPermitted, match="not installed"):
        LinuxGuard().ensure(subnet)


@needs_root
def test_without_root_nothing_is_guarded_and_that_is_said(subnet: str) -> None:
    program = f"""
import os
import ipaddress, json, shutil, subprocess  # while the interpreter's own folder may still be read
import deployctl.effects.linux.neighbours
from deployctl.effects.linux.guard import LinuxGuard
from deployctl.errors import NotPermitted
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    LinuxGuard().ensure({subnet!r})
except NotPermitted as e:
    print(e.message, e.remedy)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.startswith("guard routes require root ['sudo ")
    assert subnet not in machine.unreachable()


def test_routed_subnets_leave_out_the_default_route() -> None:
    found = [IPv4Network(subnet) for subnet in LinuxGuard().routed_subnets()]
    assert all(subnet.prefixlen for subnet in found)
    expected = {r["dst"] for r in machine.routes() if r.get("type", "unicast") == "unicast" and r["dst"] != "default"}
    assert {str(subnet) for subnet in found} >= {dst for dst in expected if "/" in dst}


@pytest.mark.parametrize("bridge", ["no-such-bridge", "", "..", "../lo", "a" * 16, "lo\n"])
def test_what_is_no_interface_is_not_up(bridge: str) -> None:
    assert not LinuxGuard().bridge_up(bridge)


def test_loopback_is_up() -> None:
    assert LinuxGuard().bridge_up("lo")


@pytest.mark.parametrize("listen_on", ["127.0.0.1", EVERYWHERE])
def test_a_port_is_taken_by_a_listener_on_it_or_on_all_addresses(listen_on: str) -> None:
    with socket.create_server((listen_on, 0)) as listener:
        port = listener.getsockname()[1]
        assert LinuxGuard().port_taken("127.0.0.1", port)
        assert LinuxGuard().port_taken(EVERYWHERE, port)
    assert not LinuxGuard().port_taken("127.0.0.1", port)


def test_a_port_is_taken_by_a_listener_on_both_kinds_of_address() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        assert LinuxGuard().port_taken("127.0.0.1", port)
        assert LinuxGuard().port_taken("::1", port)


def test_a_closed_connection_does_not_take_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    assert not LinuxGuard().port_taken("127.0.0.1", port)


def test_listeners_of_a_process_are_read_with_their_addresses() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        closing(socket.create_server(("::1", 0), family=socket.AF_INET6)) as six,
    ):
        found = LinuxGuard().listening(os.getpid())
        assert ("127.0.0.1", four.getsockname()[1]) in found
        assert ("::1", six.getsockname()[1]) in found


def test_listeners_inside_a_container_are_seen_from_outside(engine_url: str) -> None:
    if os.geteuid():
        pytest.skip("only root may look into another's network")
    with docker_world(engine_url) as world:
        world.engine.ensure_network(network(world))
        seen = world.engine.ensure_started(world.engine.ensure_created(container(world, "loopback")).id)
        next(world.engine.logs(seen.id, follow=True))  # says so when it listens
        assert [port for address, port in LinuxGuard().listening(seen.pid) if address == "127.0.0.1" and port == 8080]


def test_a_process_that_is_not_there_listens_to_nothing() -> None:
    assert LinuxGuard().listening(2**22 + 1) == []


@needs_root
def test_a_pinned_address_is_believed_to_be_where_it_was_pinned_until_it_is_unpinned(engine_url: str) -> None:
    with docker_world(engine_url) as world:
        guard, spec, net = LinuxGuard(), container(world), network(world)
        world.engine.ensure_network(net)
        running = world.engine.ensure_started(world.engine.ensure_created(spec).id)
        mac = running.macs[spec.network]
        assert guard.may_pin()
        for _ in range(2):
            guard.pin(net.bridge, spec.address, mac, pid=running.pid)
        assert guard.neighbours()[net.bridge, spec.address] == Neighbour(mac, pinned=True)
        assert guard.held(net.bridge) == {mac}
        guard.pin(net.bridge, spec.address, mac, pid=running.pid, gateway=net.gateway)
        inside = Path(f"/proc/{running.pid}/net/arp").read_text().splitlines()
        host = Path(f"/sys/class/net/{net.bridge}/address").read_text().strip()
        assert [line.split()[2:4] for line in inside if line.startswith(f"{net.gateway} ")] == [["0x6", host]], "0x6: for good"
        guard.pin(net.bridge, spec.address, mac)
        assert guard.held(net.bridge) == {mac}, "a pin without a process leaves the port held"
        for _ in range(2):
            guard.unpin(net.bridge, spec.address)
        assert not any(seen.pinned for (bridge, _), seen in guard.neighbours().items() if bridge == net.bridge)
        with pytest.raises(DeployctlError, match="no port"):
            guard.pin(net.bridge, spec.address, mac, pid=os.getpid())
        world.engine.ensure_stopped(running.id, grace=1)
        assert guard.held(net.bridge) == set()


@needs_root
def test_a_bridge_that_is_not_there_cannot_be_pinned_to() -> None:
    with pytest.raises(DeployctlError, match="no interface dc-nowhere"):
        LinuxGuard().pin("dc-nowhere", "172.29.255.193", "0a:dc:00:00:00:01")


def test_a_process_that_has_ended_meanwhile_is_named_in_our_own_words() -> None:
    """What the kernel says of it must not end a command: pinning is tried, and reported where it fails."""
    with pytest.raises(DeployctlError, match="cannot find the port of process 4194305: No such process"):
        fix_port("lo", "0a:dc:00:00:00:01", 2**22 + 1)


@needs_root
def test_a_process_without_the_right_is_refused_and_told_so(engine_url: str) -> None:
    with docker_world(engine_url) as world:
        net = network(world)
        world.engine.ensure_network(net)
        code = ("import os; from deployctl.effects.linux.guard import LinuxGuard as G\n"
                "import deployctl.effects.linux.neighbours\n"
                "from deployctl.errors import NotPermitted\nos.setuid(65534)\nassert not G().may_pin()\n"
                f"try: G().pin({net.bridge!r}, {str(world.subnet[11])!r}, '0a:dc:00:00:00:01')\n"
                "except NotPermitted as e: print(e.message)")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "requires root" in done.stdout, done
