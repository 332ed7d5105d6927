"""The command line about an app of several components: plans by component, each with its spec and its health."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.cli.rendering.change import preview_text
from deployctl.cli.rendering.release import show_text
from deployctl.cli.rendering.status import status_text
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import ComponentName, Version
from deployctl.usecases.change.rollback import preview_rollback
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from deployctl.usecases.views import as_json
from tests.unit.cli_results import PIPE
from tests.unit.world import SHOP, World, world

COMPONENTS: dict[str, Any] = {
    "api": {"port": 9000, "command": ["api"], "env": {"API_TOKEN": "hunter2"}},
    "worker": {"command": ["work"], "needs": {"api": "healthy"}, "health": {"uptime": "1s"}},
}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(components=COMPONENTS, needs={"api": "healthy"})
        yield made.upgraded("v1")


def begins(lines: list[str]) -> list[str]:
    """Return the steps and the names above them, without what the steps say."""
    found = (re.match(r"\s+(?:(\d+)\. (Hand over|\w+)|(\w+)$)", line) for line in lines)
    return [one[3] or f"{one[1]} {one[2]}" for one in found if one]


def test_a_plan_is_told_by_component_and_numbered_in_the_order_of_its_steps(w: World) -> None:
    assert begins(preview_text(preview_upgrade(SHOP, Version("v2"), w.s), PIPE)) == [
        "4 Network", "api", "1 Image", "5 Create", "8 Start", "9 Health", "web", "2 Image", "6 Create", "10 Start", "11 Health",
        "worker", "3 Image", "7 Create", "12 Start", "13 Health", "14 Route", "15 Gate", "16 Switch", "17 Promote", "18 Work",
        "19 Rest"]


def test_what_happens_between_two_steps_of_a_component_is_told_between_them(w: World) -> None:
    """While an exclusive component changes hands, requests wait: that is no preparation."""
    cache = {"kind": "exclusive", "port": 6379, "health": {"kind": "tcp"}}
    w.edit(components={"cache": cache}, needs={"cache": "healthy"})
    w.upgrade("v2", confirmed=True)
    told = begins(preview_text(preview_upgrade(SHOP, Version("v3"), w.s), PIPE))
    order = [one.partition(" ")[2] or one for one in told]
    assert order.index("Queue") < order.index("Hand over") < order.index("Switch") < order.index("Resume")
    numbers = [int(one.split()[0]) for one in told if one[0].isdigit()]
    start = next(n for n, one in enumerate(told) if one.endswith("Queue"))
    later = [int(one.split()[0]) for one in told[start:] if one[0].isdigit()]
    assert later == sorted(later)
    assert sorted(numbers) == [*range(1, len(numbers) + 1)]


def test_the_plan_of_a_warm_rollback_keeps_its_order(w: World) -> None:
    w.upgrade("v2")
    assert begins(preview_text(preview_rollback(SHOP, w.s), PIPE)) == [
        "api", "1 Health", "web", "2 Health", "3 Switch", "4 Promote", "5 Work", "6 Rest"]


def test_a_plan_of_one_container_has_no_names_above_its_steps(tmp_path: Path) -> None:
    with world(tmp_path) as plain:
        told = begins(preview_text(preview_upgrade(SHOP, Version("v1"), plain.s), PIPE))
    assert [one for one in told if not one[0].isdigit()] == []
    assert told[0] == "1 Image"


def test_show_has_the_spec_of_each_component(w: World) -> None:
    text = "\n".join(show_text(show(SHOP, Version("v1"), w.s), PIPE))
    for line in ("  api", "  worker", "command  work", "needs    api healthy", "it runs for 1 s, deadline"):
        assert line in text
    assert "hunter2" not in text
    found = as_json(show(SHOP, Version("v1"), w.s))["components"]
    assert [one["name"] for one in found] == ["web", "api", "worker"]
    assert found[2]["needs"] == {"api": "healthy"}


def test_status_tells_the_worst_health_of_the_replicas_of_a_component(w: World) -> None:
    w.edit(replicas=2, components={}, needs={})
    w.upgrade("v2", confirmed=True)
    [web] = as_json(status(w.s, app=SHOP))["apps"][0]["components"]
    assert (web["replicas"], web["health"]) == (2, "passing")
    one = next(i for i in w.ledger.instances(SHOP) if i.id == InstanceId(2, ComponentName("web"), 2))
    assert one.container
    w.engine.ensure_stopped(one.container, grace=1.0)
    view = status(w.s, app=SHOP)
    [web] = as_json(view)["apps"][0]["components"]
    assert (web["replicas"], web["health"]) == (2, "failing")
    assert any(line.strip().startswith("web 2/2") for line in status_text(view, PIPE, one=True))
