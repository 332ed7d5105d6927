"""A deployment that is aborted, interrupted, out of time or requested twice: reverted, reported, and nothing is left of
it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.e2e.cli import Cli, command, wait_until
from tests.images import ensure_images

SLOW = "dctl-test/slowstart:v1"
HEALTH = {"path": "/healthz", "deadline": "60s"}


@pytest.fixture(scope="module")
def shop(cli: Cli, engine_url: str) -> Cli:
    """shop: v2 serves, v1 is warm; its file starts a candidate that takes half a minute."""
    ensure_images(("slowstart", "v1"), base_url=engine_url)
    cli.serving("shop")
    cli.do("upgrade", "shop", "v2")
    cli.write("shop", health=HEALTH, env={"START_SECONDS": "30"}, stop_grace="1s")
    return cli


@contextmanager
def slow_upgrade(shop: Cli) -> Iterator[subprocess.Popen[str]]:
    """Start the upgrade to the slow one and hand it out once it waits for health."""
    process = shop.begin("upgrade", "shop", "slow", "--image", SLOW)
    try:
        wait_until(lambda: phase(shop) == "probing", what="the health phase")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def phase(shop: Cli) -> str | None:
    deployment = shop.app("shop")["deployment"]
    return None if deployment is None else str(deployment["phase"])


@pytest.fixture
def untouched(shop: Cli) -> Iterator[Cli]:
    """Whatever a test cut short: visitors lost nothing, v2 serves, and no container, lease or open deployment is left."""
    before, leases = shop.objects(), shop.ledger()["port_leases"]
    with shop.visitors("shop") as visitors:
        yield shop
        assert shop.active("shop") == "v2"
    assert visitors.count.lost == 0
    assert set(visitors.count.by_version) <= {"v1", "v2"}
    assert shop.objects() == before
    assert shop.ledger()["port_leases"] == leases
    assert shop.app("shop")["deployment"] is None
    assert [row for row in shop.ledger(but=())["leases"] if row[2] is not None] == []
    assert shop.attempts("shop")[0]["phase"] == "reverted"


def test_another_process_aborts_it_and_both_tell(untouched: Cli) -> None:
    with slow_upgrade(untouched) as process:
        seen = untouched.app("shop")
        assert (seen["state"], seen["deployment"]["to_version"], seen["active"]["version"]) == ("deploying", "slow", "v2")
        assert [i["version"] for i in seen["instances"] if i["role"] == "candidate"] == ["slow"]
        told = untouched.do("abort", "shop")
        ended = untouched.ended(process)
    assert (told["kind"], told["changed"]) == ("Abort", True)
    assert "v2 is live" in told["summary"]
    assert (ended.code, ended.told["error"]["code"]) == (1, "aborted")
    assert ended.told["serving"]["version"] == "v2"
    assert untouched.do("abort", "shop")["changed"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_takes_it_back_tidily(untouched: Cli, number: signal.Signals) -> None:
    with slow_upgrade(untouched) as process:
        process.send_signal(number)
        ended = untouched.ended(process)
    assert (ended.code, ended.told["error"]["code"]) == (130, "interrupted")
    assert ended.told["serving"]["version"] == "v2"


def test_the_time_limit_takes_it_back_tidily(untouched: Cli) -> None:
    ended = untouched.refused(1, "--timeout", "2s", "upgrade", "shop", "slow", "--image", SLOW)
    assert ended.told["error"]["code"] == "timeout"
    assert ended.told["serving"]["version"] == "v2"


def test_a_killed_one_is_taken_back_by_the_next_command(untouched: Cli) -> None:
    with slow_upgrade(untouched) as process:
        process.kill()
        untouched.ended(process)
        assert untouched.app("shop")["deployment"]["interrupted"] is True
        told = untouched.do("hold", "shop", "v1")
        assert told["ok"]
        untouched.do("unhold", "shop", "v1")


def test_others_are_told_who_is_busy_and_do_nothing(untouched: Cli) -> None:
    with slow_upgrade(untouched) as process:
        for words in (("upgrade", "shop", "v1"), ("rollback", "shop"), ("undo", "shop"), ("stop", "shop", "v1"),
                      ("prune", "shop"), ("app", "remove", "shop", "-y"), ("start", "shop", "v1", "--lock-wait", "1s")):
            busy = untouched.refused(6, *words)
            assert busy.told["error"]["code"] == "busy"
            assert f"pid {process.pid}" in busy.message
            assert any("abort" in line for line in busy.told["error"]["remedy"])
            assert busy.told["serving"]["version"] == "v2"
        untouched.do("abort", "shop")
        untouched.ended(process)


def test_who_waits_gets_his_turn(untouched: Cli) -> None:
    with slow_upgrade(untouched) as process, ThreadPoolExecutor() as pool:
        waiting = pool.submit(untouched.do, "rollback", "shop", "--lock-wait", "60s")
        time.sleep(1)
        assert not waiting.done()
        untouched.do("abort", "shop")
        assert waiting.result()["to"] == "v1"
        untouched.ended(process)
    assert untouched.do("undo", "shop")["to"] == "v2"


def test_haproxy_killed_during_a_deployment_does_not_stop_it(shop: Cli) -> None:
    shop.serving("quick", keep_warm=2)
    shop.write("quick", env={"START_SECONDS": "2"}, health=HEALTH)
    process = shop.begin("upgrade", "quick", "slow", "--image", SLOW)
    wait_until(lambda: shop.app("quick")["state"] == "deploying", what="the deployment")
    (master,) = shop.masters()
    os.kill(master, signal.SIGKILL)
    ended = shop.ended(process)
    assert (ended.code, ended.told["confirmed"]) == (0, True), ended
    assert shop.active("quick") == "slow"
    assert (shop.get("quick").version, shop.get("shop").version) == ("v1", "v2")  # the slow image's v1


def test_watching_ends_well_with_ctrl_c(shop: Cli) -> None:
    process = subprocess.Popen(command(shop.home, "status", "shop", "-w"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        guard = threading.Timer(20, process.kill)
        guard.start()
        assert "shop" in process.stdout.readline()
        guard.cancel()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
