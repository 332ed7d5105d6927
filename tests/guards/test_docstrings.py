"""A module opens with its law; a docstring is a promise; what the code already says is not said twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.guards import tree

SELF_EVIDENT = 20  # lines that a public function may have before it must promise something
FEW_METHODS = 2

FILES = tree.python_files(*tree.PRODUCT)


def public_things(path: Path) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield public functions and classes of the module, and public methods of classes that are no Protocols."""
    for node in tree.parsed(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not _is_protocol(node):
            yield from _methods(node)


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [m for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)


def owes_a_promise(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """What a Protocol has promised already need not be said again by those who keep it."""
    if isinstance(node, ast.ClassDef):
        own = [method for method in _methods(node) if method.name not in promised_by_ports()]
        return len(own) > FEW_METHODS and not _is_error(node) and not _is_protocol(node)
    return tree.lines_of(node) > SELF_EVIDENT and node.name not in promised_by_ports()


@cache
def promised_by_ports() -> set[str]:
    files = [path for path in FILES if tree.module_name(path).startswith("ports")]
    ports = [node for path in files for node in tree.parsed(path).body if isinstance(node, ast.ClassDef)]
    return {method.name for port in ports if _is_protocol(port) for method in _methods(port)}


def _is_error(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id.endswith("Error") for base in node.bases)


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_a_module_opens_with_its_law(path: Path) -> None:
    assert ast.get_docstring(tree.parsed(path)), f"{path.relative_to(tree.ROOT)} does not say what holds in it"


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_what_is_public_and_long_promises_something(path: Path) -> None:
    silent = [node for node in public_things(path) if owes_a_promise(node) and not ast.get_docstring(node)]
    assert [f"{tree.place(path, node)} {node.name}" for node in silent] == []


@pytest.mark.parametrize("path", FILES, ids=tree.module_name)
def test_a_docstring_does_more_than_repeat_the_name(path: Path) -> None:
    for node in public_things(path):
        said = (ast.get_docstring(node) or "a promise").lower().rstrip(".").split()
        named = node.name.lower().split("_")
        assert [word for word in said if word not in {"the", "a", "an"}] != named, tree.place(path, node)
