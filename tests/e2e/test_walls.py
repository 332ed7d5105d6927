"""Code inside a version without traffic cannot take the visitors of the one that serves, and what keeps it from that stays
in place over switches, crashes and restarts of the engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench import former
from deployctl.demo.python_layer import ENTRYPOINT
from deployctl.effects.linux.guard import LinuxGuard
from tests import machine
from tests.attacker import CODE
from tests.e2e.cli import Cli, home_of_a_person, wait_until
from tests.e2e.test_watcher import watching
from tests.faults.second_engine import second_engine, why_not
from tests.images import ensure_images

pytestmark = pytest.mark.skipif(not machine.may_route(), reason="only root has a bridge to each app")
ALL = ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP"]
SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Attack:
    """What the attacker tells, and what visitors got meanwhile, one after the other."""

    refused: str
    sent: int
    stolen: int
    got: list[str | None]


def attack(cli: Cli, app: str, way: str, *, at: str, by: str) -> Attack:
    """Let code of the container `by` attack the version `at`, and ask for the app all the time."""
    victim = one(cli, app, at)
    joined = cli.api.inspect_container(victim["container"])["NetworkSettings"]["Networks"].values()
    mac = next(network["MacAddress"] for network in joined if network["IPAddress"] == victim["address"])
    host = victim["address"].rpartition(".")[0] + ".1"
    words = [*ENTRYPOINT, "-c", CODE, way, victim["address"], mac, host, str(SECONDS)]
    started = cli.api.exec_create(by, words, user="0")

    def act() -> dict[str, Any]:
        said = cli.api.exec_start(started["Id"]).decode()
        return dict(json.loads(said.strip().splitlines()[-1]))

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(act)
        got: list[str | None] = []
        while not told.done():
            got.append(cli.get(app).version)
        found = told.result()
    return Attack(found["refused"], found["sent"], found["stolen"], got)


def one(cli: Cli, app: str, version: str) -> dict[str, Any]:
    return dict(next(i for i in cli.app(app)["instances"] if i["version"] == version))


def pinned(cli: Cli) -> set[str]:
    """Return the pinned addresses of this home's containers."""
    known = {network["IPAddress"] for c in cli.containers() for network in c["NetworkSettings"]["Networks"].values()}
    known |= {c["Labels"]["deployctl.address"] for c in cli.containers() if "deployctl.address" in c["Labels"]}
    return {address for (_, address), seen in LinuxGuard().neighbours().items() if seen.pinned and address in known}


def held(cli: Cli, app: str, version: str) -> bool:
    """Tell whether the bridge's port of that version cannot be taken."""
    seen = cli.inspect(app, version)
    macs = {net["MacAddress"] for net in seen["NetworkSettings"]["Networks"].values()}
    bridges = {network["Options"]["com.docker.network.bridge.name"] for network in cli.networks()}
    return bool(macs & {mac for bridge in bridges for mac in LinuxGuard().held(bridge)})


# -- what is made now ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def shop(cli: Cli) -> Cli:
    """shop serves v2, v1 is warm and idle."""
    cli.serving("shop")
    cli.do("upgrade", "shop", "v2")
    return cli


@pytest.mark.parametrize("way", ["arp", "mac", "host"])
def test_a_version_without_traffic_cannot_even_try(shop: Cli, way: str) -> None:
    tried = attack(shop, "shop", way, at="v2", by=one(shop, "shop", "v1")["container"])
    assert "PermissionError" in tried.refused
    assert (tried.stolen, {*tried.got}) == (0, {"v2"})


def test_it_cannot_have_its_neighbours_address_without_a_raw_socket_either(shop: Cli) -> None:
    tried = attack(shop, "shop", "freebind", at="v2", by=one(shop, "shop", "v1")["container"])
    assert (tried.stolen, {*tried.got}) == (0, {"v2"})


def test_the_kernel_knows_what_a_container_cannot_have(shop: Cli) -> None:
    seen = shop.inspect("shop", "v2")
    status = Path(f"/proc/{seen['State']['Pid']}/status").read_text()
    bound = int(next(line for line in status.splitlines() if line.startswith("CapBnd")).split()[1], 16)
    bits = {"NET_RAW": 13, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31}
    assert {name for name, bit in bits.items() if bound >> bit & 1} == set()
    assert shop.do("show", "shop", "v2")["cap_drop"] == ALL


