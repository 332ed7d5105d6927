"""`deployctl serve` as a process: manual changes are reported immediately and repaired soon; stopping it does no
harm."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Cli, command, home_of_a_person, wait_until

NEVER: Any = {"Name": "no"}  # restart policy
NAMED = 5.0  # seconds in which `status` names what was done


class Watcher:
    """A watcher of one home, as systemd would run it. `said` is what it wrote."""

    def __init__(self, home: Path, log: Path) -> None:
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(command(home, "serve"), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def end(self) -> tuple[int, float]:
        """Ask it to end and return its exit code and the seconds that it took."""
        began = time.monotonic()
        self.process.terminate()
        return self.process.wait(timeout=20), time.monotonic() - began


@contextmanager
def watching(cli: Cli) -> Iterator[Watcher]:
    watcher = Watcher(cli.home, cli.home / "watcher.log")
    try:
        wait_until(lambda: "watching" in watcher.said, what="the watcher")
        yield watcher
    finally:
        with suppress(ProcessLookupError):
            watcher.process.kill()
        watcher.process.wait(timeout=10)


@pytest.fixture(scope="module")
def town(engine_url: str, images: None) -> Iterator[Cli]:
    """shop serves v2, v1 is its warm standby."""
    with home_of_a_person(engine_url) as found:
        found.serving("shop")
        found.do("upgrade", "shop", "v2")
        yield found


def container(town: Cli, version: str) -> str:
    return str(town.inspect("shop", version)["Id"])


def settled(town: Cli) -> bool:
    """Tell whether v2 serves with v1 warm and nothing contradicts the ledger."""
    seen = town.app("shop")
    return (seen["state"], seen["drift"], bool(seen["standby"] and seen["standby"]["warm"])) == ("healthy", [], True)


def remove(town: Cli, version: str) -> None:
    town.api.remove_container(container(town, version), force=True)


def move(town: Cli, version: str) -> None:
    seen = town.inspect("shop", version)
    ((network, had),) = seen["NetworkSettings"]["Networks"].items()
    first, _, last = had["IPAddress"].rpartition(".")
    town.api.disconnect_container_from_network(seen["Id"], network)
    town.api.connect_container_to_network(seen["Id"], network, ipv4_address=f"{first}.{int(last) + 20}")


def edit(town: Cli, name: str) -> None:
    path = town.home / "state/haproxy" / name
    path.write_text(path.read_text() + "# by hand\nstray 1\n" if name.endswith(".map") else "# by hand\n")


def guard_away(town: Cli) -> None:
    subnet = town.rows("select subnet from apps")[0][0]
    subprocess.run(["ip", "route", "del", "unreachable", subnet, "metric", "4278198272"], check=True)


HARM: dict[str, tuple[Callable[[Cli], Any], str]] = {
    "ended": (lambda town: town.api.kill(container(town, "v2")), "does not run"),
    "stopped standby": (lambda town: town.api.stop(container(town, "v1"), timeout=2), "does not run"),
    "removed": (lambda town: remove(town, "v2"), "was removed"),
    "removed standby": (lambda town: remove(town, "v1"), "was removed"),
    "renamed": (lambda town: town.api.rename(container(town, "v2"), f"mine-{town.home.name}"), "was renamed"),
    "limited": (lambda town: town.api.update_container(container(town, "v2"), mem_limit="64m", memswap_limit="64m"),
                "other limits"),
    "paused": (lambda town: town.api.pause(container(town, "v2")), "is paused"),
    "re-connected": (lambda town: move(town, "v2"), "reconnected"),
    "never restarted": (lambda town: town.api.update_container(container(town, "v2"), restart_policy=NEVER),
                        "is not restarted"),
    "configuration edited": (lambda town: edit(town, "haproxy.cfg"), "haproxy.cfg differs from the ledger"),
    "map edited": (lambda town: edit(town, "known.map"), "known.map"),
    "guard removed": (guard_away, "guard route"),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_a_person_did_is_named_by_status_and_mended_by_reconcile(town: Cli, harm: str) -> None:
    act, words = HARM[harm]
    if harm == "guard removed" and os.geteuid() != 0:
        pytest.skip("guard routes require root")
    assert settled(town)
    history, served = town.do("history", "shop")["changes"], town.revision("shop")
    act(town)
    named = time.monotonic()
    wait_until(lambda: any(words in sentence for sentence in town.app("shop")["drift"]), within=NAMED, what=words)
    assert time.monotonic() - named < NAMED
    foreseen = town.do("reconcile", "shop", "--dry-run")
    assert any(words in line["summary"] for line in foreseen["lines"])
    assert foreseen["changed"] is False
    done = town.do("reconcile", "shop")
    assert any(words in line["summary"] and line["done"] for line in done["lines"])
    wait_until(lambda: settled(town), what="everything")
    before = town.objects()
    assert town.do("reconcile")["lines"] == []
    assert town.objects() == before
    assert (town.get("shop").version, town.settled("shop")["active"]["version"]) == ("v2", "v2")
    assert (town.do("history", "shop")["changes"], town.revision("shop")) == (history, served)


def test_the_watcher_mends_by_itself_and_ends_cleanly_when_asked(town: Cli) -> None:
    with watching(town) as watcher:
        for harm in ("ended", "removed", "renamed", "limited", "paused"):
            act, words = HARM[harm]
            act(town)
            wait_until(lambda words=words: words in watcher.said and settled(town),  # type: ignore[misc]
                       within=15, what=f"{harm}: {watcher.said}")
        [master] = town.masters()
        os.kill(master, signal.SIGKILL)
        wait_until(lambda: master not in town.masters() != [] and answers(town), within=5, what="another HAProxy")
        apps, masters = town.objects(), town.masters()
        code, seconds = watcher.end()
        assert (code, seconds < 2) == (0, True), watcher.said
        assert "the watcher has stopped" in watcher.said
    assert (town.objects(), town.masters()) == (apps, masters)
    assert town.get("shop").version == "v2"
    assert town.rows("select app from leases where holder is not null") == []
    assert "(watcher)" in str(town.rows("select actor from events where kind = 'reconciled' order by id desc limit 1"))


def answers(town: Cli) -> bool:
    try:
        return town.get("shop").version == "v2"
    except OSError:
        return False


def test_a_watcher_that_is_asked_to_end_in_the_midst_of_a_mend_ends_at_once(town: Cli) -> None:
    for version in ("v1", "v2"):
        remove(town, version)
    watcher = Watcher(town.home, town.home / "watcher.log")
    try:
        wait_until(lambda: "watching" in watcher.said, what="the watcher")
        code, seconds = watcher.end()
    finally:
        with suppress(ProcessLookupError):
            watcher.process.kill()
    assert (code, seconds < 2) == (0, True), watcher.said
    ran = town.run("reconcile")
    assert ran.code == 0, ran
    assert settled(town)
    assert town.rows("select id from deployments where finished_at is null") == []


def test_what_a_killed_upgrade_left_open_is_finished_by_the_watcher(town: Cli) -> None:
    begun = town.begin("upgrade", "shop", "v3")
    wait_until(lambda: bool(town.rows("select id from deployments where finished_at is null")), what="the upgrade")
    begun.kill()
    town.ended(begun)
    with watching(town):
        wait_until(lambda: not town.rows("select id from deployments where finished_at is null"), within=15)
        wait_until(lambda: settled(town) or town.app("shop")["active"]["version"] == "v3", within=15)
    if town.app("shop")["active"]["version"] == "v3":
        town.do("undo", "shop")
    town.do("reconcile")


def test_a_home_has_one_watcher(town: Cli) -> None:
    with watching(town) as watcher:
        ran = town.refused(6, "serve")
        assert f"pid {watcher.process.pid}" in ran.message
        assert watcher.process.poll() is None


def test_a_watcher_survives_a_ledger_that_is_replaced_by_its_backup(town: Cli) -> None:
    ledger = town.home / "state/ledger.db"
    with watching(town) as watcher:
        good = ledger.read_bytes()
        beside = ledger.with_name("restored.db")
        beside.write_bytes(good)
        beside.rename(ledger)
        wait_until(lambda: watcher.said.count("watching") == 2, within=10, what=watcher.said)
        town.api.kill(container(town, "v2"))
        wait_until(lambda: settled(town), within=15, what=watcher.said)
        assert watcher.end()[0] == 0
