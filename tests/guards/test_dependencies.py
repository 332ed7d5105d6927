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


PINNED = {name: (tree.ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-dev.txt")}
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


@pytest.mark.parametrize("name", PINNED)
def test_every_package_is_pinned_with_its_hashes_and_no_address(name: str) -> None:
    text = PINNED[name]
    packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(PIN.findall(text)) == len(packages) > 30
    assert re.match(r"# Made on 20\d\d-\d\d-\d\d ", text)
    assert not re.search(r"https?:|file:|--index|--find", text)


@pytest.mark.parametrize("file", PINNED)
def test_what_the_project_asks_for_is_pinned_within_its_bounds(file: str) -> None:
    pinned = {name: version for name, version, _ in PIN.findall(PINNED[file])}
    extra = tomllib.loads(TEXT)["project"]["optional-dependencies"]["dev"] if "dev" in file else []
    bounds = BOUNDS | dict(re.split(r">=", one.partition(",")[0]) for one in extra)
    assert {name: pinned.get(name) for name, least in bounds.items() if parts(pinned.get(name, "")) < parts(least)} == {}
