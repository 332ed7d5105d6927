"""No dependency may be of a version with a published advisory: the lower bounds of pyproject.toml exclude them.

A bound is raised here, with its advisory in pyproject.toml, when one is published.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest

from tests.guards import tree
from tests.guards.test_layers import LIBRARIES

FIXED = {"flask": "3.1.3", "jinja2": "3.1.6", "requests": "2.33.0", "urllib3": "2.8.0", "waitress": "3.0.1",
         "werkzeug": "3.1.6"}
PACKAGE = {"argon2": "argon2-cffi", "pydantic_core": "pydantic"}  # where a library is not called as its package
TEXT = (tree.ROOT / "pyproject.toml").read_text(encoding="utf-8")
BOUNDS = dict(re.split(r">=", one.partition(",")[0]) for one in tomllib.loads(TEXT)["project"]["dependencies"])


def parts(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


@pytest.mark.parametrize("name", FIXED)
def test_a_lower_bound_excludes_versions_with_known_advisories(name: str) -> None:
    assert parts(BOUNDS[name]) >= parts(FIXED[name])
    assert re.search(rf'"{name}>=[^"]+",  +# .*(?:GHSA|CVE)-', TEXT), "the line names the advisory"


@pytest.mark.parametrize("name", BOUNDS)
def test_what_is_installed_here_keeps_the_bound(name: str) -> None:
    assert parts(version(name)) >= parts(BOUNDS[name])


def test_every_library_that_is_imported_is_asked_for_by_name() -> None:
    asked = {name.replace("-", "_") for name in BOUNDS}
    assert {PACKAGE.get(name, name).replace("-", "_") for name in LIBRARIES} - asked == set()
