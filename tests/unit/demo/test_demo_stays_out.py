"""Who does not run the demo does not pay for it: no module outside imports it while starting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import deployctl

PACKAGE = Path(deployctl.__file__).parent
OUTSIDE = [path for path in sorted(PACKAGE.rglob("*.py")) if "demo" not in path.relative_to(PACKAGE).parts]


def top_imports(source: str) -> Iterator[str]:
    """Yield what is imported outside functions."""
    waiting: list[ast.AST] = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_the_demo_while_starting(path: Path) -> None:
    found = [name for name in top_imports(path.read_text()) if f"{name}.".startswith("deployctl.demo.")]
    assert found == []


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("from deployctl.demo.visitors import Visitors", True),
        ("from deployctl import demo", True),
        ("if x:\n    import deployctl.demo", True),
        ("def go():\n    from deployctl.demo import webapp", False),
        ("from deployctl.demography import x", False),
    ],
)
def test_the_check_sees_an_import_however_it_is_written(source: str, *, seen: bool) -> None:
    assert any(f"{name}.".startswith("deployctl.demo.") for name in top_imports(source)) is seen
