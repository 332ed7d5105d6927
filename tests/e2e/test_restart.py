"""A restart of the live version's containers, for real: of several replicas no request is lost."""

from __future__ import annotations

from typing import Any

from tests.e2e.cli import Cli

API: dict[str, Any] = {"api": {"port": 8080, "health": {"path": "/healthz", "rise": 1}}}


def begun(cli: Cli, app: str) -> dict[str, str]:
    """Return since when each container runs, by its id."""
    return {one["Id"]: cli.api.inspect_container(one["Id"])["State"]["StartedAt"] for one in cli.containers(app)}


def test_replicas_restart_one_by_one_and_no_request_is_lost(cli: Cli) -> None:
    cli.serving("twins", replicas=2, components=API)
    before = begun(cli, "twins")
    with cli.visitors("twins") as visitors:
        told = cli.do("restart", "twins")
    assert told["changed"]
    assert visitors.count.lost == 0
    after = begun(cli, "twins")
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert cli.app("twins")["state"] == "healthy"


def test_what_is_alone_asks_and_comes_back_at_its_place(cli: Cli) -> None:
    url = cli.serving("alone", components=API)
    asked = cli.refused(5, "restart", "alone")
    assert "New requests wait while web of v1 restarts" in asked.message, url
    before = begun(cli, "alone")
    cli.do("restart", "alone/api")
    cli.do("restart", "alone", "--yes")
    assert cli.get("alone").version == "v1"
    assert begun(cli, "alone").keys() == before.keys()
    assert cli.app("alone")["state"] == "healthy"
