"""Whatever is killed or removed comes back by the next command, with the traffic where it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.haproxy.master import find_master, members
from deployctl.effects.haproxy.process import find_binary
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.errors import NotPermitted, ProxyUnavailable
from tests.proxies import BINARY, BLOG, SHOP, HurriedClock, Instance, Proxy, backend, end, proxy, wait_for
from tests.support import free_port


@pytest.fixture
def world(world: Proxy) -> Proxy:
    """shop: release 2 serves. blog: release 1 serves."""
    world.traffic().switch(SHOP, 2)
    return world


def kill_master(world: Proxy) -> None:
    os.kill(find_master(world.home) or 0, signal.SIGKILL)


def kill_worker(world: Proxy) -> None:
    master = find_master(world.home)
    os.kill(next(pid for pid in members(world.home) if pid != master), signal.SIGKILL)


def remove(*names: str) -> Callable[[Proxy], None]:
    def harm(world: Proxy) -> None:
        for name in names:
            (world.folder / name).unlink()

    return harm


HARM: dict[str, Callable[[Proxy], None]] = {
    "master killed": kill_master,
    "worker killed": kill_worker,
    "worker's socket gone": remove("haproxy.sock"),
    "master's socket gone": remove("master.sock"),
    "both sockets gone": remove("haproxy.sock", "master.sock"),
    "pid file gone": remove("haproxy.pid"),
    "pid file and sockets gone": remove("haproxy.pid", "haproxy.sock", "master.sock"),
    "route map gone": remove("route.map"),
    "known map gone": remove("known.map"),
    "configuration gone": remove("haproxy.cfg"),
    "lock gone": remove("lock"),
}
REPAIR: dict[str, Callable[[HaproxyTraffic], object]] = {
    "ensure_up": lambda traffic: traffic.ensure_up(),
    "sync": lambda traffic: traffic.sync(),
    "switch": lambda traffic: traffic.switch(BLOG, 2),
}


@pytest.mark.parametrize("repair", REPAIR)
@pytest.mark.parametrize("harm", HARM)
def test_the_next_command_repairs_it_and_traffic_is_where_it_was(world: Proxy, harm: str, repair: str) -> None:
    HARM[harm](world)
    traffic = world.traffic()
    REPAIR[repair](traffic)
    blog = 2 if repair == "switch" else 1
    assert (world.ask(SHOP), world.ask(BLOG)) == ((200, "shop.2"), (200, f"blog.{blog}"))
    assert traffic.routes() == {SHOP: 2, BLOG: blog}
    assert masters(world) == [int(world.home.pid.read_text())]
    traffic.sync()
    assert traffic.drift() == []


def test_a_death_between_its_last_good_answer_and_the_move_costs_only_another_try(
    world: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = HaproxySockets.worker
    killed: list[int] = []

    def die_first(sockets: HaproxySockets, command: str) -> str:
        if command.startswith("set map") and not killed:
            killed.extend(members(world.home))
            end(world.home)
        return worker(sockets, command)

    monkeypatch.setattr(HaproxySockets, "worker", die_first)
    moved = world.traffic().switch(BLOG, 2)
    assert killed
    assert (moved.was, moved.now) == (1, 2)
    assert (world.ask(SHOP), world.ask(BLOG)) == ((200, "shop.2"), (200, "blog.2"))


def masters(world: Proxy) -> list[int]:
    found = members(world.home)
    parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in found}
    return [pid for pid in found if parents[pid] not in found]


def test_a_death_with_everything_lost_comes_back_from_the_ledger(world: Proxy) -> None:
    end(world.home)
    for file in world.folder.iterdir():
        file.unlink()
    world.ledger.table = replace(world.ledger.table, actives={SHOP: 1})
    world.traffic().ensure_up()
    assert (world.ask(SHOP), world.ask(BLOG)[0]) == ((200, "shop.1"), 503)


@pytest.mark.parametrize("text", ["", "global\n  nonsense\n", "\0\1\2"])
def test_a_spoilt_configuration_is_written_anew_before_a_start(world: Proxy, text: str) -> None:
    end(world.home)
    world.home.config.write_text(text)
    world.traffic().ensure_up()
    assert world.ask(SHOP) == (200, "shop.2")


def test_an_emptied_route_map_does_not_leave_everybody_without_traffic(world: Proxy) -> None:
    end(world.home)
    (world.folder / "route.map").write_text("")
    world.ledger.table = replace(world.ledger.table, actives={SHOP: 2})
    world.traffic().ensure_up()
    assert world.ask(SHOP) == (200, "shop.2")


def test_it_is_adopted_by_another_process_without_a_second_start(world: Proxy) -> None:
    pid = world.traffic().pid()
    assert not world.traffic().ensure_up()
    assert world.traffic().pid() == pid


def test_a_process_that_only_reused_the_pid_is_not_taken_for_haproxy(world: Proxy) -> None:
    end(world.home)
    world.home.pid.write_text(f"{os.getpid()}\n")
    assert world.traffic().pid() is None
    assert world.traffic().ensure_up()


# -- strangers ----------------------------------------------------------------------------------------------------
def test_a_stranger_on_the_port_is_named_and_the_start_fails(world: Proxy) -> None:
    end(world.home)
    with socket.create_server(("127.0.0.1", world.port(SHOP))):
        with pytest.raises(ProxyUnavailable, match="Address already in use") as refusal:
            world.traffic().ensure_up()
        assert f"(pid {os.getpid()})" in refusal.value.message
    world.traffic().ensure_up()
    assert world.ask(SHOP) == (200, "shop.2")


def test_a_stranger_on_an_added_address_leaves_the_other_apps_alone(world: Proxy) -> None:
    port = free_port()
    traffic = world.traffic()
    with socket.create_server(("127.0.0.1", port)):
        third = Instance("shop.3")
        world.ledger.listen(BLOG, port)
        world.ledger.add(backend(SHOP, 3, third.port))
        with pytest.raises(ProxyUnavailable, match="keeps the previous one"):
            traffic.sync()
        assert traffic.routes() == {SHOP: 2, BLOG: 1}
        assert traffic.drift() != []
        end(world.home)  # a restart does not stumble over it, and has the server that came meanwhile
        assert traffic.ensure_up()
        assert world.ask(SHOP) == (200, "shop.2")
    traffic.sync()
    traffic.switch(SHOP, 3)
    assert (world.ask(SHOP), world.ask(BLOG)) == ((200, "shop.3"), (200, "blog.1"))
    third.end()


def test_another_users_binary_that_is_none_is_told() -> None:
    with proxy(spec=ServerSpec(haproxy_binary="/nowhere/haproxy")) as world, pytest.raises(ProxyUnavailable):
        world.traffic().ensure_up()


# -- homes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("folder", ["a home, with $ORTS of #odd 'characters' \"in it\"", "deep/" * 20 + "haproxy"])
def test_a_long_or_odd_home_works_and_keeps_its_sockets_elsewhere(folder: str) -> None:
    with proxy(Path(folder)) as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        assert world.ask(SHOP) == (200, "shop.1")
        assert world.home.sockets != world.folder
        assert world.home.sockets.stat().st_mode & 0o777 == 0o700
        kill_master(world)
        assert traffic.switch(SHOP, 2).was == 1


def test_a_socket_folder_that_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    with proxy(Path("deep/" * 20 + "haproxy")) as world:
        world.home.sockets.symlink_to(tmp_path)
        try:
            with pytest.raises(NotPermitted):
                world.traffic().ensure_up()
        finally:
            world.home.sockets.unlink()


def test_everything_of_it_is_for_the_owner_only(world: Proxy) -> None:
    assert world.folder.stat().st_mode & 0o777 == 0o700
    open_to_others = [file.name for file in world.folder.iterdir() if file.stat().st_mode & 0o077]
    assert set(open_to_others) <= {"haproxy.log", "haproxy.pid"}


# -- what it keeps of us ------------------------------------------------------------------------------------------
STARTER = """
import sys
from pathlib import Path
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.proxy.traffic import TrafficTable
from deployctl.effects.haproxy.process import find_binary
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
HaproxyTraffic(Path(sys.argv[1]), ServerSpec(), TrafficTable, SystemClock()).ensure_up()
"""


def test_a_pipe_behind_the_command_that_starts_it_ends() -> None:
    with proxy() as world:
        words = [sys.executable, "-c", STARTER, str(world.folder)]
        environment = {**os.environ, "SECRET_OF_OURS": "hunter2"}
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True, env=environment)
        assert done.stdout == ""
        assert time.monotonic() - began < 20
        master = find_master(world.home)
        assert master is not None
        assert b"hunter2" not in Path(f"/proc/{master}/environ").read_bytes()
        assert os.getsid(master) != os.getsid(0)


def test_the_worker_is_not_root_when_the_bundled_haproxy_can_do_without() -> None:
    if os.geteuid() != 0 or not find_binary(ServerSpec(haproxy_binary=os.environ.get(BINARY)))[1]:
        pytest.skip("only root has something to give up, and only the bundled HAProxy is sure to be able to")
    with proxy() as world:
        world.traffic().ensure_up()
        master = find_master(world.home)
        wait_for(lambda: len(members(world.home)) == 2)
        [worker] = [pid for pid in members(world.home) if pid != master]
        assert Path(f"/proc/{worker}").stat().st_uid == 65534


def test_a_haproxy_that_a_person_started_from_another_configuration_is_taken_over(world: Proxy) -> None:
    end(world.home)
    world.home.config.write_text(f"defaults\n  mode http\nlisten x\n  bind 127.0.0.1:{free_port()}\n")
    start_by_hand(world)
    world.traffic().sync()
    assert world.ask(SHOP) == (200, "shop.2")
    assert world.traffic().drift() == []


def start_by_hand(world: Proxy) -> None:
    home = world.home
    words = [find_binary(world.spec)[0], "-W", "-D", "-S", f"{home.master},mode,600", "-p", str(home.pid)]
    subprocess.run([*words, "-C", str(home.folder), "-f", str(home.config)], check=True, timeout=10)


# -- a process that is frozen with the lock in its hand -------------------------------------------------------------
FROZEN = """
import fcntl, os, signal, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.kill(os.getpid(), int(sys.argv[2]))
signal.pause()
"""


@pytest.mark.parametrize("frozen", [True, False])
def test_only_a_frozen_holder_of_the_lock_is_ended(world: Proxy, frozen: bool) -> None:
    words = [str(world.folder / "lock"), str(int(signal.SIGSTOP if frozen else signal.SIGCONT))]
    holder = subprocess.Popen([sys.executable, "-c", FROZEN, *words])
    try:
        wait_for(lambda: Path(f"/proc/{holder.pid}/stat").read_text().split()[2] in ("T" if frozen else "S"))
        if frozen:
            world.traffic().switch(BLOG, 2)
            assert holder.wait(timeout=10) == -signal.SIGKILL
        else:
            with pytest.raises(ProxyUnavailable, match="has held the lock"):
                HaproxyTraffic(world.folder, world.spec, world.ledger, HurriedClock()).switch(BLOG, 2)
            assert holder.poll() is None
    finally:
        holder.kill()
        holder.wait()
    world.traffic().switch(BLOG, 2)
    assert world.ask(BLOG) == (200, "blog.2")
