"""What the ledger says is applied to a running HAProxy, what HAProxy does not confirm is reverted."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.files import HaproxyFiles
from deployctl.effects.haproxy.master import members
from deployctl.effects.haproxy.socket.runtime import ask as command
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.errors import DeployctlError, Invalid, ProxyUnavailable, SwitchRefused
from tests.proxies import BLOG, SHOP, HurriedClock, Instance, Proxy, ask, backend, end, proxy, wait_for
from tests.support import free_port


@pytest.fixture
def world() -> Iterator[Proxy]:
    with proxy() as found:
        found.traffic().switch(SHOP, 1)
        yield found


def workers(world: Proxy) -> str:
    return command(world.home.master, "show proc", timeout=3).partition("# workers")[2].split()[0]


def servers(world: Proxy) -> set[str]:
    lines = command(world.home.worker, "show servers state apps", timeout=3).splitlines()[2:]
    return {line.split()[3] for line in lines if line}


# -- servers ------------------------------------------------------------------------------------------------------
def test_an_added_release_takes_traffic_without_a_reload(world: Proxy) -> None:
    before = workers(world)
    world.ledger.add(backend(SHOP, 3, world.instances["blog.2"].port))
    traffic = world.traffic()
    traffic.sync()
    traffic.switch(SHOP, 3)
    assert world.ask()[1] == "blog.2"
    assert workers(world) == before


def test_an_added_app_is_reached_after_one_reload_and_others_keep_their_routes(world: Proxy) -> None:
    third = Instance("third.1")
    before, app = workers(world), type(SHOP)("third")
    world.ledger.listen(app, free_port())
    world.ledger.add(backend(app, 1, third.port))
    traffic = world.traffic()
    traffic.sync()
    after = workers(world)
    traffic.switch(app, 1)
    traffic.sync()
    assert (world.ask(app), world.ask(SHOP)) == ((200, "third.1"), (200, "shop.1"))
    assert before != after == workers(world)
    third.end()


def test_a_release_that_is_gone_leaves_haproxy_and_its_files(world: Proxy) -> None:
    world.ledger.drop(SHOP, 2)
    world.traffic().sync()
    assert servers(world) == {"shop.1", "blog.1", "blog.2"}
    assert "shop.2" not in world.home.config.read_text()
    assert (world.folder / "version.map").read_text() == "blog.1 v1\nblog.2 v2\nshop.1 v1\n"


def test_a_server_with_an_open_request_stays_until_it_ends_and_takes_no_other(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.ask, SHOP, "/wait")
        wait_for(lambda: traffic.in_flight(SHOP, 2) == 1)
        traffic.switch(SHOP, 1)
        world.ledger.drop(SHOP, 2)
        traffic.sync()
        assert "shop.2" in servers(world)
        assert traffic.drift() == []
        with pytest.raises(SwitchRefused):
            traffic.switch(SHOP, 2)
        world.instances["shop.2"].let_go.set()
        assert waiting.result() == (200, "shop.2")
    wait_for(lambda: _synced_servers(world) == {"shop.1", "blog.1", "blog.2"})


def _synced_servers(world: Proxy) -> set[str]:
    world.traffic().sync()
    return servers(world)


def test_a_server_that_serves_is_never_taken_out_even_if_the_ledger_forgot_it(world: Proxy) -> None:
    world.ledger.drop(SHOP, 1)
    world.traffic().sync()
    assert world.ask() == (200, "shop.1")


def test_a_server_that_moved_is_followed(world: Proxy) -> None:
    before = workers(world)
    world.ledger.add(backend(SHOP, 1, world.instances["blog.2"].port))
    world.traffic().sync()
    assert world.ask()[1] == "blog.2"
    assert workers(world) == before


def test_a_hold_reaches_haproxy_without_a_reload(world: Proxy) -> None:
    before = workers(world)
    cookie = {"Cookie": "dctl_v=v2"}
    assert ask(world.port(SHOP), headers=cookie)[1] == "shop.2"
    world.ledger.add(backend(SHOP, 2, world.instances["shop.2"].port, held=True))
    world.traffic().sync()
    assert ask(world.port(SHOP), headers=cookie)[1] == "shop.1"
    assert workers(world) == before


def test_a_sync_without_a_change_touches_nothing(world: Proxy) -> None:
    def times() -> dict[str, int]:
        files = [world.home.config, *world.folder.glob("*.map")]
        return {file.name: file.stat().st_mtime_ns for file in files}

    world.traffic().sync()
    before = (times(), workers(world))
    world.traffic().sync()
    assert (times(), workers(world)) == before


# -- crashes between the two writes -------------------------------------------------------------------------------
def test_a_reload_that_a_crash_prevented_is_made_up_for(world: Proxy) -> None:
    port = free_port()
    world.ledger.listen(BLOG, port)
    HaproxyFiles(world.home, world.spec).write(world.ledger.table)  # as far as a killed sync gets
    assert world.traffic().drift() == ["HAProxy runs a different configuration than haproxy.cfg: reload needed"]
    world.traffic().sync()
    assert ask(port)[0] == 503


def test_a_switch_that_died_after_its_file_is_not_finished_by_somebody_elses_reload(world: Proxy) -> None:
    (world.folder / "route.map").write_text("shop 2\n")
    world.ledger.listen(BLOG, free_port())
    world.traffic().sync()
    assert world.ask() == (200, "shop.1")
    assert (world.folder / "route.map").read_text() == "shop 1\n"


def test_what_a_killed_writer_left_is_swept(world: Proxy) -> None:
    leftover = world.folder / ".route.map.abc.part"
    leftover.write_text("half")
    world.traffic().sync()
    assert not leftover.exists()


# -- refusals -----------------------------------------------------------------------------------------------------
@contextmanager
def deaf_haproxy(world: Proxy) -> Iterator[None]:
    """Put somebody between us and HAProxy who says yes to `set map` and does nothing."""
    real, shown = world.folder / "real.sock", world.home.worker
    shown.rename(real)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(shown))
    listener.listen()
    thread = threading.Thread(target=_relay, args=(listener, real))
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        real.replace(shown)


def _relay(listener: socket.socket, real: Path) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            asked = connection.makefile("r").readline().strip()
            reply = "\n" if asked.startswith("set map") else command(real, asked, timeout=3)
            connection.sendall(reply.encode())


def test_a_switch_that_haproxy_only_pretends_to_make_is_taken_back(world: Proxy) -> None:
    with deaf_haproxy(world), pytest.raises(SwitchRefused, match="did not confirm"):
        world.traffic().switch(SHOP, 2)
    assert world.traffic().routes() == {SHOP: 1}
    assert (world.folder / "route.map").read_text() == "shop 1\n"
    assert world.ask() == (200, "shop.1")


def test_a_haproxy_that_hangs_is_told_and_not_started_a_second_time(world: Proxy) -> None:
    stopped = members(world.home)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        hurried = HaproxyTraffic(world.folder, world.spec, world.ledger, HurriedClock())
        with pytest.raises(ProxyUnavailable, match="not responding"):
            hurried.switch(SHOP, 2)
        assert members(world.home) == stopped
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert world.ask() == (200, "shop.1")


@pytest.mark.parametrize("app", ["shop; disable frontend pub", "../shop", "shop blog", "", "shop.1", "shop\n"])
def test_an_app_that_is_no_name_never_reaches_haproxy(world: Proxy, app: str) -> None:
    with pytest.raises(Invalid):
        world.traffic().switch(type(SHOP)(app), 1)
    assert world.ask() == (200, "shop.1")


@pytest.mark.parametrize("release", [0, -1, 2**31])
def test_a_release_that_is_no_number_of_one_never_reaches_haproxy(world: Proxy, release: int) -> None:
    with pytest.raises(Invalid):
        world.traffic().switch(SHOP, release)


# -- the bridge ---------------------------------------------------------------------------------------------------
@pytest.fixture
def bridge() -> Iterator[str]:
    """An interface that leads to nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can add a network interface")
    name = f"dctlt{secrets.token_hex(3)}"
    _ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    try:
        _ip("link", "set", name, "up")
        _ip("link", "set", f"{name}p", "up")
        yield name
    finally:
        _ip("link", "del", name, check=False)


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)


