"""The README's recipes do what they say, typed as they are printed there; and what it shows is what is printed."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import machine, support
from tests.e2e.cli import Cli, home_of_a_person, wait_until
from tests.guards.tree import ROOT
from tests.recipes import Shell, recipe


@pytest.fixture
def shop(engine_url: str, images: None) -> Iterator[Cli]:
    """shop: v2 is live and v1 its standby."""
    with home_of_a_person(engine_url) as found:
        found.serving("shop", "v1")
        found.do("upgrade", "shop", "v2")
        yield found


def environ(**more: str) -> dict[str, str]:
    return {**{name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}, **more}


def test_an_uninstalled_home_leaves_only_images(shop: Cli, tmp_path: Path) -> None:
    shop.serving("blog", "v3")
    shell, pool = Shell(tmp_path, shop.home), re.search(r'pool = "([^"]+)"', (shop.home / "config/server.toml").read_text())
    (block,) = recipe("Uninstall.")
    done = shell.run(block, environ=environ())
    assert done.returncode == 0, done
    wait_until(lambda: not shop.proxies(), what="HAProxy's end")
    assert shop.objects() == [[], [], []]
    assert not shop.home.exists()
    assert [path for path in shell.root.rglob("*") if path.is_file() or path.name == "deployctl"] == []
    assert pool is not None
    if machine.may_route():
        assert machine.unreachable(inside=pool[1]) == set()


def test_an_update_writes_haproxys_configuration_and_finds_nothing_wrong(shop: Cli, tmp_path: Path) -> None:
    (block,) = recipe("Update deployctl.")
    done = Shell(tmp_path, shop.home).run(block, environ=environ())
    wrong = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert (wrong, done.stderr) == ([], ""), done.stdout
    assert "checks" in done.stdout
    assert (tmp_path / "done").read_text().splitlines() == ["git pull", "systemctl restart deployctl"]
    assert shop.active("shop") == "v2"


def test_a_ci_job_ends_with_0_when_the_version_is_live_and_with_its_reason_else(shop: Cli, tmp_path: Path) -> None:
    (block,) = recipe("A CI job.")
    (line,) = re.findall(r"^ +- (ssh .*)$", block, re.MULTILINE)
    shell = Shell(tmp_path, shop.home)
    done = shell.run(line, environ=environ(CI_COMMIT_TAG="v3", CI_JOB_URL="https://ci.example.com/jobs/7"))
    assert (done.returncode, shop.active("shop")) == (0, "v3"), done
    failed = shell.run(line, environ=environ(CI_COMMIT_TAG="v0", CI_JOB_URL="https://ci.example.com/jobs/8"))
    assert failed.returncode in {3, 7}, failed  # no such image; or nobody who could say so
    assert shop.active("shop") == "v3"
    assert shop.do("history", "shop")["changes"][0]["note"] == "https://ci.example.com/jobs/7"


def test_a_private_registry_is_named_in_the_apps_file_and_its_refusal_changes_nothing(shop: Cli, tmp_path: Path) -> None:
    (block,) = recipe("A private registry.")
    address = f"127.0.0.1:{support.free_port()}"  # where no registry is
    login, init, upgrade = block.replace("registry.example.com", address).replace("shop", "cart").splitlines()
    assert login == f"docker login {address}"
    shell = Shell(tmp_path, shop.home)
    written = shell.run(init, environ=environ())
    assert written.returncode == 0, written
    assert f'image = "{address}/acme/cart"' in (shop.home / "config/cart.toml").read_text()
    failed = shell.run(upgrade, environ=environ())
    assert failed.returncode == 7, failed
    assert shop.containers("cart") == []


def test_what_the_readme_shows_is_what_an_upgrade_and_a_rollback_print(engine_url: str, images: None) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## What it looks like\n")[1]
    shown = re.findall(r"^\$ deployctl (.*)\n((?:[^$`].*\n)+)", text.split("```")[1], re.MULTILINE)
    with home_of_a_person(engine_url) as found:
        found.write("shop")
        for command, printed in shown[1:]:  # init has the path of another home
            ran = found.text(*shlex.split(command))
            assert ran.code == 0, ran
            expected = [without_figures(line) for line in printed.splitlines()]
            assert [without_figures(line) for line in ran.out.splitlines()][: len(expected)] == expected
    assert [command.split()[0] for command, _ in shown] == ["init", "upgrade", "upgrade", "rollback"]


def without_figures(line: str) -> str:
    return re.sub(r"\d+(?:\.\d+)? m?s\b", "N", line)  # a slow machine takes seconds where the README has milliseconds
