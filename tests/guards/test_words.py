"""One word, one meaning. The words that the glossary leaves out name nothing, neither in code nor in help texts.

A release has a role (candidate, active, standby), never an age or a hope: `new` and `old` change sides at the cut-over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.guards import tree

# "target" means one thing here, the release that a traffic switch goes to (docs/glossary.md), so it may be a name.
LEFT_OUT = {"service", "stage", "stable"}  # an age alone may be a name: `new_password`, `current`
AGES = {"new", "old", "newer", "older", "current", "previous", "prev", "next", "stable", "latest"}
THINGS = {"release", "version", "instance", "container", "backend", "slot", "image"}

OUTER_WORDS = ("deployctl/effects/", "deployctl/demo/",  # a link, a request and a process have targets of their own
               "deployctl/domain/compose/")  # a Compose project consists of services
SHOWN_TO_PEOPLE = ("deployctl/cli", "web")

SPLIT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
IN_TEXT = re.compile(
    rf"\b(?:new|old|current|previous|stable) (?:{'|'.join(sorted(THINGS))})s?\b"
    r"|\b(?:the|a|this|each) (?:service|target|stage)\b",
    re.IGNORECASE,
)


def names(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield every name that this file gives to something: functions, classes, arguments, variables, fields."""
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node
        elif isinstance(node, ast.arg):
            yield node.arg, node
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node


def is_left_out(name: str) -> bool:
    """Tell whether it is one of the words alone, or gives an age to something that has a role."""
    if name.startswith("__"):  # Python's own
        return False
    words = [word.lower() for word in SPLIT.findall(name)]
    aged = any(first in AGES and second in THINGS for first, second in pairwise(words))
    return aged or (len(words) == 1 and words[0] in LEFT_OUT)


def help_texts(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield what people read: `help=` and the docstrings of functions and commands."""
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.keyword) and node.arg in {"help", "short_help", "epilog"}:
            parts = [part for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            yield from ((part.value, part) for part in parts if isinstance(part.value, str))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
            yield text, node


def test_no_name_uses_a_word_that_was_left_out() -> None:
    every = [(path, *found) for path in tree.python_files(*tree.PRODUCT) for found in names(path)]
    places = [f"{tree.place(path, node)} {name}" for path, name, node in every if is_left_out(name)]
    assert [place for place in places if not place.startswith(OUTER_WORDS)] == []


def test_no_help_text_uses_a_word_that_was_left_out() -> None:
    every = [(path, *found) for path in tree.python_files(*SHOWN_TO_PEOPLE) for found in help_texts(path)]
    found = [(path, node, match[0]) for path, text, node in every for match in IN_TEXT.finditer(text)]
    assert [f"{tree.place(path, node)} {words}" for path, node, words in found] == []


@pytest.mark.parametrize("name", ["_previous_image", "new_release", "oldVersion", "PreviousInstance", "Service"])
def test_the_check_sees_a_name_that_was_left_out(name: str) -> None:
    assert is_left_out(name)


@pytest.mark.parametrize("name", ["candidate", "Services", "renew", "old_umask", "current", "service_unit", "newest_proven"])
def test_the_check_lets_other_names_pass(name: str) -> None:
    assert not is_left_out(name)
