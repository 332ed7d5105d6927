"""Files and programs that others may write to: nothing of theirs runs with our rights, and a rollback still works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.effects.haproxy.process import find_binary
from tests.e2e.cli import Cli, home_of_a_person

STRANGER = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be robbed of its rights here")


def recorder(path: Path, to: Path, program: str = "") -> Path:
    """Write a program that tells in `to` that it was started, and goes on as another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$(id -u) $@" >> {to}\n' + (f'exec {program} "$@"\n' if program else ""))
    path.chmod(0o755)
    return path


def name_binary(home: Path, binary: Path) -> Path:
    """Let server.toml name that HAProxy."""
    file = home / "config/server.toml"
    kept = file.read_text().partition("[haproxy]")[0]
    file.write_text(f'{kept}[haproxy]\nbinary = "{binary}"\n')
    return file


@pytest.fixture
def town(engine_url: str, images: None) -> Iterator[Cli]:
    """v2 of shop serves after v1, which is warm."""
    with home_of_a_person(engine_url) as found:
        found.serving("shop", "v1")
        found.do("upgrade", "shop", "v2")
        yield found


def test_a_program_that_a_stranger_wrote_into_server_toml_never_runs_and_going_back_works(town: Cli) -> None:
    run_by, file = town.home / "runs", town.home / "config/server.toml"
    file.chmod(0o666)
    evil = recorder(town.home / "evil/haproxy", run_by)
    name_binary(town.home, evil)  # as anybody on the machine could
    with town.visitors("shop") as visitors:
        seen = town.do("status", "shop")
        assert seen["proxy"] is None
        assert any(f"{file} is writable by everybody" in one for one in seen["warnings"])
        told = town.do("rollback", "shop")
        assert (told["to"], town.get("shop").version) == ("v1", "v1")
        assert any(f"{file} is writable by everybody" in one for one in told["warnings"])
        assert town.do("undo", "shop")["to"] == town.get("shop").version == "v2"
        for words in (("upgrade", "shop", "v3"), ("doctor",), ("reconcile",), ("start", "shop", "v3"), ("serve", "--no-web")):
            ran = town.refused(8, *words)
            assert ran.told["error"]["remedy"] == [f"chmod go-w {file}"]
    assert visitors.count.lost == 0
    assert not run_by.exists(), run_by.read_text()


@pytest.mark.parametrize("spoil", ["the program", "its folder", "its owner"])
def test_a_program_that_others_may_change_is_not_started_although_the_file_is_ours(
    engine_url: str, images: None, spoil: str
) -> None:
    with home_of_a_person(engine_url) as town:
        run_by = town.home / "runs"
        binary = recorder(town.home / "bin/haproxy", run_by, find_binary(ServerSpec())[0])
        name_binary(town.home, binary)
        town.serving("shop", "v1")
        town.do("upgrade", "shop", "v2")
        assert run_by.exists(), "a program of ours is started"
        if spoil == "its owner":
            os.chown(binary, STRANGER, STRANGER)
        else:
            (binary if spoil == "the program" else binary.parent).chmod(0o777)
        run_by.unlink()
        assert town.do("status", "shop")["warnings"]
        assert town.do("rollback", "shop")["to"] == town.get("shop").version == "v1"
        pid = int((town.home / "state/haproxy/haproxy.pid").read_text())
        (town.home / "state/haproxy/haproxy.sock").unlink()
        os.kill(pid, 9)
        assert f"{binary} was not started" in str(town.do("status", "shop")["proxy"])
        assert not run_by.exists(), run_by.read_text()


def test_a_home_of_strangers_that_is_named_is_refused_as_one_that_is_found(town: Cli, tmp_path: Path) -> None:
    (town.home / "config").chmod(0o777)
    assert town.refused(8, "upgrade", "shop", "v3").told["error"]["code"] == "writable_by_others"
    found = subprocess.run([sys.executable, "-m", "deployctl", "-o", "json", "upgrade", "shop", "v3"], cwd=town.home,
                           capture_output=True, text=True, check=False, timeout=60)
    assert (found.returncode, f"chmod go-w {town.home}/config" in found.stdout) == (8, True)


def test_a_helper_that_a_stranger_put_into_the_path_gives_no_login(town: Cli, tmp_path: Path) -> None:
    run_by, bin_, docker = tmp_path / "runs", tmp_path / "bin", tmp_path / "docker"
    recorder(bin_ / "docker-credential-vault", run_by)
    bin_.chmod(0o777)
    docker.mkdir()
    (docker / "config.json").write_text('{"credsStore": "vault"}')
    server = town.home / "config/server.toml"
    server.write_text(f'registries = ["localhost:9"]\n{server.read_text()}')
    env = {"PATH": f"{bin_}:{os.environ['PATH']}", "DOCKER_CONFIG": str(docker)}
    town.run("upgrade", "shop", "nothing", "--image", "localhost:9/none", env=env)
    assert not run_by.exists(), run_by.read_text()
    bin_.chmod(0o755)
    ran = town.run("upgrade", "shop", "nothing", "--image", "localhost:9/none", env=env)
    assert run_by.exists(), ran.out


def test_an_ip_of_a_stranger_in_the_path_is_passed_over(engine_url: str, images: None, tmp_path: Path) -> None:
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    run_by = tmp_path / "runs"
    recorder(tmp_path / "bin/ip", run_by)
    (tmp_path / "bin").chmod(0o777)
    with home_of_a_person(engine_url) as town:
        town.write("shop")
        town.do("upgrade", "shop", "v1", env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
        assert town.get("shop").version == "v1"
    assert not run_by.exists(), run_by.read_text()
