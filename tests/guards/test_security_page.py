"""docs/security.md promises nothing that no test keeps, and no page has the marks of a merge left in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guards.tree import ROOT, functions

LINES = [line for line in (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
         if line.startswith("| ") and not line.startswith("| can or cannot |")]


@pytest.mark.parametrize("line", LINES)
def test_each_line_names_tests_that_exist(line: str) -> None:
    named = re.findall(r"`(\S+\.py)::(test_\w+)`", line.rsplit("|", 2)[1])
    assert named, "the last column names at least one test, as `unit/test_x.py::test_y`"
    for file, test in named:
        assert test in {function.name for function in functions(ROOT / "tests" / file)}, f"tests/{file} has no {test}"


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_no_page_has_the_marks_of_a_merge_left_in_it(path: Path) -> None:
    assert re.findall(r"^(?:<{7}|>{7}) .*$", path.read_text(encoding="utf-8"), re.M) == []
