"""Manual changes to containers, files, ports and the ledger: reported, survived, and repaired by one command."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.e2e.cli import Cli, home_of_a_person
from tests.images import ensure_images
from tests.support import free_port


@pytest.fixture(scope="module")
def town(cli: Cli, engine_url: str) -> Cli:
    ensure_images(("crash", "v1"), base_url=engine_url)
    return cli


def two_versions(town: Cli, app: str) -> str:
    """Let v2 serve with v1 warm, and return v2's container."""
    town.serving(app)
    town.do("upgrade", app, "v2")
    return str(town.inspect(app, "v2")["Id"])


# -- containers ---------------------------------------------------------------------------------------------------------
def test_an_active_container_that_a_person_ends_is_told_and_comes_back(town: Cli) -> None:
    container = two_versions(town, "ended")
    colours = "green", "blue"
    for end in (town.api.kill, partial(town.api.remove_container, force=True)):
        end(container)
        seen = town.app("ended")
        assert (seen["state"], seen["active"]["health"], seen["standby"]["warm"]) == ("down", "failing", True)
        assert town.get("ended").status == 503
        assert town.do("upgrade", "ended", "v2")["to"] == town.get("ended").version == "v2"
        after = town.settled("ended")
        assert (after["state"], after["active"]["colour"], after["standby"]["colour"]) == ("healthy", *colours)


def test_from_an_active_container_that_is_gone_the_way_back_is_as_quick_as_ever(town: Cli) -> None:
    town.api.remove_container(two_versions(town, "hurt"), force=True)
    told = town.do("rollback", "hurt")
    assert (told["to"], told["confirmed"], town.get("hurt").version) == ("v1", True, "v1")
    assert told["total_ms"] < 2000


def made_again(town: Cli, app: str, version: str, *, image: str) -> None:
    """Do what Watchtower does: the same name, labels and address, another image."""
    was = town.inspect(app, version)
    town.api.remove_container(was["Id"], force=True)
    ((network, had),) = was["NetworkSettings"]["Networks"].items()
    body = {**was["Config"], "Image": image, "HostConfig": was["HostConfig"],
            "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": had["IPAMConfig"]}}}}
    create: Any = town.api.create_container_from_config  # has no types
    made = create(body, was["Name"].removeprefix("/"))
    town.api.start(made["Id"])


def test_what_another_tool_made_again_of_another_image_gets_no_traffic_and_is_made_anew(town: Cli) -> None:
    two_versions(town, "again")
    own = {version: town.inspect("again", version)["Image"] for version in ("v1", "v2")}
    made_again(town, "again", "v2", image=own["v1"])
    [drift] = town.app("again")["drifts"]
    assert (drift["code"], drift["release"]) == ("other_image", 2)
    town.do("ledger", "rebuild", "--force")
    town.do("reconcile", "again")
    assert (town.get("again").version, town.inspect("again", "v2")["Image"]) == ("v2", own["v2"])
    made_again(town, "again", "v1", image=own["v2"])
    town.refused(5, "rollback", "again")
    town.do("rollback", "again", "-y")
    assert (town.get("again").version, town.inspect("again", "v1")["Image"]) == ("v1", own["v1"])


def test_a_standby_that_got_another_address_gets_no_traffic(town: Cli) -> None:
    two_versions(town, "moved")
    container = town.inspect("moved", "v1")
    ((network, had),) = container["NetworkSettings"]["Networks"].items()
    other = had["IPAddress"].rpartition(".")[0] + "." + str(int(had["IPAddress"].rpartition(".")[2]) + 40)
    town.api.disconnect_container_from_network(container["Id"], network)
    town.api.connect_container_to_network(container["Id"], network, ipv4_address=other)
    assert town.app("moved")["standby"]["health"] == "failing"
    with town.visitors("moved") as visitors:
        town.refused(5, "rollback", "moved")
        ran = town.refused(1, "rollback", "moved", "-y")
        assert town.active("moved") == "v2"
    assert "reconnected" in ran.message
    assert visitors.count.lost == 0


def test_a_name_that_somebody_else_took_is_not_adopted(town: Cli) -> None:
    town.serving("squat")
    name = town.inspect("squat", "v1")["Name"].lstrip("/").replace("--v1--r1--", "--v2--r2--")
    stranger = town.api.create_container("dctl-test/web:v1", name=name, labels={"deployctl.test": "1"})["Id"]
    try:
        ran = town.refused(1, "upgrade", "squat", "v2")
        assert name in ran.message
        assert town.api.inspect_container(stranger)["State"]["Status"] == "created"
        assert town.active("squat") == "v1"
    finally:
        town.api.remove_container(stranger, force=True)
    assert town.do("upgrade", "squat", "v2")["to"] == "v2"


