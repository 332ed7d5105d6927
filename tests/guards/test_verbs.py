"""A verb is written once: in its row of deployctl/verbs. No other module lists verbs, or has a function for each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deployctl.verbs.table import VERBS, routes
from tests.guards import tree

MOST = 2  # verbs in one literal: a pair is an answer to two questions, three are a list of them
# Where names of verbs stand together and mean something else.
NOT_A_LIST_OF_VERBS: dict[str, str] = {
    "cli.rendering.error": "how the next command of an error is introduced",
    "cli.rendering.release": "kinds of a past change, with those that no verb made",
    "deployctl_web.pages.activity": "kinds of events that the page filters by",
}
OFFERED = frozenset(routes())
IN_COMMON_USE = {"start", "stop"}  # names of functions about other things, too


def literals(path: Path) -> list[tuple[str, set[str]]]:
    """Return every literal collection of that file with the verbs in it that API and dashboard offer, too."""
    found = []
    for node in ast.walk(tree.parsed(path)):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Set | ast.Tuple | ast.List | ast.Dict):
            parts = [*(node.keys if isinstance(node, ast.Dict) else node.elts)]
        texts = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
        found.append((f"line {getattr(node, 'lineno', 0)}", texts & OFFERED))
    return found


@pytest.mark.parametrize("path", [path for path in tree.python_files(*tree.PRODUCT) if path.parent.name != "verbs"],
                         ids=tree.module_name)
def test_no_other_module_lists_verbs(path: Path) -> None:
    if tree.module_name(path) in NOT_A_LIST_OF_VERBS:
        return
    assert not [(place, sorted(verbs)) for place, verbs in literals(path) if len(verbs) > MOST]


@pytest.mark.parametrize("path", tree.python_files("deployctl/cli", "web"), ids=tree.module_name)
def test_no_surface_has_a_function_for_a_verb_that_changes_an_app(path: Path) -> None:
    names = {name.replace(" ", "_") for name, verb in VERBS.items() if verb.does}
    named = {node.name for node in tree.parsed(path).body if isinstance(node, ast.FunctionDef)}
    assert not named & {*(names - IN_COMMON_USE), *(f"{name}_command" for name in names)}


def test_a_list_of_verbs_is_seen(tmp_path: Path) -> None:
    written = tmp_path / "module.py"
    written.write_text('KNOWN = {"rollback", "undo", "stop"}\nTWO = {"rollback": 1, "undo": 2}\n', encoding="utf-8")
    assert [len(verbs) for _, verbs in literals(written) if verbs] == [3, 2]
