"""A rollback brings back everything that a version ran with, whatever became of its container, its tag or the app's file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest

from deployctl.demo.python_layer import ENTRYPOINT
from tests import support
from tests.e2e.cli import Cli, wait_until
from tests.images import ensure_images

FIRST: dict[str, Any] = {
    "entrypoint": [*ENTRYPOINT, "-X", "utf8"],
    "command": ["/app/image_app.py", "graceful"],
    "user": "10001:10001",
    "working_dir": "/tmp",
    "stop_signal": "SIGINT",
    "stop_grace": "4s",
    "init": True,
    "health": {"path": "/version", "body": "v1", "rise": 2, "deadline": "5s"},
    "resources": {"memory": "96m", "cpus": 0.5, "pids": 64},
    "log": {"max_size": "1m", "max_file": 2},
    "env": {"MODE": "first", "LINES": "1\nB=2", "QUOTE": "\"'$(id)`{}", "EMPTY": "", "ONLY_FIRST": "yes"},
}
SECOND: dict[str, Any] = {
    "health": {"path": "/healthz", "deadline": "5s"},
    "resources": {"memory": "200m", "cpus": 1.5, "pids": 200},
    "env": {"MODE": "second", "ONLY_SECOND": "yes"},
}


@pytest.fixture(scope="module", autouse=True)
def _every_image(engine_url: str) -> None:
    ensure_images(*((name, "v1") for name in ("spoof", "volume", "dockerhealth", "dockerlate")), base_url=engine_url)


@pytest.fixture
def repository(cli: Cli) -> Iterator[str]:
    """An image name of this test alone, with the tags v1 to v3: it may be moved and removed."""
    name = f"{support.IMAGES}bundle-{token_hex(4)}"
    tags = ("v1", "v2", "v3")
    for tag in tags:
        cli.api.tag(f"dctl-test/web:{tag}", name, tag)
    try:
        yield name
    finally:
        for tag in tags:
            support.remove_image(cli.api, f"{name}:{tag}")


def made_of(cli: Cli, app: str, version: str) -> dict[str, Any]:
    """Return what Docker says that version runs with. Who made the container, when and on which port, may differ."""
    raw = cli.inspect(app, version)
    config, host = dict(raw["Config"]), dict(raw["HostConfig"])
    config["Env"] = sorted(config["Env"])
    config.pop("MacAddress")  # made from its address
    passing = {"deployctl.operation", "deployctl.seal", "deployctl.address"}
    config["Labels"] = {name: text for name, text in config["Labels"].items() if name not in passing}
    host["PortBindings"] = {inside: [where["HostIp"] for where in outside]
                            for inside, outside in host["PortBindings"].items()}
    return {"image": raw["Image"], "config": config, "host": host}


def nothing(cli: Cli, app: str, repository: str) -> None:
    """v1 stays warm."""


def retired(cli: Cli, app: str, repository: str) -> None:
    cli.do("upgrade", app, "v3")


def removed_by_a_person(cli: Cli, app: str, repository: str) -> None:
    cli.api.remove_container(cli.inspect(app, "v1")["Id"], force=True)


def pruned(cli: Cli, app: str, repository: str) -> None:
    """Two upgrades on, with nothing kept stopped, v1 is no rollback's first target any more and its container goes."""
    cli.write(app, image=repository, keep_stopped=0, **SECOND)
    cli.do("upgrade", app, "v3")
    cli.write(app, image=repository, keep_stopped=0, **{**SECOND, "env": {"MODE": "third"}})
    cli.do("upgrade", app, "v3")
    assert "v1" not in {instance["version"] for instance in cli.app(app)["instances"]}


def tag_removed(cli: Cli, app: str, repository: str) -> None:
    removed_by_a_person(cli, app, repository)
    support.remove_image(cli.api, f"{repository}:v1")


def tag_moved(cli: Cli, app: str, repository: str) -> None:
    removed_by_a_person(cli, app, repository)
    cli.api.tag("dctl-test/web:v3", repository, "v1", force=True)


