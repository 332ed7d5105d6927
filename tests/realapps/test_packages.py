"""What people download: the wheel and the sdist install beside nothing else, and run the demo from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards import tree

pytestmark = pytest.mark.realapps
LONG = 600  # seconds for what the network or an engine may make slow


def succeed(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with our dependencies, by their hashes, and nothing of ours."""
    folder = tmp_path_factory.mktemp("packages")
    succeed(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = (folder / "venv/bin/python", "-m", "pip", "install", "-q")
    succeed(*pip, "--require-hashes", "-r", tree.ROOT / "requirements.txt", cwd=folder)
    return folder


@pytest.fixture(params=["wheel", "sdist"])
def installed(request: pytest.FixtureRequest, environment: Path) -> Path:
    dist = environment / str(request.param)
    succeed(sys.executable, "-m", "hatchling", "build", "-t", request.param, "-d", dist, cwd=tree.ROOT)
    (package,) = dist.iterdir()
    pip = (environment / "venv/bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation")
    succeed(*pip, "--force-reinstall", package, cwd=environment)
    return environment


@pytest.fixture
def demo(installed: Path, tmp_path: Path, engine_url: str) -> Iterator[tuple[list[str], Path, dict[str, str]]]:
    """Yield the command, an empty folder and an environment whose data folder is ours; what the demo left is ended."""
    command = [str(installed / "venv/bin/deployctl"), "demo"]
    folder = tmp_path / "empty"
    folder.mkdir()
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "DOCKER_HOST": engine_url}
    try:
        yield command, folder, env
    finally:
        subprocess.run([*command, "--stop"], cwd=folder, env=env, check=False, timeout=LONG, capture_output=True)


def test_the_demo_runs_from_an_empty_folder_and_leaves_nothing(demo: tuple[list[str], Path, dict[str, str]]) -> None:
    command, folder, env = demo
    told = succeed(*command, cwd=folder, env=env)
    assert "0 lost" in told
    assert [*folder.iterdir()] == []
    succeed(*command, "--stop", cwd=folder, env=env)
    assert not Path(env["XDG_DATA_HOME"], "deployctl/demo").exists()
