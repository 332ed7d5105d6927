"""HAProxy killed, its files deleted, a bridge gone: the next command repairs it, and no other host ever responds."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from secrets import token_hex

import pytest

from tests import machine
from tests.e2e.cli import Cli, wait_until

fcntl = pytest.importorskip("fcntl", reason="tun devices are Linux's")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


@pytest.fixture(scope="module")
def town(cli: Cli) -> Cli:
    """blog has v3 live. shop was rolled back from v2 to v1: the live version is neither the first nor the newest of
    anything."""
    cli.serving("blog", "v3")
    cli.serving("shop")
    cli.do("upgrade", "shop", "v2")
    cli.do("rollback", "shop")
    return cli


def kill_master(town: Cli) -> None:
    (master,) = town.masters()
    os.kill(master, signal.SIGKILL)


def kill_worker(town: Cli) -> None:
    (master,) = town.masters()
    os.kill(next(pid for pid in town.proxies() if pid != master), signal.SIGKILL)


def kill_all(town: Cli) -> None:
    for pid in town.proxies():
        with suppress(ProcessLookupError):  # it went with its master
            os.kill(pid, signal.SIGKILL)


def stop_politely(town: Cli) -> None:
    (master,) = town.masters()
    os.kill(master, signal.SIGTERM)
    wait_until(lambda: not town.proxies(), what="the end of HAProxy")


def remove(*names: str) -> Callable[[Cli], None]:
    def harm(town: Cli) -> None:
        for name in names:
            (town.home / "state/haproxy" / name).unlink(missing_ok=True)  # the worker has none until its next reload

    return harm


def both(first: Callable[[Cli], None], second: Callable[[Cli], None]) -> Callable[[Cli], None]:
    def harm(town: Cli) -> None:
        first(town)
        second(town)

    return harm


SOCKETS, MAPS = ("haproxy.sock", "master.sock"), ("route.map", "known.map", "version.map", "host.map")
HARM: dict[str, Callable[[Cli], None]] = {
    "master killed": kill_master,
    "worker killed": kill_worker,
    "all of it killed": kill_all,
    "stopped by a person": stop_politely,
    "worker's socket removed": remove("haproxy.sock"),
    "master's socket removed": remove("master.sock"),
    "both sockets removed": remove(*SOCKETS),
    "pid file removed": remove("haproxy.pid"),
    "routes' file removed": remove("route.map"),
    "every map removed": remove(*MAPS),
    "configuration removed": remove("haproxy.cfg"),
    "killed, and the routes' file removed": both(remove("route.map"), kill_all),
    "killed, and every file removed": both(remove("haproxy.cfg", "haproxy.pid", *MAPS), kill_all),
}


@pytest.mark.parametrize("harm", HARM)
def test_status_brings_the_traffic_back_to_where_it_was(town: Cli, harm: str) -> None:
    revision = town.revision("shop")
    HARM[harm](town)
    told = town.do("status")
    assert told["proxy"] is None
    assert {app["app"]: (app["state"], app["active"]["version"]) for app in told["apps"]} == {
        "shop": ("healthy", "v1"), "blog": ("healthy", "v3")}
    assert (town.get("shop").version, town.get("blog").version) == ("v1", "v3")
    assert (town.active("shop"), town.active("blog")) == ("v1", "v3")
    assert town.get("shop", X_Deployctl_Version="v2").version == "v2"
    assert len(town.masters()) == 1
    assert town.masters() == [int((town.home / "state/haproxy/haproxy.pid").read_text())]
    assert town.revision("shop") == revision, "a repair is no change of traffic"


VERBS = {
    "undo": ("undo", "shop"),
    "hold": ("hold", "blog", "v3"),
    "show": ("show", "shop", "v2"),
    "doctor": ("doctor",),
    "upgrade": ("upgrade", "blog", "v2"),
    "stop": ("stop", "shop", "v1"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_any_verb_starts_a_dead_haproxy_first(town: Cli, verb: str) -> None:
    kill_all(town)
    town.do(*VERBS[verb])
    assert (town.get("shop").status, town.get("blog").status) == (200, 200)
    assert town.active("shop") == town.get("shop").version
    assert town.active("blog") == town.get("blog").version
    assert len(town.masters()) == 1


def test_only_looking_at_the_files_does_not_start_it_twice(town: Cli) -> None:
    kill_all(town)
    for ran in [town.ended(process) for process in [town.begin("status") for _ in range(5)]]:
        assert ran.code == 0, ran
    assert len(town.masters()) == 1
    assert len(town.proxies()) == 2


def test_status_says_what_haproxy_says_even_against_the_ledger(town: Cli) -> None:
    town.serving("odd", "v1")
    town.do("upgrade", "odd", "v2")
    assert town.haproxy("set map route.map odd 1").strip() == ""
    seen = town.app("odd")
    assert seen["active"]["version"] == town.get("odd").version == "v1"
    assert any("the ledger says 2" in note for note in seen["notes"])
    assert town.do("upgrade", "odd", "v2")["to"] == "v2"
    assert town.active("odd") == town.get("odd").version == "v2"


# -- a bridge that vanishes -----------------------------------------------------------------------------------------
class Stranger(BaseHTTPRequestHandler):
    """Responds to everything, as a host would that got a container's former address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Version", "stranger")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Tests are quiet."""


@contextmanager
def stranger_at(address: str) -> Iterator[None]:
    """Let somebody else have that address; the device ends with this process, whatever happens."""
    name = f"dctlt{token_hex(3)}"
    with Path("/dev/net/tun").open("r+b", buffering=0) as tun:
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
        ip("address", "add", f"{address}/32", "dev", name)
        ip("link", "set", name, "up")
        with HTTPServer((address, 8080), Stranger) as server:
            thread = threading.Thread(target=server.serve_forever, args=[0.05])
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def bridge_down(town: Cli, app: str) -> Iterator[None]:
    (network,) = [n for n in town.networks() if n["Labels"]["deployctl.app"] == app]
    bridge = network["Options"]["com.docker.network.bridge.name"]
    ip("link", "set", bridge, "down")
    try:
        yield
    finally:
        ip("link", "set", bridge, "up")


needs_root = pytest.mark.skipif(not machine.may_route(), reason="only root, on Linux and with ip, may take a bridge down")


@needs_root
@pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="a stranger's address needs a tun device")
def test_a_bridge_that_is_down_gives_503_and_never_a_strangers_answer(town: Cli) -> None:
    town.serving("lonely")
    address = town.app("lonely")["active"]["address"]
    with bridge_down(town, "lonely"), stranger_at(address):
        answers = [town.get("lonely") for _ in range(20)]
        seen = town.app("lonely")
    assert {(answer.status, answer.version) for answer in answers} == {(503, None)}
    assert (seen["state"], seen["active"]["health"]) == ("down", "failing")
    assert town.get("lonely").version == "v1"
    assert town.app("lonely")["state"] == "healthy"


@needs_root
def test_no_traffic_is_moved_over_a_bridge_that_is_down(town: Cli) -> None:
    town.serving("cutoff")
    town.do("upgrade", "cutoff", "v2")
    with bridge_down(town, "cutoff"):
        ran = town.run("rollback", "cutoff")
        assert ran.code == 1, ran
        assert town.route("cutoff") == 2
        assert town.get("shop").status == town.get("blog").status == 200
        assert town.text("doctor").code == 1
    assert town.get("cutoff").version == town.active("cutoff") == "v2"
    assert json.loads(json.dumps(ran.told["serving"]))["version"] == "v2"
