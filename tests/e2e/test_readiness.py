"""What is reported as impossible is rejected by a real engine, for exactly that reason; what is reported as possible
works."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest

from tests.e2e.cli import Cli
from tests.images import ensure_image


@pytest.fixture
def town(cli: Cli, request: pytest.FixtureRequest) -> Iterator[tuple[Cli, str]]:
    """An app of its own: v2 serves, v1 stands by, warm."""
    app = f"r{crc32(request.node.name.encode())}"
    cli.serving(app, "v1")
    cli.do("upgrade", app, "v2")
    yield cli, app
    cli.do("app", "remove", app, "-y")


def back(cli: Cli, app: str) -> dict[str, Any]:
    """Return what status, history and show tell of v1, once they agree."""
    found = cli.app(app)
    shown = cli.do("show", app, "v1")
    listed = next(one for one in cli.do("history", app)["releases"] if one["release"] == shown["release"])["readiness"]
    standby = next(one for one in found["instances"] if one["release"] == shown["release"])["readiness"]
    way = {name: found["rollback"][name] for name in standby}
    assert found["rollback"]["version"] == "v1"
    assert listed == shown["readiness"] == standby == way
    return dict(standby)


def test_a_warm_standby_is_ready_at_once_and_a_stopped_one_after_its_boot(town: tuple[Cli, str]) -> None:
    cli, app = town
    assert back(cli, app) == {"ready": True, "how": "warm", "why": None, "code": None, "seconds": 0.0}
    cli.do("stop", app, "v1")
    found = back(cli, app)
    assert (found["ready"], found["how"], found["why"]) == (True, "boot", None)
    assert 0 < found["seconds"] < 60
    assert "boots first, about" in cli.text("status", app).out
    assert cli.do("rollback", app, "-y")["to"] == "v1"


def test_a_standby_that_hangs_is_told_and_refused(town: tuple[Cli, str]) -> None:
    cli, app = town
    container = cli.inspect(app, "v1")["Id"]
    cli.api.kill(container, "SIGSTOP")
    try:
        found = back(cli, app)
        assert (found["ready"], found["how"]) == (False, None)
        assert "does not pass its health check: no response" in found["why"]
        told = "Rollback would switch to v1, but it is running but does not pass its health check"
        assert told in cli.text("status", app).out
        cli.refused(1, "rollback", app, "-y")
        assert cli.active(app) == "v2"
    finally:
        cli.api.kill(container, "SIGCONT")


def test_a_paused_standby_is_told_to_boot_and_does(town: tuple[Cli, str]) -> None:
    cli, app = town
    cli.api.pause(cli.inspect(app, "v1")["Id"])
    assert back(cli, app)["how"] == "boot"
    assert cli.do("rollback", app, "-y")["to"] == cli.get(app).version == "v1"


def test_a_port_that_a_stranger_took_is_told_and_left_for_another_one(town: tuple[Cli, str]) -> None:
    cli, app = town
    port = next(one["port"] for one in cli.app(app)["instances"] if one["version"] == "v1")
    cli.do("stop", app, "v1")
    with socket.create_server(("127.0.0.1", port)):
        found = back(cli, app)
        assert (found["ready"], found["code"]) == (True, "port_taken")
        assert f"another program listens on its port 127.0.0.1:{port}" in found["why"]
        cli.do("rollback", app, "-y")
        assert cli.get(app).version == "v1"


def test_a_container_that_was_removed_boots_and_one_without_its_image_does_not(town: tuple[Cli, str], engine_url: str) -> None:
    cli, app = town
    tag = ensure_image("web", f"lost-{os.getpid()}", base_url=engine_url)
    cli.do("upgrade", app, "v1", "--image", tag)
    cli.do("upgrade", app, "v2")
    cli.do("stop", app, "v1")
    lost = max((one for one in cli.app(app)["instances"] if one["version"] == "v1"), key=lambda one: one["release"])
    image = cli.api.inspect_container(lost["container"])["Image"]
    cli.api.remove_container(lost["container"])
    assert back(cli, app)["how"] == "boot"
    for name in next(one for one in cli.api.images() if one["Id"] == image)["RepoTags"]:
        cli.api.remove_image(name)
    found = back(cli, app)
    assert found["ready"] is False
    assert "is no longer on this server, and no registry is known to have it" in found["why"]
    assert "no longer on this server" in cli.refused(3, "rollback", app, "-y").message
    assert cli.active(app) == "v2"


def test_a_network_that_was_removed_is_told_and_made_again(town: tuple[Cli, str]) -> None:
    cli, app = town
    for version in ("v1", "v2"):
        cli.do("stop", app, version, "-y")
    network = next(one for one in cli.networks() if one["Labels"]["deployctl.app"] == app)
    cli.api.remove_network(network["Id"])
    ready = cli.do("show", app, "v1")["readiness"]
    assert (ready["ready"], ready["code"]) == (True, "network_gone")
    assert "its network was removed" in ready["why"]
    cli.do("rollback", app, "v1", "-y")
    assert cli.get(app).version == "v1"
