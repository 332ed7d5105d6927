"""Exclusive and backing components on a real engine: one program at a time, clients wait, and nobody is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.cli import HEALTH, Cli, wait_until
from tests.images import ensure_image

DB: dict[str, Any] = {"kind": "backing", "image": "dctl-test/web:v1", "port": 8080, "health": {"kind": "http", **HEALTH},
                      "mounts": ["data:/data"], "stop_grace": "3s"}


@pytest.fixture
def app(cli: Cli) -> str:
    return f"alone{len(cli.ports)}"


def running(cli: Cli, app: str) -> set[str]:
    return {one["Labels"]["deployctl.version"] for one in cli.containers(app) if one["State"] == "running"}


def test_clients_of_an_exclusive_web_wait_and_none_is_lost(cli: Cli, app: str) -> None:
    cli.serving(app, kind="exclusive")
    with cli.visitors(app) as visitors:
        cli.do("upgrade", app, "v2")
        assert (cli.get(app).version, running(cli, app)) == ("v2", {"v2"})
        cli.do("rollback", app, "--yes")
        assert (cli.get(app).version, running(cli, app)) == ("v1", {"v1"})
    assert visitors.count.lost == 0


def test_an_exclusive_web_that_does_not_come_up_leaves_the_former_one(cli: Cli, app: str) -> None:
    ensure_image("neverhealthy", "v1")
    cli.serving(app, kind="exclusive", health={**HEALTH, "deadline": "1s"})  # the visitors give up after 5
    with cli.visitors(app) as visitors:
        cli.refused(1, "upgrade", app, "sick", "--image", "dctl-test/neverhealthy:v1")
        assert (cli.get(app).version, running(cli, app)) == ("v1", {"v1"})
    assert visitors.count.lost == 0


def test_a_backing_component_keeps_its_address_over_upgrade_and_rollback(cli: Cli, app: str) -> None:
    cli.serving(app, needs={"db": "healthy"}, components={"db": DB})

    def db() -> str:
        return str(json.loads(cli.get(app, "/sibling?of=db").body)[1]["version"])

    assert db() == "v1"
    with cli.visitors(app) as visitors:
        told = cli.do("upgrade", f"{app}/db", "v2")
        assert (told["from"], told["to"]) == ("v1", "v2")
        wait_until(lambda: db() == "v2", what="the other version of db")
        cli.do("upgrade", app, "v2")
        assert db() == "v2"
        cli.do("rollback", f"{app}/db", "--yes")
        wait_until(lambda: db() == "v1", what="the former version of db")
    assert visitors.count.lost == 0
    for one in cli.containers(f"{app}/db"):
        if one["State"] == "running":
            cli.api.restart(one["Id"], timeout=1)
    wait_until(lambda: cli.get(app, "/sibling?of=db").status == 200, what="db after a restart")
    assert cli.do("reconcile")["ok"]