def test_a_server_on_a_bridge_never_leaves_by_another_way(world: Proxy, bridge: str) -> None:
    """The app answers on 127.0.0.1, but that is not on the bridge: at run time and after a restart nobody answers."""
    world.ledger.add(backend(SHOP, 3, world.instances["shop.2"].port, bridge=bridge))
    traffic = world.traffic()
    traffic.switch(SHOP, 3)
    assert world.ask()[0] == 503
    end(world.home)
    traffic.ensure_up()
    assert world.ask()[0] == 503
    assert world.instances["shop.2"].seen == []


def test_after_its_bridge_has_vanished_a_server_leaves_by_no_other_way(world: Proxy, bridge: str) -> None:
    """The packets could reach the app by another way, as they could reach a stranger."""
    gateway = "192.168.251.1"
    _ip("addr", "add", f"{gateway}/32", "dev", bridge)
    world.ledger.add(backend(SHOP, 3, world.instances["shop.2"].port, bridge=bridge, gateway=gateway))
    world.traffic().switch(SHOP, 3)
    _ip("link", "del", bridge)
    assert world.ask()[0] == 503
    end(world.home)
    world.traffic().ensure_up()
    assert world.ask()[0] == 503
    assert world.instances["shop.2"].seen == []


def test_a_server_bound_to_an_interface_that_carries_it_answers(world: Proxy) -> None:
    world.ledger.add(backend(SHOP, 3, world.instances["shop.2"].port, bridge="lo"))
    world.traffic().switch(SHOP, 3)
    assert world.ask() == (200, "shop.2")


