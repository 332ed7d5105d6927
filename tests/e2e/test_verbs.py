"""Every verb: what it does, what its JSON says, when it refuses, and that a dry run does nothing."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import machine, support
from tests.e2e.cli import PATIENCE, PROGRAM, Cli, Ran, command, home_of_a_person
from tests.images import ensure_images

MOVED = {"schema": str, "kind": str, "ok": bool, "app": str, "from": str, "to": str, "revision": int, "switch_ms": float,
         "total_ms": float, "confirmed": bool, "failed_requests": int, "steps": list}
STEP = {"kind": str, "sentence": str, "ms": float}
APP = {"app": str, "address": str, "revision": int, "state": str, "active": dict, "standby": dict, "instances": list,
       "deployment": type(None)}
ACTIVE = {"version": str, "release": int, "digest": str, "colour": str, "port": int, "health": str, "weight": int}
INSTANCE = {"version": str, "release": int, "role": str, "port": int, "address": str, "health": str, "weight": int,
            "container": str}
DONE = {"schema": str, "kind": str, "ok": bool, "app": str}


@pytest.fixture(scope="module")
def shop(cli: Cli, engine_url: str) -> Cli:
    """shop: v2 serves, v1 is warm."""
    ensure_images(("neverhealthy", "v1"), base_url=engine_url)
    cli.serving("shop")
    cli.do("upgrade", "shop", "v2", "-m", "more colour")
    return cli


@pytest.fixture
def as_before(shop: Cli) -> Iterator[Cli]:
    """The shop, which a test leaves as it was: v2 serves, v1 is warm, nothing is on hold."""
    yield shop
    assert shop.route("shop") == shop.written_route("shop") == 2
    rows = shop.rows("select r.number, i.routed, r.hold_at from releases r join instances i on i.app = r.app "
                     "and i.release = r.number where r.app = 'shop' and r.number < 3")
    assert rows == [(1, 1, None), (2, 1, None)]


def require_shape(told: dict[str, Any], shape: dict[str, type]) -> None:
    """A field may be added, none may be missing or change its kind."""
    for name, kind in shape.items():
        assert name in told, name
        good = isinstance(told[name], kind) or (kind is float and isinstance(told[name], int))
        assert good, (name, told[name])


# -- upgrade, rollback, undo ------------------------------------------------------------------------------------------
def test_rollback_and_undo_tell_what_they_did_in_the_shape_that_others_rely_on(as_before: Cli) -> None:
    before = as_before.revision("shop")
    back = as_before.do("rollback", "shop", "-m", "cart totals wrong")
    again = as_before.do("undo", "shop")
    for told, kind, source, target, revision in ((back, "Rollback", "v2", "v1", before + 1),
                                                 (again, "Undo", "v1", "v2", before + 2)):
        require_shape(told, MOVED)
        assert told["schema"] == "deployctl/v1"
        assert (told["kind"], told["app"], told["from"], told["to"]) == (kind, "shop", source, target)
        assert (told["revision"], told["confirmed"], told["failed_requests"], told["ok"]) == (revision, True, 0, True)
        assert 0 < told["switch_ms"] < told["total_ms"]
        for step in told["steps"]:
            require_shape(step, STEP)
            assert step["kind"].islower()
    assert (back["held"], again["released"]) == (["v2"], ["v2"])


def test_a_first_upgrade_tells_that_nothing_served_before(shop: Cli) -> None:
    shop.write("first")
    told = shop.do("upgrade", "first", "v1")
    require_shape({**told, "from": ""}, MOVED)
    assert (told["from"], told["to"], told["revision"], told["kind"]) == (None, "v1", 1, "Upgrade")
    assert [step["kind"] for step in told["steps"]][-2:] == ["switch", "promote"]


def test_a_first_upgrade_that_fails_leaves_an_app_that_serves_nobody(shop: Cli) -> None:
    shop.write("unborn", image="dctl-test/neverhealthy", health={"path": "/healthz", "deadline": "1s"})
    failed = shop.refused(1, "upgrade", "unborn", "v1")
    assert failed.told["serving"] is None
    seen = shop.app("unborn")
    assert (seen["state"], seen["active"], seen["standby"], seen["revision"]) == ("not_deployed", None, None, 0)
    shop.write("unborn")
    assert shop.do("upgrade", "unborn", "v1")["from"] is None
    assert shop.get("unborn").version == "v1"


def test_upgrading_to_what_serves_does_nothing_and_is_fine(as_before: Cli) -> None:
    before = as_before.revision("shop"), as_before.objects()
    told = as_before.do("upgrade", "shop", "v2")
    require_shape(told, MOVED)
    assert (told["changed"], told["confirmed"], told["revision"]) == (False, True, before[0])
    assert (as_before.revision("shop"), as_before.objects()) == before


def test_a_version_that_was_rolled_back_is_refused_until_it_is_let_go(as_before: Cli) -> None:
    as_before.do("rollback", "shop", "-m", "too slow")
    for words in (("upgrade", "shop", "v2"), ("rollback", "shop", "v2"), ("upgrade", "shop", "v2", "--dry-run")):
        ran = as_before.refused(5, *words)
        assert ran.told["error"]["code"] == "on_hold"
        assert "too slow" in ran.message
        assert "deployctl unhold shop v2" in ran.told["error"]["remedy"]
        assert words[-1] == "--dry-run" or ran.told["serving"]["version"] == "v1"
    assert as_before.get("shop", Cookie="dctl_v=v2").version == "v1"
    require_shape(as_before.do("unhold", "shop", "v2"), DONE)
    assert as_before.get("shop", Cookie="dctl_v=v2").version == "v2"
    assert as_before.do("upgrade", "shop", "v2")["to"] == "v2"


def test_undo_twice_is_back_again_with_the_hold_that_it_lifted(as_before: Cli) -> None:
    as_before.do("rollback", "shop")
    as_before.do("undo", "shop")
    assert as_before.do("undo", "shop")["held"] == ["v2"]
    assert as_before.app("shop")["active"]["version"] == "v1"
    as_before.refused(5, "upgrade", "shop", "v2")
    assert as_before.do("undo", "shop")["to"] == "v2"


def test_with_nothing_to_go_back_to_nothing_is_found(shop: Cli) -> None:
    shop.serving("single")
    for verb in ("rollback", "undo"):
        ran = shop.refused(3, verb, "single")
        assert ran.told["error"]["code"] == "nothing_to_go_back_to"
        assert ran.told["serving"]["version"] == "v1"
    shop.refused(3, "rollback", "single", "v9")
    shop.refused(3, "rollback", "nosuch")


def test_a_rollback_never_goes_to_another_apps_version(shop: Cli) -> None:
    shop.serving("loner", "v3")
    ran = shop.refused(3, "rollback", "loner", "v2")
    assert "v2" in ran.message
    assert "shop" not in ran.message


def test_a_cold_rollback_asks_first_and_goes_with_a_yes(shop: Cli) -> None:
    shop.serving("cold", keep_warm=0)
    shop.do("upgrade", "cold", "v2")
    ran = shop.refused(5, "rollback", "cold")
    assert ran.told["error"]["code"] == "confirmation_needed"
    assert "not running" in ran.message
    assert "-y" in " ".join(ran.told["error"]["remedy"])
    assert shop.do("-y", "rollback", "cold")["to"] == shop.get("cold").version == "v1"


@pytest.mark.parametrize("words", [("upgrade", "shop", "v3"), ("rollback", "shop"), ("undo", "shop"),
                                   ("start", "shop", "v3"), ("stop", "shop", "v1"), ("hold", "shop", "v1"),
                                   ("unhold", "shop", "v1"), ("prune", "shop"), ("rollback", "shop", "--dry-run")])
def test_who_looked_at_another_revision_is_refused(as_before: Cli, words: tuple[str, ...]) -> None:
    now = as_before.revision("shop")
    ran = as_before.refused(5, *words, "--if-revision", str(now - 1))
    assert ran.told["error"]["code"] == "state_changed"
    assert f"revision {now}" in ran.message
    assert f"expected {now - 1}" in ran.message


def test_who_knows_the_revision_may_change_it(as_before: Cli) -> None:
    now = as_before.revision("shop")
    as_before.do("rollback", "shop", "--if-revision", str(now))
    as_before.do("undo", "shop", "--if-revision", str(now + 1))


# -- looking ------------------------------------------------------------------------------------------------------------
def test_status_has_the_shape_that_others_rely_on(as_before: Cli) -> None:
    told = as_before.do("status")
    assert (told["schema"], told["kind"]) == ("deployctl/v1", "Status")
    seen = next(app for app in told["apps"] if app["app"] == "shop")
    require_shape(seen, APP)
    require_shape(seen["active"], ACTIVE)
    require_shape(seen["standby"], {**ACTIVE, "warm": bool})
    for instance in seen["instances"]:
        require_shape(instance, INSTANCE)
        assert len(instance["container"]) == 64
    assert (seen["state"], seen["active"]["weight"], seen["active"]["health"]) == ("healthy", 100, "passing")
    assert (seen["standby"]["role"], seen["active"]["role"]) == ("standby", "active")
    assert {seen["active"]["colour"], seen["standby"]["colour"]} == {"blue", "green"}
    assert seen["address"] == as_before.url("shop").removeprefix("http://").rstrip("/")


def test_history_show_diff_and_logs_tell_what_was(as_before: Cli) -> None:
    changes = as_before.do("history", "shop")["changes"]
    assert [change["revision"] for change in changes] == list(range(len(changes), 0, -1))
    assert changes[-2] | {"action": "upgrade", "from_version": "v1", "to_version": "v2", "note": "more colour"} == changes[-2]
    shown = as_before.do("show", "shop", "v2")
    assert (shown["version"], shown["release"], shown["role"]) == ("v2", 2, "active")
    assert shown["digest"] == as_before.inspect("shop", "v2")["Image"]
    assert [line["name"] for line in as_before.do("diff", "shop", "v1", "v2")["differences"]] == ["image"]
    assert as_before.run("diff", "shop", "v1", "--exit-code").code == 10
    lines = as_before.do("logs", "shop")["lines"]
    assert {line["version"] for line in lines} == {"v1", "v2"}
    assert any("listens on port 8080" in line["message"] for line in lines)


def test_people_read_what_serves_and_what_to_type_next(as_before: Cli) -> None:
    rolled = as_before.text("rollback", "shop")
    assert "shop is back on v1" in rolled.out
    assert "confirmed by HAProxy, 0 requests failed" in rolled.out
    assert "v2 is on hold" in rolled.out
    assert "Undo: deployctl undo shop" in rolled.out
    assert as_before.text("undo", "shop").code == 0
    status = as_before.text("status", "shop").out
    for word in ("v2", "live", "100 %", "v1", "standby", "passing", "deployctl rollback shop"):
        assert word in status
    assert "\x1b" not in status + rolled.out + rolled.err


def test_the_name_of_a_home_is_enough_without_any_verb(as_before: Cli) -> None:
    assert "shop" in as_before.text().out
    assert {app["app"] for app in json.loads(as_before.run().out)["apps"]} >= {"shop"}


# -- start, stop, hold, prune ---------------------------------------------------------------------------------------------
def test_a_version_is_started_beside_and_stopped_again(as_before: Cli) -> None:
    told = as_before.do("start", "shop", "v3")
    require_shape(told, DONE)
    assert as_before.get("shop", port=told["port"]).version == "v3"
    assert as_before.get("shop").version == "v2"
    assert as_before.do("start", "shop", "v3")["changed"] is False
    require_shape(as_before.do("stop", "shop", "v3"), DONE)
    assert as_before.do("stop", "shop", "v3")["changed"] is False
    (stopped,) = [i for i in as_before.app("shop")["instances"] if i["version"] == "v3"]
    assert (stopped["health"], stopped["role"]) == ("stopped", "idle")
    assert as_before.get("shop", X_Deployctl_Version="v3").version == "v2"
    assert as_before.do("start", "shop", "v3")["changed"] is True
    as_before.do("stop", "shop", "v3")


def test_stopping_what_serves_is_asked_first_and_leaves_503(shop: Cli) -> None:
    shop.serving("closing")
    assert shop.refused(5, "stop", "closing", "v1").told["error"]["code"] == "confirmation_needed"
    assert shop.get("closing").status == 200
    shop.do("stop", "closing", "v1", "-y")
    assert shop.get("closing").status == 503
    seen = shop.app("closing")
    assert (seen["state"], seen["active"]) == ("down", None)
    assert shop.do("upgrade", "closing", "v1")["to"] == shop.get("closing").version == "v1"


def test_prune_takes_what_retention_does_not_keep_and_never_the_way_back(shop: Cli) -> None:
    shop.serving("full", image="dctl-test/neverhealthy", health={"path": "/version", "deadline": "3s"})
    shop.write("full")
    for version in ("v2", "v3"):
        shop.do("upgrade", "full", version)
    shop.write("full", health={"path": "/healthz", "deadline": "500ms"})
    shop.refused(1, "upgrade", "full", "bad", "--image", "dctl-test/neverhealthy:v1")
    shop.write("full", keep_stopped=0, keep_warm=0)
    shop.do("upgrade", "full", "v3")
    shop.do("stop", "full", "v2")
    asked = shop.refused(5, "prune", "full")
    assert asked.told["error"]["code"] == "confirmation_needed"
    assert {i["version"] for i in shop.app("full")["instances"]} == {"v1", "v2", "v3", "bad"}
    require_shape(shop.do("prune", "full", "-y"), DONE)
    assert {i["version"] for i in shop.app("full")["instances"]} == {"v2", "v3"}
    assert shop.do("prune", "full", "-y")["changed"] is False
    assert shop.do("rollback", "full", "-y")["to"] == shop.get("full").version == "v2"


# -- a dry run does nothing ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [("upgrade", "shop", "v3"), ("rollback", "shop"), ("rollback", "shop", "v1"),
                                   ("undo", "shop"), ("start", "shop", "v3"), ("stop", "shop", "v1"),
                                   ("stop", "shop", "v2"), ("prune", "shop")])
def test_a_dry_run_shows_the_plan_and_changes_nothing(as_before: Cli, words: tuple[str, ...]) -> None:
    before = as_before.ledger(but=()), as_before.objects(), as_before.routes(), as_before.files()
    text = as_before.text(*words, "--dry-run")
    ran = as_before.run(*words, "-n", "--exit-code")
    assert (as_before.ledger(but=()), as_before.objects(), as_before.routes(), as_before.files()) == before
    assert (text.code, ran.code) == (0, 10 if ran.told["steps"] else 0)
    assert (ran.told["kind"], ran.told["plan"]) == ("Plan", words[0])
    assert all(step["sentence"] in text.out for step in ran.told["steps"])


def test_a_dry_run_of_an_app_that_is_not_deployed_makes_nothing(shop: Cli) -> None:
    shop.write("planned")
    before = shop.ledger(but=()), shop.objects(), shop.files()
    plan = shop.do("upgrade", "planned", "v1", "-n")
    assert [step["kind"] for step in plan["steps"]][:4] == ["image", "network", "create", "start"]
    assert (shop.ledger(but=()), shop.objects(), shop.files()) == before
    shop.refused(3, "upgrade", "planned", "v99", "-n", "--pull", "never")


# -- apps come and go -----------------------------------------------------------------------------------------------------
def test_init_writes_a_file_that_upgrades(shop: Cli) -> None:
    told = shop.do("init", "fresh", "--image", "dctl-test/web:v1")
    require_shape(told, DONE)
    assert told["path"] == str(shop.home / "config/fresh.toml")
    again = shop.refused(5, "init", "fresh", "--image", "dctl-test/web:v1")
    assert "already exists" in again.message
    assert shop.do("upgrade", "fresh", "v1")["ok"]
    shop.ports["fresh"] = int(shop.app("fresh")["address"].rpartition(":")[2])
    assert shop.get("fresh").version == "v1"


def test_an_app_that_is_removed_leaves_nothing_but_its_file_and_its_history(shop: Cli) -> None:
    pool = str(tomllib.loads((shop.home / "config/server.toml").read_text())["network"]["pool"])
    objects, routes = shop.objects(), machine.unreachable(inside=pool)
    leases = {name: shop.ledger()[name] for name in ("port_leases", "address_leases", "instances", "apps")}
    shop.serving("gone")
    shop.do("upgrade", "gone", "v2")
    (network,) = [n for n in shop.networks() if n["Labels"]["deployctl.app"] == "gone"]
    assert shop.refused(5, "app", "remove", "gone").told["error"]["code"] == "confirmation_needed"
    require_shape(shop.do("app", "remove", "gone", "-y"), DONE)
    assert shop.objects() == objects
    assert machine.unreachable(inside=pool) == routes
    assert {name: shop.ledger()[name] for name in leases} == leases
    assert not Path("/sys/class/net", network["Options"]["com.docker.network.bridge.name"]).exists()
    with pytest.raises(ConnectionRefusedError):
        shop.get("gone")
    shop.refused(3, "status", "gone")
    assert "gone" not in shop.routes() | shop.written_routes()
    assert (shop.home / "config/gone.toml").exists()
    assert shop.do("upgrade", "gone", "v1")["from"] is None
    assert shop.get("gone").version == "v1"


def test_a_second_home_on_the_same_machine_is_untouched(shop: Cli, engine_url: str) -> None:
    with home_of_a_person(engine_url) as other:
        other.serving("shop")
        other.do("upgrade", "shop", "v2")
        before = shop.ledger(but=()), shop.objects(), shop.routes(), shop.files(), shop.masters()
        other.do("rollback")  # the only app need not be named
        other.do("app", "remove", "shop", "-y")
        assert other.objects() == [[], [], []]
        assert (shop.ledger(but=()), shop.objects(), shop.routes(), shop.files(), shop.masters()) == before
    assert shop.get("shop").version == "v2"


def test_an_app_may_be_called_as_another_homes_container_id_begins(shop: Cli, engine_url: str) -> None:
    """Docker takes the beginning of an id for the container; we never do."""
    with home_of_a_person(engine_url) as other:
        stranger = support_stranger(other)
        name = stranger[:12]
        for words in (("status", name), ("stop", name, "v1"), ("logs", name), ("app", "remove", name, "-y")):
            shop.refused(3, *words)
        shop.serving(name)
        shop.do("app", "remove", name, "-y")
        assert other.api.inspect_container(stranger)["Id"] == stranger


def support_stranger(other: Cli) -> str:
    """Make containers until the id of one begins with a letter, as an app's name must."""
    while True:
        made = other.api.create_container("dctl-test/web:v1", labels={"deployctl.home": str(other.home)})
        if made["Id"][0].isalpha():
            return str(made["Id"])


