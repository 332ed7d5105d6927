"""Packages come as layers, or not at all: what cannot be had is named, and never taken for success."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.realapps.conftest import give_up
from tests.realapps.wheels import PACKAGES, Unobtainable, host_layer, package_layer

pytestmark = pytest.mark.realapps
NOWHERE = "no-such-package-of-ours==1.2.3"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let pip look into one empty folder only."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def write_wheel(folder: Path, name: str, version: str) -> None:
    info, named = f"{name}-{version}.dist-info", f"Name: {name}\nVersion: {version}\n"
    files = {
        f"{name}/__init__.py": "HERE = __file__\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\n{named}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": "".join(f"{path},,\n" for path in files)}.items():
            wheel.writestr(path, text)


def test_a_package_that_cannot_be_had_is_named_and_leaves_nothing_in_the_cache(offline: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(Unobtainable, match=NOWHERE):
        package_layer((NOWHERE,), cache)
    assert list(cache.iterdir()) == []


def test_a_layer_is_fetched_once_and_is_the_same_afterwards(offline: Path, tmp_path: Path) -> None:
    write_wheel(offline, "tiny", "1.0")
    first = package_layer(("tiny==1.0",), tmp_path / "cache")
    (offline / "tiny-1.0-py3-none-any.whl").unlink()
    assert package_layer(("tiny==1.0",), tmp_path / "cache").diff_id == first.diff_id
    with tarfile.open(fileobj=io.BytesIO(first.tar)) as tar:
        names = set(tar.getnames())
    inside = PACKAGES.strip("/")
    assert {f"{inside}/tiny/__init__.py", f"{inside}/tiny-1.0.dist-info/METADATA"} <= names
    assert any(name.endswith(".pyc") for name in names), "not compiled: every start of a container would do it again"


def test_what_every_wheel_may_take_for_granted_is_in_the_image() -> None:
    with tarfile.open(fileobj=io.BytesIO(host_layer().tar)) as tar:
        names = {Path(name).name for name in tar.getnames()}
    assert {"libc.so.6", "libm.so.6"} <= names


ENDS = [pytest.param("true", pytest.fail.Exception, id="CI"), pytest.param("", pytest.skip.Exception, id="elsewhere")]


@pytest.mark.parametrize(("ci", "ends"), ENDS)
def test_what_cannot_be_had_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, ends: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(ends, match="no wheel"):
        give_up("no wheel")
