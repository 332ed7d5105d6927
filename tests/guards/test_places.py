"""The checkout speaks of itself only: no machine's paths, no home folders, no package indexes, no loose ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tests.guards import tree

# A class of one character keeps a pattern from finding itself.
ELSEWHERE = re.compile(
    r"/hom[e]/(?!app\b|user\b|you\b)\w+/"
    r"|/User[s]/\w+/"
    r"|\b(?:pyp[i]\.org|pythonhoste[d]\.org|de[b]\.debian\.org|registr[y]\.npmjs\.org|crate[s]\.io)\b"
)
LOOSE_END = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
NOT_OURS = {"LICENSE"}


def found(pattern: re.Pattern[str]) -> list[str]:
    texts = ((path.relative_to(tree.ROOT), text) for path, text in tree.written_files() if path.name not in NOT_OURS)
    return [f"{where}: {match[0]}" for where, text in texts for match in pattern.finditer(text)]


def test_no_file_names_a_place_outside_the_checkout() -> None:
    assert found(ELSEWHERE) == []


def test_no_file_names_the_folder_it_was_written_in() -> None:
    """Only told where the folder cannot be meant otherwise: `/app` may be a container's folder in any test."""
    if len(tree.ROOT.parts) > 2:
        assert found(re.compile(re.escape(str(tree.ROOT)) + r"\b")) == []


def test_nothing_is_left_for_later() -> None:
    assert found(LOOSE_END) == []


def test_every_page_that_is_named_exists() -> None:
    named = re.compile(r"(?<![\w/])docs/[\w/-]+\.md\b")
    assert [where for where in found(named) if not (tree.ROOT / where.rpartition(": ")[2]).is_file()] == []


def test_what_people_run_is_executable() -> None:
    scripts = [*(tree.ROOT / "bin").iterdir(), tree.ROOT / ".ci/run"]
    assert [path.name for path in scripts if not _is_executable(path)] == []


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100) and path.read_text().startswith("#!")


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder], ids=["wheel", "sdist"])
def test_every_file_is_packed(builder: type[WheelBuilder | SdistBuilder]) -> None:
    """What a wheel leaves out is missed only where it was installed from one."""
    needed = {path for folder in tree.PRODUCT for path in (tree.ROOT / folder).rglob("*")
              if path.is_file() and "__pycache__" not in path.parts}
    packed = {Path(one.path).resolve() for one in builder(str(tree.ROOT)).recurse_included_files()}
    assert needed
    assert needed - packed == set()


def test_the_long_run_sets_every_switch_that_a_test_asks_for() -> None:
    asked = {name for path in tree.python_files("tests") for name in re.findall(r"DEPLOYCTL_\w*LONG\b", path.read_text())}
    long_run = (tree.ROOT / "bin/test").read_text().partition('= --all ]')[2].partition("fi")[0]
    assert asked == set(re.findall(r"(DEPLOYCTL_\w*LONG)=1", long_run))
