"""Many commands at once in one home: each does what it was asked or says who is faster, and no visitor notices.

DEPLOYCTL_LONG=1 takes the full number of switches.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.cli import HEALTH, Cli, wait_until

LONG = os.environ.get("DEPLOYCTL_LONG") == "1"
SWITCHES = 200 if LONG else 60  # of each app
NEWCOMERS = 8 if LONG else 3  # apps that come meanwhile; each has an address of its own, so HAProxy reloads
APPS = ("shop", "blog")
RATE = 100.0
UNHURRIED = {**HEALTH, "deadline": "60s"}  # both cores are busy with the others' commands


@pytest.fixture(scope="module")
def town(cli: Cli) -> Cli:
    """shop and blog serve v2, v1 is warm."""
    for app in APPS:
        cli.serving(app)
        cli.do("upgrade", app, "v2")
    return cli


def switch(town: Cli, app: str, times: int) -> list[dict[str, Any]]:
    """Roll back and undo it, again and again, each by a process of its own."""
    return [town.do("rollback" if number % 2 == 0 else "undo", app) for number in range(times)]


def add_apps(town: Cli, names: Sequence[str]) -> list[dict[str, Any]]:
    return [town.do("upgrade", name, "v3") for name in names if town.write(name, health=UNHURRIED)]


def test_two_apps_switch_while_others_come_and_nobody_is_lost(town: Cli) -> None:
    names = [f"extra-{number}" for number in range(NEWCOMERS)]
    (master,) = town.masters()
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        visitors = [stack.enter_context(town.visitors(app, RATE, keep_alive=app == "shop")) for app in APPS]
        switching = {app: pool.submit(switch, town, app, SWITCHES) for app in APPS}
        adding = pool.submit(add_apps, town, names)
        moved = {app: future.result() for app, future in switching.items()}
        added = adding.result()
    for one in visitors:
        assert one.count.lost == one.count.app_5xx == 0, one.count.sentence
        assert set(one.count.by_version) == {"v1", "v2"}
    for app in APPS:
        require_every_switch_confirmed(town, app, moved[app])
    assert all(one["confirmed"] for one in added)
    assert {name: town.get(name).version for name in names} == dict.fromkeys(names, "v3")
    assert town.routes() == town.written_routes()
    assert set(town.routes()) == {*APPS, *names}
    wait_until(lambda: town.masters() == [master], what="one HAProxy master, the same as before")


def require_every_switch_confirmed(town: Cli, app: str, moved: Sequence[dict[str, Any]]) -> None:
    assert [one["confirmed"] for one in moved] == [True] * SWITCHES
    assert [one["failed_requests"] for one in moved] == [0] * SWITCHES
    assert [one["revision"] for one in moved] == list(range(3, 3 + SWITCHES))
    assert [one["to"] for one in moved] == ["v1", "v2"] * (SWITCHES // 2)
    assert town.active(app) == "v2"
    assert len(town.do("history", app, "-n", "1000")["changes"]) == 2 + SWITCHES


def test_of_many_who_want_the_same_switch_at_once_exactly_one_gets_it(town: Cli) -> None:
    revision = town.revision("shop")
    with town.visitors("shop", RATE) as visitors:
        asked = [town.begin("rollback", "shop", "--if-revision", str(revision), "--lock-wait", "30s") for _ in range(6)]
        ended = [town.ended(process) for process in asked]
        assert sorted(ran.code for ran in ended) == [0, 5, 5, 5, 5, 5], [str(ran) for ran in ended]
        assert {ran.told["error"]["code"] for ran in ended if ran.code} == {"state_changed"}
        assert town.revision("shop") == revision + 1
        town.do("undo", "shop")
    assert visitors.count.lost == 0


def test_who_does_not_wait_is_told_who_is_busy(town: Cli) -> None:
    """Six at once without waiting: those that were rejected did nothing, the others have switched."""
    before = town.revision("blog")
    ended = [town.ended(process) for process in [town.begin("rollback", "blog") for _ in range(6)]]
    codes = [ran.code for ran in ended]
    assert set(codes) <= {0, 3, 6}, [str(ran) for ran in ended]
    assert town.revision("blog") == before + sum(ran.code == 0 and ran.told["changed"] for ran in ended)
    for ran in ended:
        if ran.code == 6:
            assert "busy" in ran.message
            assert "pid" in ran.message
            assert ran.told["serving"]["app"] == "blog"
