"""docs/architecture.md names nothing that is not there: a map with wrong places is worse than none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.guards import tree

PAGE = tree.ROOT / "docs/architecture.md"
ROOMS = ("deployctl", "web", "tests", "bench", "bin", "config", "docs")
NAMED = sorted(set(re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./-]*(?:::[\w.]+)?)`", PAGE.read_text(encoding="utf-8"))))
MANY = 60  # a pattern that finds nothing would pass every test


def definitions(path: Path) -> set[str]:
    """Return the functions and classes of that module, methods and fields as `Class.name`."""
    found = set[str]()
    for node in tree.parsed(path).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def why_missing(named: str) -> str | None:
    place, _, name = named.partition("::")
    path = tree.ROOT / place
    if not path.exists():
        return f"there is no {place}"
    if not name:
        return None
    if path.suffix == ".py":
        there = name in definitions(path)
    else:
        there = re.search(rf"\bfunction {name}\b", path.read_text(encoding="utf-8")) is not None
    return None if there else f"{place} has no {name}"


@pytest.mark.parametrize("named", NAMED)
def test_every_place_that_the_map_names_exists(named: str) -> None:
    assert why_missing(named) is None


def test_the_map_names_many_places_and_every_room() -> None:
    assert len(NAMED) > MANY
    rooms = {path.parent for path in tree.python_files("deployctl") if path.parent.parent == tree.ROOT / "deployctl"}
    text = PAGE.read_text(encoding="utf-8")
    assert [room.name for room in rooms if f"`deployctl/{room.name}/`" not in text] == []


def test_a_place_that_is_not_there_is_seen() -> None:
    assert why_missing("deployctl/nowhere.py")
    assert why_missing("deployctl/errors.py::NoSuchError")
    assert why_missing("deployctl/errors.py::DeployctlError") is None