# -- files ----------------------------------------------------------------------------------------------------------------
def test_going_back_needs_no_file_and_other_apps_do_not_care(town: Cli) -> None:
    two_versions(town, "lost")
    file = town.home / "config/lost.toml"
    for harm in (file.unlink, lambda: file.write_text("port = [")):
        harm()
        assert town.do("rollback", "lost")["to"] == "v1"
        assert town.do("undo", "lost")["to"] == "v2"
        ran = town.refused(2 if file.exists() else 3, "upgrade", "lost", "v3")
        assert "config/lost.toml" in ran.message
        assert ran.told["serving"]["version"] == "v2"
        town.serving(f"beside-{file.exists()}".lower())


def test_a_ledger_that_cannot_be_trusted_stops_every_change_and_no_visitor(town: Cli, engine_url: str) -> None:
    with home_of_a_person(engine_url) as other:
        two_versions(other, "shop")
        ledger = other.home / "state/ledger.db"
        good = ledger.read_bytes()
        with other.visitors("shop") as visitors:
            for bad in (b"", b"garbage" * 1000, good[:4096]):
                ledger.write_bytes(bad)
                for words in (("status",), ("rollback", "shop"), ("upgrade", "shop", "v1")):
                    assert other.refused(7, *words).told["error"]["code"] == "ledger_unusable"
                assert ledger.read_bytes() == bad, "evidence was destroyed"
        assert visitors.count.lost == 0
        assert set(visitors.count.by_version) == {"v2"}
        ledger.write_bytes(good)
        assert other.do("rollback", "shop")["to"] == other.get("shop").version == "v1"


# -- addresses --------------------------------------------------------------------------------------------------------------
def test_an_address_that_another_program_has_is_refused_before_anything_is_made(town: Cli) -> None:
    objects = town.objects()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        town.ports["late"] = stranger.getsockname()[1]
        town.write("late")
        ran = town.refused(1, "upgrade", "late", "v1")
    assert ran.told["error"]["code"] == "address_taken"
    assert town.objects() == objects
    assert town.do("upgrade", "late", "v1")["to"] == town.get("late").version == "v1"


def test_a_changed_address_comes_with_the_upgrade_and_goes_with_its_failure(town: Cli) -> None:
    two_versions(town, "mover")
    former, town.ports["mover"] = town.ports["mover"], free_port()
    town.write("mover", watch="6s")
    town.refused(5, "upgrade", "mover", "v3", "--image", "dctl-test/crash:v1")
    town.refused(9, "upgrade", "mover", "v3", "--image", "dctl-test/crash:v1", "-y")
    assert town.get("mover", port=former).version == "v2"
    with pytest.raises(ConnectionRefusedError):
        town.get("mover")
    town.write("mover")
    town.do("upgrade", "mover", "v1", "-y")
    assert town.get("mover").version == "v1"
    with pytest.raises(ConnectionRefusedError):
        town.get("mover", port=former)


def test_hosts_are_routed_by_name_and_a_stranger_gets_nobody(town: Cli) -> None:
    port = int((town.home / "config/server.toml").read_text().rpartition('http = "127.0.0.1:')[2].split('"')[0])
    for app, version in (("first", "v1"), ("second", "v2")):
        town.serving(app, version, host=[f"{app}.test", f"www.{app}.test"])
    town.do("upgrade", "first", "v3")
    expected = {"first.test": "v3", "WWW.First.Test": "v3", "first.test:8080": "v3", "second.test": "v2"}
    for host, version in expected.items():
        assert town.get("first", port=port, Host=host).version == version, host
    for host in ("evil.test", "first", "first.test.evil.test", ""):
        answer = town.get("first", port=port, Host=host)
        assert (answer.status, answer.version) == (404, None), host
    town.do("rollback", "first")
    assert town.get("first", port=port, Host="first.test").version == "v1"
    assert town.get("second", port=port, Host="first.test", X_Deployctl_Version="v2").version == "v1"


def test_two_homes_cannot_take_each_others_address(town: Cli, engine_url: str) -> None:
    town.serving("mine")
    with ExitStack() as stack:
        other = stack.enter_context(home_of_a_person(engine_url))
        other.ports["theirs"] = town.ports["mine"]
        other.write("theirs")
        assert other.refused(1, "upgrade", "theirs", "v1").told["error"]["code"] == "address_taken"
        assert other.containers() == []
    assert town.get("mine").version == "v1"
