"""A home with running containers of 0.1.0 keeps working with this build: nothing restarts, and every rollback target is
still there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import former
from deployctl.demo.python_layer import ENTRYPOINT
from deployctl.effects.haproxy.drift import OTHER_BUILD
from tests import support
from tests.e2e.cli import Cli, home_of_a_person, wait_until

LABELS_ANEW = {"deployctl.component", "deployctl.kind", "deployctl.replica", "deployctl.operation", "deployctl.seal",
               "deployctl.home-id", "deployctl.address"}
MADE_ANEW = {"Hostname", "MacAddress"}  # of Config: unique for each container since 0.2.0, set since 0.3.0


@pytest.fixture
def town(engine_url: str, images: None, former_build: Path) -> Iterator[Cli]:
    """shop of 0.1.0: v3 serves after v1 and v2, v2 is warm and v1 stopped."""
    with home_of_a_person(engine_url) as found:
        found.write("shop", env={"MODE": "former"}, user="10001:10001", resources={"memory": "96m", "pids": 64})
        for version in ("v1", "v2", "v3"):
            do_formerly(former_build, found, "upgrade", "shop", version)
        yield found


def do_formerly(former_build: Path, town: Cli, *words: str) -> None:
    """Run a command of 0.1.0 in that home, and insist on success."""
    command = [*former.program(former_build), "--home", str(town.home), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def running(town: Cli) -> dict[str, tuple[str, str]]:
    """Return when each container was started, and how it is, by its id."""
    seen = (town.api.inspect_container(container["Id"]) for container in town.containers())
    return {one["Id"]: (one["State"]["StartedAt"], one["State"]["Status"]) for one in seen}


def made_of(container: dict[str, Any]) -> dict[str, Any]:
    """Return what the container runs with, but for what 0.2.0 does otherwise on purpose."""
    config = {key: value for key, value in container["Config"].items() if key not in MADE_ANEW}
    config["Env"] = sorted(config["Env"])
    labels = {key: value for key, value in config.pop("Labels").items() if key not in LABELS_ANEW}
    apart = {"RestartPolicy", "NetworkMode", "PortBindings"}  # the port is leased again
    host = {key: value for key, value in container["HostConfig"].items() if key not in apart}
    return {"image": container["Image"], "config": config, "host": host,
            "labels": {key: value for key, value in labels.items() if key.startswith("deployctl.")}}


def test_looking_at_it_finds_nothing_wrong_and_changes_nothing(town: Cli) -> None:
    before = running(town)
    app = town.app("shop")
    assert (app["state"], app["active"]["version"], app["standby"]["version"]) == ("healthy", "v3", "v2")
    assert app["drift"] == [OTHER_BUILD]
    assert "restarts" in {one["name"] for one in town.do("doctor")["findings"]}
    assert town.do("reconcile", "shop")["ok"] is True
    assert running(town) == before


def test_a_serve_of_before_is_told_until_it_is_started_again(town: Cli, former_build: Path) -> None:
    """It writes haproxy.cfg as 0.1.0 does, over what each change of this build has written."""
    (town.home / "config/server.toml").write_text(f'[web]\nlisten = "127.0.0.1:{support.free_port()}"\n')
    log = town.home / "serve.log"
    with log.open("w") as out, subprocess.Popen([*former.program(former_build), "--home", str(town.home), "serve"],
                                                stdin=subprocess.DEVNULL, stdout=out, stderr=out) as serve:
        try:
            wait_until(lambda: "serve: watching" in log.read_text(), what="serve of 0.1.0 watches")
            ran = town.run("doctor")
            assert ran.code == 1, ran
            (found,) = (one for one in ran.told["findings"] if one["code"] == "another_version")
            assert found["fix"].startswith(f"kill {serve.pid} ")
            for words in (["rollback", "shop"], ["reconcile"]):
                assert f"kill {serve.pid} " in town.text(*words).err
        finally:
            serve.terminate()
    assert f"kill {serve.pid} " not in town.text("reconcile").err
    findings = town.run("doctor").told["findings"]
    assert "another_version" not in {one["code"] for one in findings}
    assert "drift" not in {one["name"] for one in findings}


def test_reconcile_gives_what_runs_the_policy_that_outlives_a_crash_of_the_engine_without_a_restart(town: Cli) -> None:
    before = running(town)
    assert {restart_of(town, version) for version in ("v2", "v3")} == {"unless-stopped"}
    town.do("reconcile")
    assert {restart_of(town, version) for version in ("v2", "v3")} == {"always"}
    assert running(town) == before
    assert "restarts" not in {one["name"] for one in town.do("doctor")["findings"]}


def restart_of(town: Cli, version: str) -> str:
    return str(town.inspect("shop", version)["HostConfig"]["RestartPolicy"]["Name"])


def test_what_is_stopped_from_now_on_stays_so_after_a_restart_of_the_engine(town: Cli) -> None:
    town.do("stop", "shop", "v2")
    assert (restart_of(town, "v2"), restart_of(town, "v3")) == ("no", "unless-stopped")


def test_an_upgrade_to_what_serves_makes_a_release_with_fewer_capabilities_and_then_does_nothing(town: Cli) -> None:
    changes = town.run("upgrade", "shop", "v3", "--dry-run", "--exit-code").told["changes"]
    assert {(line["group"], line["sign"], line["before"]) for line in changes} == {("capabilities", "-", "as Docker sets it")}
    assert town.do("upgrade", "shop", "v3")["changed"] is True
    before, revision = running(town), town.revision("shop")
    foreseen = town.run("upgrade", "shop", "v3", "--dry-run", "--exit-code")
    assert foreseen.code == 0, foreseen
    assert town.do("upgrade", "shop", "v3")["ok"] is True
    assert (running(town), town.revision("shop")) == (before, revision)


def test_a_rollback_goes_to_the_warm_container_of_before(town: Cli) -> None:
    before = running(town)
    with town.visitors("shop") as seen:
        town.do("rollback", "shop", "-m", "v3 is slow")
        assert town.active("shop") == "v2"
        town.do("undo", "shop")
    assert town.active("shop") == "v3"
    assert seen.count.lost == 0, seen.count
    after = running(town)
    assert {one: after[one] for one in before} == before


def test_a_release_whose_container_is_gone_is_made_again_as_it_was(town: Cli) -> None:
    first = town.inspect("shop", "v2")
    town.api.remove_container(first["Id"], force=True)
    town.do("rollback", "shop", "v2", "-y")
    assert town.active("shop") == "v2"
    again = town.inspect("shop", "v2")
    assert again["Id"] != first["Id"]
    assert made_of(again) == made_of(first)


def test_a_stopped_release_boots_again_in_its_own_container(town: Cli) -> None:
    first = town.inspect("shop", "v1")
    town.do("rollback", "shop", "v1", "-y")
    assert town.active("shop") == "v1"
    assert town.inspect("shop", "v1")["Id"] == first["Id"]


def test_a_lost_ledger_is_rebuilt_with_every_container(town: Cli) -> None:
    before = running(town)
    digests = {i["version"]: i["digest"] for i in town.app("shop")["instances"]}
    for path in (town.home / "state").glob("ledger*"):
        path.unlink()
    for path in sorted((town.home / "state/backups").rglob("*")):
        path.unlink()
    town.do("ledger", "rebuild", "--force")
    app = town.app("shop")
    assert {i["version"]: i["digest"] for i in app["instances"]} == digests
    assert app["active"]["version"] == "v3"
    assert running(town) == before
    town.do("rollback", "shop")
    assert town.active("shop") == "v2"


def test_an_entrypoint_without_a_command_is_told_with_the_line_that_keeps_what_runs(town: Cli, former_build: Path) -> None:
    entry: dict[str, Any] = {"entrypoint": [*ENTRYPOINT, "/app/image_app.py", "graceful"]}
    town.write("shop", **entry)
    do_formerly(former_build, town, "upgrade", "shop", "v1")
    before, digests = running(town), town.rows("select bundle_hash from releases where app = 'shop'")
    foreseen = town.run("upgrade", "shop", "v1", "--dry-run", "--exit-code")
    assert foreseen.code == 10, foreseen
    assert any("command = []" in line for line in foreseen.told["warnings"])
    town.write("shop", **entry, command=[])
    kept = town.run("upgrade", "shop", "v1", "--dry-run", "--exit-code").told["changes"]
    assert {line["group"] for line in kept} == {"capabilities"}, "its command is what runs"
    assert (running(town), town.rows("select bundle_hash from releases where app = 'shop'")) == (before, digests)