WAYS: dict[str, Callable[[Cli, str, str], None]] = {
    "warm": nothing,
    "retired by an upgrade": retired,
    "container pruned": pruned,
    "container and tag removed": tag_removed,
    "container removed and tag moved": tag_moved,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_serves_after_a_rollback_is_what_served_before(cli: Cli, repository: str, way: str) -> None:
    app = f"app-{list(WAYS).index(way)}"
    cli.serving(app, image=repository, **FIRST)
    before, shown = made_of(cli, app, "v1"), cli.do("show", app, "v1")
    cli.write(app, image=repository, **SECOND)
    cli.do("upgrade", app, "v2")
    assert made_of(cli, app, "v2")["config"] != before["config"]
    WAYS[way](cli, app, repository)
    with cli.visitors(app) as visitors:
        back = cli.do("rollback", app, "v1", "-y")
        assert back["to"] == cli.active(app) == "v1"
        assert made_of(cli, app, "v1") == before
    assert visitors.count.lost == 0
    after = cli.do("show", app, "v1")
    assert {key: after[key] for key in ("release", "digest", "bundle", "bundle_hash", "health_checked_at")} == {
        key: shown[key] for key in ("release", "digest", "bundle", "bundle_hash", "health_checked_at")}
    assert_seen_from_inside(cli, app)


def assert_seen_from_inside(cli: Cli, app: str) -> None:
    inside = json.loads(cli.get(app, "/env").body)
    assert {name: inside.get(name) for name in FIRST["env"]} == FIRST["env"]
    assert inside.keys().isdisjoint({"ONLY_SECOND", "B"})
    assert json.loads(cli.get(app, "/facts").body)["uid"] == 10001
    assert cli.get(app).version == "v1"


def test_the_file_becomes_exactly_the_container_that_it_describes(cli: Cli) -> None:
    cli.serving("exact", **FIRST)
    made = made_of(cli, "exact", "v1")
    config, host = made["config"], made["host"]
    assert (config["Entrypoint"], config["Cmd"]) == (FIRST["entrypoint"], FIRST["command"])
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("10001:10001", "/tmp", "SIGINT")
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (96 << 20, 96 << 20, 5 * 10**8, 64)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": str(1 << 20), "max-file": "2"}}
    assert (host["Init"], host["Privileged"], host["CapAdd"], host["Binds"]) == (True, False, None, None)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["RestartPolicy"]["Name"] == "always"
    assert [where["HostIp"] for where in cli.inspect("exact", "v1")["HostConfig"]["PortBindings"]["8080/tcp"]] == ["127.0.0.1"]


def test_changed_variables_alone_make_a_release_that_can_be_rolled_back(cli: Cli) -> None:
    cli.serving("vars", env={"A": "1"})
    cli.write("vars", env={"A": "2"})
    assert cli.do("upgrade", "vars", "v1")["changed"] is True
    assert json.loads(cli.get("vars", "/env").body)["A"] == "2"
    assert cli.do("rollback", "vars")["to"] == "v1"
    assert json.loads(cli.get("vars", "/env").body)["A"] == "1"
    assert cli.app("vars")["active"]["release"] == 1


def test_a_variable_given_on_the_command_line_belongs_to_the_release(cli: Cli) -> None:
    cli.serving("given", env={"A": "file", "B": "file"})
    cli.do("upgrade", "given", "v2", "--env", "A=1\nX=2", "--env", "C=")
    inside = json.loads(cli.get("given", "/env").body)
    assert (inside["A"], inside["B"], inside["C"], "X" in inside) == ("1\nX=2", "file", "", False)
    cli.do("rollback", "given")
    cli.do("undo", "given")
    assert json.loads(cli.get("given", "/env").body)["A"] == "1\nX=2"


# -- what an image says of itself does not speak for us --------------------------------------------------------------
def test_labels_that_an_image_brings_along_make_it_nobody_elses(cli: Cli) -> None:
    cli.serving("spoofed", image="dctl-test/spoof")
    labels = cli.inspect("spoofed", "v1")["Config"]["Labels"]
    assert (labels["deployctl.app"], labels["deployctl.home"]) == ("spoofed", str(cli.home))
    cli.refused(3, "status", "victim")


def test_a_healthcheck_of_the_image_runs_only_where_it_is_asked_for(cli: Cli) -> None:
    cli.serving("quiet", image="dctl-test/dockerhealth")
    assert cli.inspect("quiet", "v1")["Config"]["Healthcheck"]["Test"] == ["NONE"]
    cli.serving("asked", image="dctl-test/dockerhealth", health={"kind": "docker", "deadline": "15s"})
    wait_until(lambda: cli.inspect("asked", "v1")["State"]["Health"]["Status"] == "healthy", what="Docker's own clock")
    assert cli.app("asked")["state"] == "healthy"


def test_a_healthcheck_of_the_image_need_not_wait_for_dockers_clock(cli: Cli) -> None:
    cli.serving("late", image="dctl-test/dockerlate", health={"kind": "docker", "deadline": "30s"}, watch="1s")
    assert cli.inspect("late", "v1")["State"]["Health"]["Status"] == "starting"
    assert cli.app("late")["state"] == "healthy"


def test_a_volume_of_the_image_is_said_and_goes_with_its_container(cli: Cli) -> None:
    url = cli.write("volume", image="dctl-test/volume")
    foreseen = cli.do("upgrade", "volume", "v1", "--dry-run")
    assert any("/data" in warning for warning in foreseen["warnings"])
    cli.do("upgrade", "volume", "v1")
    (mount,) = cli.inspect("volume", "v1")["Mounts"]
    cli.do("app", "remove", "volume", "-y")
    assert mount["Name"] not in {volume["Name"] for volume in cli.api.volumes()["Volumes"] or ()}, url


def test_a_variable_that_is_often_a_mistake_is_allowed_and_said(cli: Cli) -> None:
    cli.write("warned", env={"LD_PRELOAD": "/lib/x.so", "PATH": "/bin", "MODE": "fine"})
    warnings = cli.do("upgrade", "warned", "v1", "--dry-run")["warnings"]
    assert [warning.split()[0] for warning in warnings] == ["env.LD_PRELOAD", "env.PATH"]


def test_the_image_runs_by_its_id_and_not_by_a_name_that_may_move(cli: Cli, repository: str) -> None:
    cli.serving("moved", image=repository)
    first = cli.inspect("moved", "v1")
    cli.api.tag("dctl-test/web:v2", repository, "v1", force=True)
    told = cli.do("upgrade", "moved", "v1")
    assert (told["changed"], cli.get("moved").version) == (True, "v2")
    assert cli.inspect("moved", "v1")["Image"] != first["Image"]
    cli.do("rollback", "moved")
    assert cli.get("moved").version == "v1"
    assert cli.app("moved")["active"]["digest"] == first["Image"] == first["Config"]["Image"]