@pytest.mark.parametrize("way", ["arp", "mac", "host"])
def test_a_strangers_container_on_the_apps_network_takes_nothing(shop: Cli, way: str) -> None:
    (network,) = [n for n in shop.networks() if n["Labels"]["deployctl.app"] == "shop"]
    config = shop.api.create_host_config(network_mode=network["Name"])
    made = shop.api.create_container("dctl-test/web:v1", host_config=config)["Id"]
    try:
        shop.api.start(made)
        tried = attack(shop, "shop", way, at="v2", by=made)
    finally:
        shop.api.remove_container(made, force=True)
    assert (tried.refused, tried.sent > 10) == ("", True), "it has what Docker gives"
    assert (tried.stolen, {*tried.got}) == (0, {"v2"})


# -- what asks NET_RAW back -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def raw(cli: Cli) -> Cli:
    """raw has NET_RAW in all its versions: v2 serves, v1 is warm and idle."""
    cli.serving("raw", cap_add=["NET_RAW"])
    cli.do("upgrade", "raw", "v2")
    return cli


@pytest.mark.parametrize("way", ["arp", "mac", "host"])
def test_with_net_raw_an_idle_version_takes_no_visitor_of_the_one_that_serves(raw: Cli, way: str) -> None:
    tried = attack(raw, "raw", way, at="v2", by=one(raw, "raw", "v1")["container"])
    assert (tried.refused, tried.sent > 10) == ("", True)
    assert (tried.stolen, {*tried.got}) == (0, {"v2"})
    assert raw.app("raw")["state"] == "healthy"


@pytest.mark.parametrize("way", ["arp", "mac", "host"])
def test_so_it_is_after_a_rollback_to_the_other(raw: Cli, way: str) -> None:
    raw.do("rollback", "raw")
    try:
        tried = attack(raw, "raw", way, at="v1", by=one(raw, "raw", "v2")["container"])
    finally:
        raw.do("undo", "raw")
    assert (tried.refused, tried.stolen, {*tried.got}) == ("", 0, {"v1"})


def test_it_is_told_in_plan_and_release(raw: Cli) -> None:
    said = "cap_add restores NET_RAW"
    assert any(said in warning for warning in raw.do("upgrade", "raw", "v3", "--dry-run")["warnings"])
    assert said in raw.text("show", "raw", "v2").out
    assert raw.do("show", "raw", "v2")["bundle"]["cap_add"] == ["NET_RAW"]


# -- when it is in place ------------------------------------------------------------------------------------------------
def test_only_what_haproxy_carries_is_pinned(cli: Cli) -> None:
    cli.serving("turns", keep_warm=1)
    cli.do("upgrade", "turns", "v2")
    addresses = {version: one(cli, "turns", version)["address"] for version in ("v1", "v2")}
    assert {*addresses.values()} <= pinned(cli)
    assert held(cli, "turns", "v1") and held(cli, "turns", "v2")  # noqa: PT018  one thing
    cli.do("upgrade", "turns", "v3")  # v1 is stopped
    assert addresses["v1"] not in pinned(cli)
    assert {addresses["v2"], one(cli, "turns", "v3")["address"]} <= pinned(cli)
    cli.do("stop", "turns", "v3", "-y")
    assert one(cli, "turns", "v3")["address"] not in pinned(cli)
    cli.do("app", "remove", "turns", "-y")
    assert not {*addresses.values()} & {address for _, address in LinuxGuard().neighbours()}


def crash(cli: Cli, app: str) -> None:
    """Let its v1 crash, and the engine start it again."""
    before = cli.inspect(app, "v1")["State"]
    subprocess.run(["kill", "-KILL", str(before["Pid"])], check=True)
    wait_until(lambda: cli.inspect(app, "v1")["State"]["StartedAt"] != before["StartedAt"], what="a new start")


def test_a_container_that_crashes_comes_back_to_its_address_and_reconcile_holds_its_port_again(cli: Cli) -> None:
    cli.serving("crashing")
    crash(cli, "crashing")
    wait_until(lambda: cli.get("crashing").version == "v1", what="an answer without a command")
    assert not held(cli, "crashing", "v1"), "its former port is gone"
    done = cli.do("reconcile", "crashing")
    assert [line["kind"] for line in done["lines"] if line["done"]] == ["pin"]
    assert held(cli, "crashing", "v1")
    assert cli.do("reconcile", "crashing")["lines"] == []


def test_a_watcher_holds_the_port_of_what_crashed_without_a_command(cli: Cli) -> None:
    cli.serving("watched")
    with watching(cli):
        crash(cli, "watched")
        wait_until(lambda: held(cli, "watched", "v1"), within=60, what="a held port")


def test_a_host_that_has_forgotten_it_is_told_by_the_doctor_and_mended(cli: Cli) -> None:
    cli.serving("booted")
    address, bridge = one(cli, "booted", "v1")["address"], bridge_of(cli, "booted")
    LinuxGuard().unpin(bridge, address)
    assert "not_pinned" in {found["code"] for found in cli.do("doctor")["findings"]}
    assert [line["kind"] for line in cli.do("reconcile", "booted")["lines"]] == ["pin"]
    assert address in pinned(cli)
    assert "not_pinned" not in {found["code"] for found in cli.do("doctor")["findings"]}