def test_an_image_is_never_found_by_the_beginning_of_its_id(shop: Cli) -> None:
    digest = shop.inspect("shop", "v2")["Image"].removeprefix("sha256:")
    ran = shop.refused(3, "upgrade", "shop", "v9", "--image", digest[:12], "--dry-run", "--pull", "never")
    assert "is not on this server" in ran.message


# -- the shell around it ------------------------------------------------------------------------------------------------------
def test_a_pipe_ends_although_haproxy_was_started_by_its_writer(shop: Cli) -> None:
    (master,) = shop.masters()
    os.kill(master, 9)
    written = command(shop.home, "upgrade", "shop", "v2")
    with subprocess.Popen(written, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as upgrade:
        read = subprocess.run(["cat"], stdin=upgrade.stdout, capture_output=True, timeout=PATIENCE, check=True)
    assert b"is already live" in read.stdout
    (master,) = shop.masters()
    held = [str(link.readlink()) for link in Path(f"/proc/{master}/fd").iterdir()]
    assert [target for target in held if target.startswith("pipe:") and target in _own_pipes()] == []


def _own_pipes() -> set[str]:
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def complete(shop: Cli, *words: str) -> list[str]:
    """Return what bash is offered after these words."""
    env = {"_DEPLOYCTL_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["deployctl", *words]),
           "COMP_CWORD": str(len(words)), "DEPLOYCTL_HOME": str(shop.home)}
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}
    done = subprocess.run([str(PROGRAM)], env={**kept, **env}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.rpartition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_verbs_apps_and_versions(shop: Cli) -> None:
    assert "rollback" in complete(shop, "roll")
    assert "shop" in complete(shop, "rollback", "sh")
    assert {"v1", "v2"} <= set(complete(shop, "rollback", "shop", ""))
    for shell in ("bash", "zsh", "fish"):
        assert "_DEPLOYCTL_COMPLETE" in shop.text("completion", shell).out


def test_doctor_finds_a_fit_server_fit(shop: Cli) -> None:
    ran: Ran = shop.run("doctor")
    assert (ran.code, ran.told["ok"]) == (0, True), ran
    assert {"engine", "HAProxy", "ledger", "disk"} <= {finding["name"] for finding in ran.told["findings"]}


def test_the_kept_tag_of_every_instance_is_there(shop: Cli) -> None:
    """A rollback target keeps its image, whatever cleans up."""
    kept = {tag for tag in support.image_tags(shop.api) if tag.startswith("deployctl/shop:")}
    for instance in shop.app("shop")["instances"]:
        assert any(f":r{instance['release']}-" in tag for tag in kept)
