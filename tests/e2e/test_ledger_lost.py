"""The ledger is deleted, spoiled or cut while visitors come: nothing stops, commands say what to type, and it comes back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Cli, home_of_a_person

SECRET = "value-that-no-label-may-show"
OF_THE_FILE = {"created_at", "proven_at", "failure", "hold_at", "hold_actor", "hold_reason", "id"}


@pytest.fixture
def town(engine_url: str, images: None) -> Iterator[Cli]:
    """shop: v3 serves after v1 and v2, v2 is warm and v1 stopped; blog: v1 serves, went back from v2, which is held."""
    with home_of_a_person(engine_url) as found:
        for app, versions in (("shop", ("v1", "v2", "v3")), ("blog", ("v1", "v2"))):
            found.write(app, env={"TOKEN": SECRET, "GREETING": 'a "quoted" word = ü'})
            for version in versions:
                found.do("upgrade", app, version)
        let_a_minute_pass(found.home)
        found.do("rollback", "blog")
        yield found


def let_a_minute_pass(home: Path) -> None:
    """Let the copy be of long ago: the next move is followed by another one."""
    for copy in (home / "state/backups").glob("*.db"):
        copy.rename(copy.with_name(re.sub(r"-[0-9]+T[0-9]+Z-", "-20260101T120000Z-", copy.name)))


def ledger_files(home: Path) -> list[Path]:
    return sorted((home / "state").glob("ledger.db*"))


def delete(home: Path) -> None:
    for path in ledger_files(home):
        path.unlink()


def delete_with_every_copy(home: Path) -> None:
    delete(home)
    shutil.rmtree(home / "state/backups")
    (home / "state/ledger.id").unlink()


def overwrite(home: Path) -> None:
    for path in ledger_files(home):
        path.write_bytes(b"somebody's notes\n" * 500)


def cut_to_nothing(home: Path) -> None:
    for path in ledger_files(home):
        path.write_bytes(b"")


def remembered(town: Cli) -> dict[str, Any]:
    """Return the apps, releases and containers as the ledger has them, bundles and all."""
    return {
        "apps": town.rows("select name, subnet, gateway, network, bridge, listen_host, listen_port, hosts, policy, active "
                          "from apps order by name"),
        "releases": town.rows("select r.app, number, version, digest, bundle, bundle_hash from releases r join instances i "
                              "on i.app = r.app and i.release = r.number order by r.app, number"),
        "server ids": town.rows("select r.app, number, r.id from releases r join instances i on i.app = r.app "
                                "and i.release = r.number where routed order by r.app, number"),
        "instances": town.rows("select app, release, name, container, address, host_port, routed from instances "
                               "order by app, release"),
        "ports": town.rows("select * from port_leases order by port"),
        "addresses": town.rows("select * from address_leases order by address"),
    }


def world(town: Cli) -> Mapping[str, Any]:
    return {"docker": town.objects(), "routes": town.routes(), "proxies": town.proxies(),
            "configuration": (town.home / "state/haproxy/haproxy.cfg").read_text()}


@pytest.mark.parametrize("harm", [delete, delete_with_every_copy, overwrite, cut_to_nothing], ids=lambda harm: harm.__name__)
def test_without_its_ledger_nothing_stops_and_rebuild_gives_back_apps_releases_and_who_serves(
    town: Cli, harm: Callable[[Path], None]
) -> None:
    before, seen, revisions = remembered(town), world(town), {app: town.revision(app) for app in ("shop", "blog")}
    with town.visitors("shop") as shoppers, town.visitors("blog") as readers:
        harm(town.home)
        for words in (("status",), ("rollback", "shop"), ("upgrade", "shop", "v1"), ("history", "blog"), ("ledger", "verify")):
            ran = town.refused(7, *words)
            assert ran.told["error"]["code"] == "ledger_unusable"
            assert "deployctl ledger rebuild" in ran.told["error"]["remedy"]
        assert world(town) == seen
        told = town.do("ledger", "rebuild")
        assert {app["app"]: app["serving"] for app in told["apps"]} == {"shop": "v3", "blog": "v1"}
        assert remembered(town) == before
        assert world(town) == seen, "a rebuild touched traffic or containers"
        assert town.do("ledger", "verify")["events"] > 0
        assert town.active("shop") == "v3"
        assert town.active("blog") == "v1"
        assert {i["version"]: i["held"] for i in town.app("blog")["instances"]} == {"v1": False, "v2": True}
        assert all(town.revision(app) > revision for app, revision in revisions.items())
        assert town.do("rollback", "shop")["to"] == town.get("shop").version == "v2"
        town.refused(3, "rollback", "blog")  # nothing served before v1 but what is on hold
        assert town.do("upgrade", "shop", "v1")["to"] == town.get("shop").version == "v1"
    assert shoppers.count.lost == readers.count.lost == 0
    assert set(readers.count.by_version) == {"v1"}
    assert SECRET not in str([container["Labels"] for container in town.containers()])


def test_a_copy_follows_the_moves_of_a_minute_and_brings_the_ledger_back(town: Cli) -> None:
    copies = sorted((town.home / "state/backups").glob("*.db"))
    assert len(copies) == 2, "of six moves"
    assert {copy.stat().st_mode & 0o777 for copy in copies} == {0o600}
    history = town.do("history", "shop")["changes"]
    delete(town.home)
    remedy = town.refused(7, "status").told["error"]["remedy"]
    assert f"deployctl ledger restore {copies[-1]}" in remedy
    town.do("ledger", "restore", str(copies[-1]))
    assert town.do("history", "shop")["changes"] == history
    assert town.active("shop") == "v3"
    assert town.do("rollback", "shop")["to"] == "v2"
    town.do("ledger", "verify")


def test_an_older_copy_is_brought_up_to_date_with_what_runs(town: Cli, tmp_path: Path) -> None:
    town.do("ledger", "backup", str(tmp_path / "old.db"))
    town.do("upgrade", "blog", "v3")
    town.do("rollback", "shop")
    seen = world(town)
    with town.visitors("shop") as shoppers:
        former = town.do("ledger", "restore", str(tmp_path / "old.db"))["former"]
        assert Path(former).exists()
        town.do("ledger", "rebuild", "--force")
        assert world(town) == seen
        assert (town.active("shop"), town.active("blog")) == ("v2", "v3")
        assert town.do("rollback", "blog")["to"] == town.get("blog").version == "v1"
    assert shoppers.count.lost == 0


def test_a_ledger_that_is_deleted_during_an_upgrade_stops_the_upgrade_and_no_visitor(town: Cli) -> None:
    town.write("shop", health={"path": "/nothing-there", "deadline": "20s"}, stop_grace="1s")
    with town.visitors("shop") as shoppers:
        upgrade = town.begin("upgrade", "shop", "v1")
        while not any("--r4--" in found["Names"][0] and found["State"] == "running" for found in town.containers("shop")):
            assert upgrade.poll() is None
        delete(town.home)
        ran = town.ended(upgrade)
        assert ran.code == 7, ran
        assert town.do("ledger", "rebuild")["apps"]
        assert town.active("shop") == "v3"
        assert town.do("rollback", "shop")["to"] == town.get("shop").version == "v2"
    assert shoppers.count.lost == 0
