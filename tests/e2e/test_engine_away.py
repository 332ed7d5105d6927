"""Docker is gone, refuses or hangs: what runs can still be switched, what must be started is refused, nothing is guessed.

Only the one command is pointed to another socket; the engine itself is never touched.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cli import Cli

AT_ONCE = 8.0  # seconds; a hanging engine is given one or two for each question
WAYS = ("gone", "refusing", "hanging")


@contextmanager
def away(folder: Path, how: str) -> Iterator[dict[str, str]]:
    """Yield the environment in which Docker is away in that way."""
    path = folder / f"{how}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        if how != "gone":
            listener.bind(str(path))
        if how == "hanging":
            listener.listen(64)
        yield {"DOCKER_HOST": f"unix://{path}"}


@pytest.fixture(scope="module")
def town(cli: Cli) -> Cli:
    """shop: v2 serves, v1 is warm, v3 is stopped. inside: the same, asked by a command inside the container."""
    with (cli.home / "config/server.toml").open("a") as server:
        server.write('[engine]\ntimeout = "2s"\n')
    cli.serving("shop", "v3")
    cli.do("upgrade", "shop", "v1")
    cli.do("upgrade", "shop", "v2")
    probe = {"kind": "exec", "command": ["/usr/bin/python3", "-c", "pass"]}
    cli.serving("inside", health=probe)
    cli.do("upgrade", "inside", "v2")
    return cli


@pytest.fixture(params=WAYS)
def without(request: pytest.FixtureRequest, tmp_path: Path, town: Cli) -> Iterator[dict[str, str]]:
    """The environment of the one command; afterwards the town is as it was."""
    with away(tmp_path, request.param) as env:
        yield env
    for seen in town.do("status")["apps"]:
        assert (seen["active"]["version"], seen["standby"]["version"], seen["standby"]["warm"]) == ("v2", "v1", True)
        assert (seen["state"], seen["deployment"]) == ("healthy", None)
        assert town.route(seen["app"]) == town.written_route(seen["app"]) == seen["active"]["release"]


def test_a_warm_version_is_rolled_back_to_without_the_engine(town: Cli, without: dict[str, str]) -> None:
    with town.visitors("shop", 100) as visitors:
        began = time.monotonic()
        told = town.do("rollback", "shop", env=without)
        assert time.monotonic() - began < AT_ONCE
        assert (told["to"], told["confirmed"], told["failed_requests"]) == ("v1", True, 0)
        assert town.get("shop").version == town.active("shop") == "v1"
        assert town.do("undo", "shop", env=without)["to"] == "v2"
    assert visitors.count.lost == 0


def test_what_must_be_started_or_stopped_is_refused(town: Cli, without: dict[str, str]) -> None:
    for words in (("rollback", "shop", "v3", "-y"), ("start", "shop", "v3"), ("upgrade", "shop", "v3"),
                  ("upgrade", "shop", "v1"), ("stop", "shop", "v1"), ("stop", "shop", "v2", "-y"),
                  ("app", "remove", "shop", "-y")):
        began = time.monotonic()
        ran = town.refused(7, *words, env=without)
        assert time.monotonic() - began < AT_ONCE, words
        assert "Docker is not responding" in ran.message
        assert "are not affected" in ran.message
        assert ran.told["serving"]["version"] == "v2"
        assert ran.told["error"]["remedy"]


@pytest.mark.parametrize("without", ["gone", "hanging"], indirect=True)
def test_a_probe_inside_the_container_needs_the_engine(town: Cli, without: dict[str, str]) -> None:
    ran = town.refused(7, "rollback", "inside", env=without)
    assert ran.told["serving"]["version"] == "v2"


def test_status_still_tells_who_serves(town: Cli, without: dict[str, str]) -> None:
    ran = town.run("status", env=without)
    assert ran.code == 0, ran
    assert "Docker is not responding" in ran.told["engine"]
    shop = next(app for app in ran.told["apps"] if app["app"] == "shop")
    assert (shop["active"]["version"], shop["active"]["health"], shop["state"]) == ("v2", "passing", "healthy")
    assert (shop["standby"]["version"], shop["standby"]["warm"]) == ("v1", True)
    text = town.text("status", env=without)
    assert text.code == 0
    assert "Docker is not responding" in text.out + text.err
    assert town.run("doctor", env=without).code == 1


@pytest.mark.parametrize("without", ["hanging"], indirect=True)
def test_what_the_ledger_knows_needs_no_engine(town: Cli, without: dict[str, str]) -> None:
    assert town.do("history", "shop", env=without)["changes"]
    assert town.do("show", "shop", "v2", env=without)["health_checked_at"]
    assert town.do("diff", "shop", "v1", "v2", env=without)["differences"]
    assert town.do("app", "list", env=without)["apps"]
    town.refused(7, "logs", "shop", env=without)
    assert town.do("hold", "shop", "v3", env=without)["ok"]
    assert town.do("unhold", "shop", "v3", env=without)["ok"]
