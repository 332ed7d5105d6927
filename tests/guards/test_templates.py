"""Templates are read in diffs: one element a line, and no line that a screen cannot show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guards import tree

TEMPLATES = sorted((tree.ROOT / "web/deployctl_web/templates").glob("*.html"))
LONGEST_LINE = 160
OPENED = re.compile(r"<(?:article|details|div|dl|footer|form|header|li|main|nav|ol|section|table|tbody|thead|tr|ul)\b")


def test_there_are_templates() -> None:
    assert len(TEMPLATES) > 20


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_one_element_a_line(path: Path) -> None:
    lines = list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    assert [number for number, line in lines if len(line) > LONGEST_LINE] == []
    assert [number for number, line in lines if len(OPENED.findall(line)) > 1] == []
