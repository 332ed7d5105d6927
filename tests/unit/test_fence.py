"""Who lost the lease changes nothing more, whatever method he calls."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.errors import LeaseHeld
from deployctl.execution import fence
from deployctl.ports import Engine, Guard, Ledger, Traffic
from tests.unit.world import World, world

PORTS = [("engine", Engine, fence.ENGINE), ("traffic", Traffic, fence.TRAFFIC), ("guard", Guard, fence.GUARD),
         ("ledger", Ledger, fence.FENCED_LEDGER_CALLS)]
READS = {
    "engine": {"info", "find_image", "networks", "volumes", "find_container", "containers", "logs", "execute", "events",
               "usage", "inside", "read_file", "kept_tags", "list_images", "registry_digest", "homes", "require_store",
               "volume_sizes"},
    "traffic": {"routes", "counters", "in_flight", "drift", "pid", "notes", "strays", "dropped_fronts", "frailties",
                "ask", "refusals", "queues", "queue_lack"},
    "guard": {"bridge_up", "has_interface", "routed_subnets", "port_taken", "has_address", "listening", "guarded",
              "may_pin", "neighbours", "held"},
}
UNFENCED = {
    "engine": {"pull_image"},  # an image more on the server harms nobody, and a pull may take minutes
    # repair without a switch; end of a home; after the ledger has it
    "traffic": {"ensure_up", "stop", "forget_notes"},
    "guard": set(),
}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def took_over() -> None:
    raise LeaseHeld("the lease was taken over")


def methods(port: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(("name", "port", "changes"), PORTS[:3], ids=lambda value: value if isinstance(value, str) else "")
def test_a_new_method_of_a_port_is_either_fenced_or_known_to_be_harmless(name: str, port: type, changes: set[str]) -> None:
    assert methods(port) - READS[name] - UNFENCED[name] == set(changes)


@pytest.mark.parametrize(("name", "port", "changes"), PORTS, ids=lambda value: value if isinstance(value, str) else "")
def test_no_change_is_made_without_the_lease(name: str, port: type, changes: set[str], w: World) -> None:
    w.upgraded("v1")
    before = w.everything()
    behind: Any = getattr(fence.fenced(w.s, took_over), name)
    for change in sorted(changes):
        words = list(inspect.signature(getattr(port, change)).parameters.values())[1:]
        given = [None for word in words if word.kind is word.POSITIONAL_OR_KEYWORD]
        named = {word.name: None for word in words if word.kind is word.KEYWORD_ONLY}
        with pytest.raises(LeaseHeld):
            getattr(behind, change)(*given, **named)
    assert w.everything() == before


def test_what_only_looks_is_not_kept_from_looking(w: World) -> None:
    w.upgraded("v1")
    behind = fence.fenced(w.s, took_over)
    assert behind.engine.containers()
    assert behind.traffic.routes()
    assert behind.ledger.apps()