@pytest.mark.parametrize("harm", [("link", "set", "{}", "down"), ("link", "del", "{}")])
def test_a_switch_to_a_vanished_bridge_is_refused(world: Proxy, bridge: str, harm: tuple[str, ...]) -> None:
    world.ledger.add(backend(SHOP, 3, world.instances["shop.2"].port, bridge=bridge))
    world.traffic().sync()
    _ip(*(word.format(bridge) for word in harm))
    with pytest.raises(SwitchRefused, match=bridge):
        world.traffic().switch(SHOP, 3)
    assert world.ask() == (200, "shop.1")


def test_a_server_that_moves_to_a_bridge_is_bound_to_it_by_a_reload(world: Proxy, bridge: str) -> None:
    before = workers(world)
    world.ledger.add(backend(SHOP, 1, world.instances["shop.1"].port, bridge=bridge))
    world.traffic().sync()
    assert workers(world) != before
    assert world.ask()[0] == 503


# -- drift --------------------------------------------------------------------------------------------------------
def edit_config(world: Proxy) -> None:
    text = world.home.config.read_text()
    world.home.config.write_text(text.replace("retries 3", "retries 4"))


def tell(text: str) -> Callable[[Proxy], object]:
    return lambda world: command(world.home.worker, text, timeout=3)


DRIFT: dict[str, tuple[Callable[[Proxy], object], str]] = {
    "cfg": (edit_config, "haproxy.cfg differs from the ledger"),
    "cfg gone": (lambda world: world.home.config.unlink(), "haproxy.cfg is missing"),
    "map": (lambda world: _append(world, "known.map", "shop.v9 1\n"), "the file known.map says shop.v9 → 1"),
    "map gone": (lambda world: (world.folder / "host.map").unlink(), "host.map is missing"),
    "route file": (lambda world: _append(world, "route.map", "blog 2\n"), "the file route.map says blog → 2"),
    "known": (tell("set map known.map shop.v1 2"), "known.map in HAProxy says shop.v1 → 2"),
    "server gone": (tell("set server apps/blog.1 state maint"), "the server blog.1 is disabled"),
    "server moved": (tell("set server apps/shop.2 addr 127.0.0.9 port 9"), "shop.2 is at 127.0.0.9:9 in HAProxy"),
}


def _append(world: Proxy, name: str, line: str) -> None:
    with (world.folder / name).open("a") as file:
        file.write(line)


@pytest.mark.parametrize("kind", DRIFT)
def test_what_a_person_changed_is_named_and_corrected_by_a_sync(world: Proxy, kind: str) -> None:
    change, sentence = DRIFT[kind]
    traffic = world.traffic()
    assert traffic.drift() == []
    change(world)
    assert any(sentence in told for told in traffic.drift()), traffic.drift()
    traffic.sync()
    assert traffic.drift() == []
    assert world.ask() == (200, "shop.1")


def test_a_server_that_a_person_added_is_named_and_taken_out(world: Proxy) -> None:
    tell("add server apps/zip.1 127.0.0.1:9 weight 0")(world)
    tell("set server apps/zip.1 state ready")(world)
    traffic = world.traffic()
    assert traffic.drift() == ["HAProxy has the server zip.1, which is not in the ledger"]
    traffic.sync()
    assert traffic.drift() == []


# -- disk ---------------------------------------------------------------------------------------------------------
def test_a_full_disk_changes_neither_file_nor_traffic() -> None:
    """A folder that takes no file any more, as far as a test may go: its sockets and HAProxy are alive."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a tiny file system")
    with proxy() as world:
        world.folder.mkdir(mode=0o700)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=40,mode=700", "none",
                                  str(world.folder)], check=False, capture_output=True, text=True)  # fmt: skip
        if mounted.returncode:
            pytest.skip(f"cannot mount here: {mounted.stderr.strip()}")
        try:
            _fill_and_switch(world)
        finally:
            end(world.home)
            subprocess.run(["umount", str(world.folder)], check=True)


def _fill_and_switch(world: Proxy) -> None:
    traffic = world.traffic()
    traffic.switch(SHOP, 1)
    filler = world.folder / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 2**20)
    with pytest.raises(DeployctlError, match="No space"):
        traffic.switch(SHOP, 2)
    assert traffic.routes() == {SHOP: 1}
    assert config.read_map((world.folder / "route.map").read_text()) == {SHOP: "1"}
    filler.unlink()
    assert traffic.switch(SHOP, 2).was == 1
    assert sorted(file.name for file in world.folder.glob(".*")) == []
