"""Replicas for real: every one gets requests, a dead one costs none, and their number changes under load."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.e2e.cli import Cli, wait_until
from tests.support import free_port

KEYS: dict[str, Any] = {"replicas": 3, "health": {"path": "/healthz", "rise": 1}}
SIBLINGS: dict[str, Any] = {"components": {"api": {"port": 8080, "replicas": 2, "health": {"path": "/healthz", "rise": 1}}}}


def states(cli: Cli, app: str) -> Counter[str]:
    return Counter(f"{one['Labels']['deployctl.version']} {one['State']}" for one in cli.containers(app))


def pools(cli: Cli) -> dict[str, set[str]]:
    """Return the servers of each pool that has any."""
    found: dict[str, set[str]] = {}
    for line in cli.haproxy("show servers state").splitlines()[2:]:
        words = line.split()
        if words and words[1].startswith("pool"):
            found.setdefault(words[1], set()).add(words[3])
    return found


@pytest.fixture
def app(cli: Cli) -> str:
    name = f"shop{len(cli.ports)}"
    cli.serving(name, **KEYS)
    return name


def test_versions_with_replicas_are_switched_and_rolled_back_without_losing_a_request(cli: Cli, app: str) -> None:
    assert states(cli, app) == {"v1 running": 3}
    with cli.visitors(app) as visitors:
        cli.do("upgrade", app, "v2")
        cli.do("rollback", app)
        cli.do("undo", app)
    assert visitors.count.lost == 0
    assert len(pools(cli)) == 2
    assert cli.do("reconcile", app)["lines"] == []


def test_a_replica_that_dies_costs_nothing_and_comes_back(cli: Cli, app: str) -> None:
    with cli.visitors(app) as visitors:
        victim = cli.api.inspect_container(cli.containers(app)[0]["Id"])
        os.kill(victim["State"]["Pid"], signal.SIGKILL)
        wait_until(lambda: cli.api.inspect_container(victim["Id"])["RestartCount"] == 1, what="its restart")
        wait_until(lambda: states(cli, app) == {"v1 running": 3}, what="all of them")
    assert visitors.count.lost == 0


def test_the_number_changes_under_load_and_is_kept(cli: Cli, app: str) -> None:
    with cli.visitors(app) as visitors:
        told = cli.do("scale", app, "5")
        assert (told["replicas"], told["written"], told["changed"]) == (5, 3, True)
        assert states(cli, app) == {"v1 running": 5}
        cli.do("scale", app, "1")
        assert states(cli, app) == {"v1 running": 1}
        assert cli.do("scale", app, "1")["changed"] is False
        cli.do("upgrade", app, "v2")
    assert visitors.count.lost == 0
    assert states(cli, app) == {"v1 running": 1, "v2 running": 1}
    cli.do("app", "remove", app, "-y")
    assert not any(server.startswith(f"{app}.") for servers in pools(cli).values() for server in servers)
    assert cli.containers(app) == []


def test_siblings_reach_every_replica_by_one_name(cli: Cli) -> None:
    name = f"shop{len(cli.ports)}"
    cli.serving(name, health={"path": "/healthz", "rise": 1}, **SIBLINGS)
    cli.do("upgrade", name, "v2")
    seen = Counter(one["version"] for _ in range(20) for one in json.loads(cli.get(name, "/sibling?of=api").body))
    assert seen == {"v2": 40}
    assert cli.do("scale", f"{name}/api", "3")["component"] == "api"
    web = next(one for one in cli.containers(name) if one["Labels"]["deployctl.component"] == "web")
    hosts = cli.api.inspect_container(web["Id"])["HostConfig"]["ExtraHosts"] or []
    assert not [line for line in hosts if line.startswith("api:")]
    refused = cli.refused(2, "scale", f"{name}/web", "2").told["error"]
    assert refused["code"] == "replicas_not_written"


def test_a_further_port_follows_the_same_switch_and_a_rollback(cli: Cli) -> None:
    name, port = f"shop{len(cli.ports)}", free_port()
    ports = {"api": {"component": "api", "port": 8080, "listen": port}}
    cli.serving(name, health={"path": "/healthz", "rise": 1}, **SIBLINGS, ports=ports)

    def pair() -> tuple[str, str]:
        return tuple(json.loads(cli.get(name, "/facts", port=at).body)["version"] for at in (None, port))

    assert pair() == ("v1", "v1")
    with cli.visitors(name) as visitors:
        cli.do("upgrade", name, "v2")
        assert pair() == ("v2", "v2")
        cli.do("rollback", name)
        assert pair() == ("v1", "v1")
    assert visitors.count.lost == 0
    assert cli.do("reconcile", name)["lines"] == []
    other = f"shop{len(cli.ports)}"
    cli.write(other, listen=port)
    assert cli.refused(2, "upgrade", other, "v1").told["error"]["code"] == "invalid"


def test_an_emergency_switch_finds_a_version_with_replicas(cli: Cli, app: str) -> None:
    cli.do("upgrade", app, "v2")
    with cli.visitors(app) as visitors:
        flipped = cli.run("emergency", "flip", app, "v1")
        assert flipped.code == 0, flipped
        assert cli.get(app).version == "v1"
        cli.do("reconcile", app)
    assert visitors.count.lost == 0
    assert cli.active(app) == "v1"
