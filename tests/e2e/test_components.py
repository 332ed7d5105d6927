"""Several components a release, for real: they find each other, switch together, and workers follow the traffic.

DEPLOYCTL_LONG=1 sends the full number of requests through each of two versions.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests import support
from tests.e2e.cli import PROGRAM, Cli, toml, wait_until
from tests.images import ensure_image

ASKED = 10_000 if os.environ.get("DEPLOYCTL_LONG") == "1" else 2_000  # requests through each version

COMPONENTS: dict[str, Any] = {
    "needs": {"api": "healthy"},
    "components": {
        "api": {"port": 8080, "health": {"path": "/healthz", "rise": 1}},
        "worker": {"command": ["/app/image_app.py", "web"], "health": {"uptime": "500ms"}, "needs": {"api": "started"}},
    },
}


@dataclass(frozen=True)
class Shop:
    """An app of three components, at v1."""

    cli: Cli
    app: str

    def pair(self, of: str | None = None) -> tuple[str, str]:
        """Ask its web, of a version that is not live where one is named, which asks its api; return the versions of both."""
        named = {"X_Deployctl_Version": of} if of else {}
        answer = self.cli.get(self.app, "/sibling?of=api", port=None, **named)
        assert answer.status == 200, answer
        web, api = json.loads(answer.body)
        return web["version"], api["version"]

    def states(self) -> dict[str, str]:
        return {f"{one['Labels']['deployctl.version']} {one['Labels']['deployctl.component']}": one["State"]
                for one in self.cli.containers(self.app)}


@pytest.fixture
def shop(cli: Cli) -> Shop:
    app = f"shop{len(cli.ports)}"
    cli.serving(app, **COMPONENTS)
    return Shop(cli, app)


def test_a_release_only_ever_asks_its_own(shop: Shop) -> None:
    shop.cli.do("upgrade", shop.app, "v2")
    shop.cli.do("rollback", shop.app)
    with ThreadPoolExecutor(8) as pool:
        live = Counter(pool.map(lambda _: shop.pair(), range(ASKED)))
        other = Counter(pool.map(lambda _: shop.pair("v2"), range(ASKED)))
    assert live == {("v1", "v1"): ASKED}
    assert other == {("v2", "v2"): ASKED}


def test_workers_follow_the_traffic_and_no_request_is_lost(shop: Shop) -> None:
    with shop.cli.visitors(shop.app) as visitors:
        shop.cli.do("upgrade", shop.app, "v2")
        assert shop.states() == {"v1 web": "running", "v1 api": "running", "v1 worker": "exited",
                                 "v2 web": "running", "v2 api": "running", "v2 worker": "running"}
        told = shop.cli.do("rollback", shop.app)
        assert told["switch_ms"] < told["total_ms"]
        assert shop.states() == {"v1 web": "running", "v1 api": "running", "v1 worker": "running",
                                 "v2 web": "running", "v2 api": "running", "v2 worker": "exited"}
    assert visitors.count.lost == 0


def test_after_restarts_of_its_containers_each_still_finds_its_own(shop: Shop) -> None:
    shop.cli.do("upgrade", shop.app, "v2")
    for one in shop.cli.containers(shop.app):
        if one["State"] == "running":
            shop.cli.api.restart(one["Id"], timeout=1)
    wait_until(lambda: shop.cli.get(shop.app, "/sibling?of=api").status == 200, what="the sibling")
    assert {shop.pair() for _ in range(50)} == {("v2", "v2")}


def test_a_component_that_never_answers_changes_nothing(shop: Shop) -> None:
    ensure_image("neverhealthy", "v1")
    sick = {"port": 8080, "image": "dctl-test/neverhealthy", "health": {"path": "/healthz", "deadline": "2s"}}
    shop.cli.write(shop.app, **{**COMPONENTS, "components": {**COMPONENTS["components"], "api": sick}})
    told = shop.cli.refused(1, "upgrade", shop.app, "v1").told["error"]
    assert "api of v1" in told["message"]
    assert shop.pair() == ("v1", "v1")
    assert shop.cli.app(shop.app)["state"] == "healthy"


def test_a_removed_worker_is_created_again_and_a_removed_app_leaves_nothing(shop: Shop) -> None:
    worker = next(one for one in shop.cli.containers(shop.app) if one["Labels"]["deployctl.component"] == "worker")
    shop.cli.api.remove_container(worker["Id"], force=True)
    shop.cli.do("reconcile", shop.app)
    assert shop.states() == {"v1 web": "running", "v1 api": "running", "v1 worker": "running"}
    shop.cli.do("app", "remove", shop.app, "-y")
    assert shop.cli.containers(shop.app) == []
    tags = [tag for one in shop.cli.api.images() for tag in one["RepoTags"] or ()]
    assert [tag for tag in tags if tag.startswith(f"deployctl/{shop.app}:")] == []


def test_an_app_of_tables_only_is_upgraded_rolled_back_compared_and_run_in(cli: Cli) -> None:
    port, ready = cli.ports.setdefault("tables", support.free_port()), {"path": "/healthz", "rise": 1}
    tables: dict[str, Any] = {
        "web": {"image": "dctl-test/web", "port": 8080, "health": ready, "needs": {"db": "healthy"}, "env": {"MODE": "one"}},
        "worker": {"image": "dctl-test/web", "command": ["/app/image_app.py", "web"], "health": {"uptime": "500ms"}},
        "db": {"image": "dctl-test/web:v1", "kind": "backing", "port": 8080}}
    file = cli.home / "config/tables.toml"
    file.write_text(toml({"listen": port, "components": tables}))
    cli.do("upgrade", "tables", "v1")
    file.write_text(toml({"listen": port, "components": {**tables, "web": {**tables["web"], "env": {"MODE": "two"}}}}))
    cli.do("upgrade", "tables", "v2")
    assert cli.get("tables").version == "v2"
    assert {one["name"]: one["version"] for one in cli.app("tables")["components"]} == {"web": "v2", "worker": "v2", "db": "v1"}
    assert "MODE" in cli.text("diff", "tables", "v1", "v2").out
    cli.do("rollback", "tables")
    assert cli.get("tables").version == "v1"
    done = subprocess.run([PROGRAM, "--home", str(cli.home), "run", "tables/worker", "--", "-c", "print(6 * 7)"],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=90)
    assert (done.returncode, done.stdout) == (0, b"42\n"), done.stderr
