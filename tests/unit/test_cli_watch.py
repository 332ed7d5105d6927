"""`reconcile`, `serve` and `install` as they are typed; the unit as systemd reads it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import closing
from pathlib import Path

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, Refused
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.usecases.setup.install import InstallOptions, _linger, install, unit_text
from deployctl.watch.watch import Watch
from tests.unit.cli_world import World, shop, world

SHOP = AppName("shop")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    """shop serves v2, v1 stands by."""
    with shop(tmp_path, "v1", "v2") as made:
        made.clock.sleep(1)
        yield made


def end_active(home: World) -> None:
    home.engine.die(next(c.id for c in home.engine.containers() if c.labels["deployctl.version"] == "v2"))


# -- reconcile -----------------------------------------------------------------------------------------------------
def test_a_dry_run_tells_what_would_be_mended_and_the_verb_does_just_that(two: World) -> None:
    assert two.deployctl("reconcile").out == "✓ No drift. Nothing to do.\n"
    end_active(two)
    sentence = "shop: the container of v2, which is live, does not run: Docker says exited"
    said = two.deployctl("reconcile", "shop", "--dry-run")
    assert (said.code, said.out) == (0, f"! {sentence}\n    Would start it\nNothing was changed.\n")
    assert two.deployctl("reconcile", "--dry-run", "--exit-code").code == 10
    done = two.deployctl("reconcile", "-o", "json")
    [line] = done.json["lines"]
    assert (done.code, done.json["kind"], done.json["ok"], done.json["changed"]) == (0, "Reconcile", True, True)
    assert (line["app"], line["summary"], line["repair"], line["done"]) == ("shop", sentence, "start it", True)
    assert two.deployctl("reconcile", "--dry-run", "--exit-code").code == 0


def test_what_is_left_makes_the_exit_code(two: World) -> None:
    end_active(two)
    with closing(SqliteLedger.open(two.settings.ledger, two.home, now="now")) as ledger:
        ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at="now")
    busy = two.deployctl("reconcile")
    assert busy.code == 6
    assert "shop is busy: jonas (cli) has been running upgrade" in busy.out


def test_each_form_of_the_answer_tells_the_same(two: World) -> None:
    end_active(two)
    table = two.deployctl("reconcile", "--dry-run", "-o", "tsv").out.splitlines()
    assert table[0].split("\t") == ["app", "kind", "done", "repair", "sentence", "why"]
    assert table[1].startswith("shop\tstopped\tno\tstart it\t")
    assert '"kind": "stopped"' in two.deployctl("reconcile", "--dry-run", "-o", "jsonl").out.replace('":"', '": "')


def test_an_app_that_nobody_knows_is_not_found_and_a_flag_alone_is_refused(two: World) -> None:
    assert two.deployctl("reconcile", "nowhere").code == 3
    assert two.deployctl("reconcile", "--exit-code").code == 2


def test_status_names_the_drift_and_the_command_that_mends_it(two: World) -> None:
    assert two.deployctl("status", "-o", "json").json["apps"][0]["drift"] == []
    end_active(two)
    sentence = "shop: the container of v2, which is live, does not run: Docker says exited"
    for words in (("status",), ("status", "shop")):
        assert two.deployctl(*words, "-o", "json").json["apps"][0]["drift"] == [sentence]
        said = two.deployctl(*words).out
        assert said.count(sentence) == 1
        assert "  Fix: deployctl reconcile shop" in said
    two.traffic.edit("haproxy.cfg is missing")
    assert "haproxy.cfg is missing" in two.deployctl("status", "shop").out


# -- serve ---------------------------------------------------------------------------------------------------------
def test_a_watcher_that_gets_a_signal_ends_with_zero(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(watch: Watch, rung: object) -> None:
        assert watch.s.actor == "mara (watcher)"
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "tick", interrupted)
    said = two.deployctl("serve", "--no-web", "-o", "json")
    assert (said.code, said.json["kind"], said.json["changed"]) == (0, "Serve", False)
    assert f"watching 1 app in {two.home}" in said.err


# -- install -------------------------------------------------------------------------------------------------------
def parsed(text: str) -> RawConfigParser:
    found = RawConfigParser(strict=False, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's words are case-sensitive
    found.read_string(text)
    return found


def test_the_unit_outlives_nothing_that_serves(tmp_path: Path) -> None:
    unit = parsed(unit_text(tmp_path, InstallOptions(user=False, python="/opt/python"), {}))["Service"]
    assert unit["Type"] == "exec"
    assert unit["ExecStart"] == f"/opt/python -I -m deployctl --home {tmp_path} serve"
    assert (unit["Restart"], unit["KillMode"]) == ("always", "process")
    families = unit["RestrictAddressFamilies"].split()
    assert {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"} <= set(families)
    assert unit["ReadWritePaths"] == str(tmp_path)
    assert not {"PrivateNetwork", "PrivateTmp", "CapabilityBoundingSet", "User", "ProtectHome"} & set(unit)


def test_a_path_can_say_nothing_to_systemd_but_itself(tmp_path: Path) -> None:
    home = tmp_path / 'a "b" %h $HOME;c'
    command = parsed(unit_text(home, InstallOptions(user=True, python="/opt/python"), {}))["Service"]["ExecStart"]
    quoted = str(home).replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    assert f'--home "{quoted}" serve' in command
    with pytest.raises(DeployctlError, match="cannot contain"):
        unit_text(tmp_path / "a\nExecStart=evil", InstallOptions(user=True), {})


def test_the_engine_that_was_named_goes_into_the_unit(tmp_path: Path) -> None:
    named = {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}
    assert "DOCKER_HOST=unix:///run/user/1000/docker.sock" in unit_text(tmp_path, InstallOptions(user=True), named)
    assert "DOCKER_HOST" not in unit_text(tmp_path, InstallOptions(user=True), {"DOCKER_HOST": "tcp://example.com:2375"})


@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_systemd_has_nothing_against_the_unit(tmp_path: Path, scope: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    with world(tmp_path) as home:
        assert home.deployctl("install", scope, "--dir", str(tmp_path / "units")).code == 0
    units = sorted((tmp_path / "units").iterdir())
    user = ["--user"] if scope == "--user" else []
    done = subprocess.run(["systemd-analyze", *user, "verify", *map(str, units)], capture_output=True, text=True, timeout=60,
                          check=False, env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert [line for line in done.stderr.splitlines() if "deployctl" in line] == []


def test_what_containers_need_is_laid_before_docker_starts_and_a_user_has_no_such_unit(tmp_path: Path) -> None:
    done = install(tmp_path, InstallOptions(user=False, folder=tmp_path / "units", python="/opt/python"), {})
    boot = parsed((tmp_path / "units/deployctl-boot.service").read_text())
    assert boot["Unit"]["Before"] == "docker.service"
    assert boot["Service"]["ExecStart"] == f"/opt/python -I -m deployctl --home {tmp_path} boot"
    assert not {name for name in boot["Service"] if name.startswith(("Protect", "Private"))}, "Docker sees what it mounts"
    assert "docker.service" in boot["Install"]["WantedBy"]
    assert "systemctl enable --now deployctl deployctl-boot" in done.details
    install(tmp_path, InstallOptions(user=True, folder=tmp_path / "own"), {})
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["deployctl.service"]


def test_a_users_unit_names_the_linger_that_it_needs(tmp_path: Path) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    line = f"sudo loginctl enable-linger {user}"
    assert line in install(tmp_path, InstallOptions(user=True, folder=tmp_path / "units"), {}).details
    assert line not in install(tmp_path, InstallOptions(user=False, folder=tmp_path / "others"), {}).details
    assert _linger(tmp_path) == [line]
    (tmp_path / user).touch()
    assert _linger(tmp_path) == []


def test_installing_twice_changes_nothing_and_never_takes_another_homes_unit(tmp_path: Path) -> None:
    options = InstallOptions(user=True, folder=tmp_path / "units")
    assert install(tmp_path / "one", options, {}).changed
    unit = tmp_path / "units/deployctl.service"
    assert unit.stat().st_mode & 0o777 == 0o644
    before = unit.read_text()
    assert not install(tmp_path / "one", options, {}).changed
    with pytest.raises(Refused, match="is for another home than"):
        install(tmp_path / "two", options, {})
    assert unit.read_text() == before
    assert list((tmp_path / "units").iterdir()) == [unit]


def test_printing_writes_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as home:
        said = home.deployctl("install", "--print")
        assert said.out.startswith("[Unit]\n")
        assert home.deployctl("install", "--user", "--system").code == 2
    assert list(tmp_path.iterdir()) == []
