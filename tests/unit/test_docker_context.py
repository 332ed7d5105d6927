"""The engine of the `docker` command is named if it is another one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from deployctl.effects.docker.context import find_other_context

HERE = "unix:///var/run/docker.sock"
ROOTLESS = "unix:///run/user/1000/docker.sock"


def write(folder: Path, name: str, host: str | None) -> None:
    meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoints = {} if host is None else {"docker": {"Host": host, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.mark.parametrize(("name", "host", "told"), [
    ("rootless", ROOTLESS, f"rootless, {ROOTLESS}"),
    ("same", HERE, None),
    ("default", ROOTLESS, None),
    ("odd", None, "odd, its own engine"),
])
def test_the_current_context_is_told_when_it_means_another_engine(tmp_path: Path, name: str, host: str | None,
                                                                  told: str | None) -> None:
    write(tmp_path / ".docker", name, host)
    assert find_other_context({"HOME": str(tmp_path)}, HERE) == told
    assert find_other_context({"DOCKER_CONFIG": str(tmp_path / ".docker")}, HERE) == told
    assert find_other_context({"HOME": str(tmp_path), "DOCKER_HOST": HERE}, HERE) is None


def test_the_environment_may_name_the_context(tmp_path: Path) -> None:
    write(tmp_path / ".docker", "rootless", ROOTLESS)
    (tmp_path / ".docker/config.json").unlink()
    assert find_other_context({"HOME": str(tmp_path)}, HERE) is None
    assert find_other_context({"HOME": str(tmp_path), "DOCKER_CONTEXT": "rootless"}, HERE) == f"rootless, {ROOTLESS}"


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"currentContext": 7}', '{"currentContext": "../../gone"}'])
def test_files_that_say_nothing_are_no_trouble(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    found = find_other_context({"DOCKER_CONFIG": str(tmp_path)}, HERE)
    assert found is None or found.startswith("../../gone")