def test_a_rollback_pins_again_what_the_host_has_forgotten(cli: Cli) -> None:
    cli.serving("back")
    cli.do("upgrade", "back", "v2")
    address = one(cli, "back", "v1")["address"]
    LinuxGuard().unpin(bridge_of(cli, "back"), address)
    cli.do("rollback", "back")
    assert address in pinned(cli)


def test_a_container_that_a_person_connected_anew_is_reached_again_once_that_is_seen(cli: Cli) -> None:
    cli.serving("anew")
    seen, (network,) = cli.inspect("anew", "v1"), [n for n in cli.networks() if n["Labels"]["deployctl.app"] == "anew"]
    address = one(cli, "anew", "v1")["address"]
    cli.api.disconnect_container_from_network(seen["Id"], network["Name"], force=True)
    LinuxGuard().pin(bridge_of(cli, "anew"), address, "0a:dc:00:00:00:01")  # as if it had come back with another MAC
    cli.api.connect_container_to_network(seen["Id"], network["Name"], ipv4_address=address)
    cli.do("reconcile", "anew")
    wait_until(lambda: cli.get("anew").version == "v1", what="an answer")


def bridge_of(cli: Cli, app: str) -> str:
    (network,) = [n for n in cli.networks() if n["Labels"]["deployctl.app"] == app]
    return str(network["Options"]["com.docker.network.bridge.name"])


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_an_engine_that_restarts_without_us_cuts_nobody_off() -> None:
    with second_engine(live_restore=False) as engine, engine.inside():
        ensure_images(("web", "v1"), ("web", "v2"), base_url=engine.url)
        with home_of_a_person(engine.url) as cli:
            cli.serving("shop")
            cli.do("upgrade", "shop", "v2")
            served = one(cli, "shop", "v2")
            assert {served["address"], one(cli, "shop", "v1")["address"]} <= pinned(cli)
            engine.stop()
            engine.start()
            wait_until(lambda: cli.get("shop").version == "v2", what="an answer without a command")
            assert pinned(cli) >= {served["address"]}
            cli.do("reconcile")
            assert held(cli, "shop", "v2")


# -- what was made before -----------------------------------------------------------------------------------------------
@pytest.fixture
def old(engine_url: str, images: None, former_build: Path) -> Iterator[Cli]:
    """shop of 0.1.0: v2 serves, v1 is warm."""
    with home_of_a_person(engine_url) as found:
        found.write("shop")
        for version in ("v1", "v2"):
            command = [*former.program(former_build), "--home", str(found.home), "upgrade", "shop", version]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False)
            assert done.returncode == 0, done.stderr
        yield found


def test_a_container_of_before_is_never_pinned_and_status_says_who_answers_for_it(old: Cli) -> None:
    old.do("reconcile")
    assert pinned(old) == set()
    victim = one(old, "shop", "v2")["address"]
    attacker = one(old, "shop", "v1")["container"]
    mac = next(iter(old.inspect("shop", "v2")["NetworkSettings"]["Networks"].values()))["MacAddress"]
    words = [*ENTRYPOINT, "-c", CODE, "arp", victim, mac, victim.rpartition(".")[0] + ".1", "8"]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(old.api.exec_start, old.api.exec_create(attacker, words, user="0")["Id"])
        wait_until(lambda: old.get("shop").version == "stolen", what="what 0.1.0 allowed")
        app = old.app("shop")
        running.result()
    assert app["active"]["health"] == "failing"
    assert app["active"]["health_reason"] == "answered_by_another"
    assert app["state"] == "down"


def test_its_capabilities_stay_until_an_upgrade_and_then_it_has_the_walls(old: Cli) -> None:
    assert "capabilities_kept" in {found["code"] for found in old.do("doctor")["findings"]}
    old.api.remove_container(one(old, "shop", "v1")["container"], force=True)
    old.do("reconcile")
    assert old.inspect("shop", "v1")["HostConfig"]["CapDrop"] is None, "made again as it was"
    again = old.do("upgrade", "shop", "v2")
    assert again["changed"] is True
    release = old.app("shop")["active"]["release"]
    assert old.do("show", "shop", f"v2@{release}")["cap_drop"] == ALL
    assert old.app("shop")["active"]["address"] in pinned(old)
    back = old.do("rollback", "shop")
    assert old.app("shop")["active"]["release"] == back["to_release"] == 2
    assert old.get("shop").version == "v2"
