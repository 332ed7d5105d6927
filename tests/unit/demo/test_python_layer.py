"""What goes into the layer of the running Python. tests/integration shows that it runs in a container."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deployctl.demo import python_layer as module
from deployctl.demo.python_layer import PYTHON, loadable, python_layer


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


@pytest.fixture(scope="module")
def names(cache: Path) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(python_layer(cache).tar)) as tar:
        return set(tar.getnames())


def test_two_caches_hold_the_same_layer(cache: Path, tmp_path: Path) -> None:
    assert python_layer(cache).diff_id == python_layer(tmp_path).diff_id


def test_a_kept_layer_is_read_and_not_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = python_layer(cache)
    monkeypatch.setattr(module, "_files", lambda: pytest.fail("it was made again"))
    assert python_layer(cache).diff_id == kept.diff_id
    assert [path.suffix for path in cache.iterdir()] == [".tar"]


def test_the_layer_holds_an_interpreter_a_loader_and_no_tests(names: set[str]) -> None:
    assert PYTHON.lstrip("/") in names
    assert any("/ld-" in f"/{name}" and ".so" in name for name in names)
    assert any(name.endswith("/json/decoder.pyc") for name in names)
    stdlib = str(module._stdlib()).lstrip("/")
    inside = {name.removeprefix(f"{stdlib}/").split("/")[0] for name in names if name.startswith(stdlib)}
    assert not inside & {"test", "idlelib", "tkinter", "ensurepip", "site-packages", "dist-packages", "__pycache__"}
    assert not [name for name in names if name.endswith(".py")]


def test_a_venv_gives_the_layer_of_the_python_below_it(cache: Path) -> None:
    assert str(module._interpreter()).startswith(str(Path(sys.base_prefix).resolve()))
    assert module._stdlib().is_dir()


def test_bytecode_is_compiled_when_the_host_keeps_none(tmp_path: Path) -> None:
    source = tmp_path / "greet.py"
    source.write_text("print('hello from bytecode')\n")
    assert module._kept_code(source) is None
    (tmp_path / "greet.pyc").write_bytes(module._bytecode(source))
    source.unlink()
    ran = subprocess.run([sys.executable, str(tmp_path / "greet.pyc")], capture_output=True, text=True, check=True)
    assert ran.stdout == "hello from bytecode\n"


def test_bytecode_of_an_edited_source_is_not_taken_over(tmp_path: Path) -> None:
    source = tmp_path / "greet.py"
    source.write_text("print('one')\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(source)], check=True)
    assert module._kept_code(source) is not None
    source.write_text("print('another')\n")
    assert module._kept_code(source) is None


def test_a_program_without_its_debug_sections_still_runs(tmp_path: Path) -> None:
    slim = tmp_path / "python"
    slim.write_bytes(loadable(module._interpreter().read_bytes()))
    slim.chmod(0o755)
    ran = subprocess.run([slim, "-I", "-c", "print(6 * 7)"], capture_output=True, text=True, check=True,
                         env={"PYTHONHOME": sys.base_prefix})  # fmt: skip
    assert ran.stdout == "42\n"


def test_what_is_no_program_is_left_as_it_is() -> None:
    assert loadable(b"#!/bin/sh\n") == b"#!/bin/sh\n"
