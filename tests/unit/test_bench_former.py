"""Scripts of the benchmarks that either build runs: each module that they import is there under its name of then."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import former
from bench.growth import apps, kept, reloads, work

SCRIPTS = {"many": apps.FILL.read_text(), "kept": kept._DRIVER, "reloads": reloads._DRIVER, "work": work._DRIVER}


def imported(text: str) -> set[str]:
    """Return the modules of ours that are imported at the top: what stands inside a condition is of one build only."""
    return set(re.findall(r"^from (deployctl[\w.]*) import", text, re.MULTILINE))


def has(build: Path, module: str) -> bool:
    path = build / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_former_build_has_every_module_that_a_script_imports(name: str, former_build: Path) -> None:
    wanted = imported(former.script(former_build, SCRIPTS[name]))
    assert wanted
    assert {module for module in wanted if not has(former_build, module)} == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_this_build_runs_a_script_as_it_is_written(name: str) -> None:
    assert former.script(former.ROOT, SCRIPTS[name]) == SCRIPTS[name]
    assert {module for module in imported(SCRIPTS[name]) if not has(former.ROOT, module)} == set()
