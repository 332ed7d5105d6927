"""A home goes where its folder goes: what runs goes on, and two copies of one home never change the same containers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from tests import support
from tests.e2e.cli import Cli, home_of_a_person, processes, run_program, wait_until


@pytest.fixture
def town(engine_url: str, images: None) -> Iterator[tuple[Cli, Path]]:
    """shop: v2 serves, v1 is warm; and a place that the home can be moved to. It comes back before it is taken apart."""
    with home_of_a_person(engine_url) as found:
        found.serving("shop", "v1")
        found.do("upgrade", "shop", "v2")
        place = found.home.with_name(f"{found.home.name}-moved")
        try:
            yield found, place
        finally:
            if found.home.is_symlink():
                found.home.unlink()
            if place.exists() and not found.home.exists():
                place.rename(found.home)
            shutil.rmtree(place, ignore_errors=True)
            run_program(found.home, "status")  # its HAProxy comes back, too
            support.remove_labelled(found.api, f"deployctl.home={place}")


def leave_a_link(home: Path, place: Path) -> None:
    home.rename(place)
    home.symlink_to(place)


def leave_nothing(home: Path, place: Path) -> None:
    home.rename(place)


def copy(home: Path, place: Path) -> None:
    """Copy what is a file; sockets are none."""
    shutil.copytree(home, place, ignore=lambda folder, names: [name for name in names if Path(folder, name).is_socket()])


def go_to_another_disk(home: Path, place: Path) -> None:
    """Copy and remove, as between two disks: sockets do not come along."""
    copy(home, place)
    shutil.rmtree(home)


@pytest.mark.parametrize("move", [leave_a_link, leave_nothing, go_to_another_disk])
def test_a_moved_home_goes_on_with_all_that_it_made(town: tuple[Cli, Path], move: object) -> None:
    cli, place = town
    move(cli.home, place)  # type: ignore[operator]
    said = run_program(place, "-o", "json", "status", "shop").told["apps"][0]
    assert (said["active"]["version"], said["standby"]["version"], said["standby"]["warm"]) == ("v2", "v1", True)
    assert (said["state"], said["drift"]) == ("healthy", [])
    back = run_program(place, "-o", "json", "rollback", "shop")
    assert (back.code, back.told["to"]) == (0, "v1")
    assert cli.get("shop").version == "v1"
    assert run_program(place, "-o", "json", "reconcile", "--dry-run").told["lines"] == []
    assert run_program(place, "-o", "json", "upgrade", "shop", "v3").code == 0  # needs a container, a server, a network
    assert cli.get("shop").version == "v3"
    homes = {c["Labels"]["deployctl.home"] for c in cli.api.containers(all=True, filters={"label": "deployctl.app=shop"})}
    assert {str(cli.home), str(place)} <= homes


def test_visitors_lose_nothing_while_haproxy_follows_its_home(town: tuple[Cli, Path]) -> None:
    cli, place = town
    with cli.visitors("shop") as visitors:
        sleep(0.5)  # some come before it moves
        leave_nothing(cli.home, place)
        assert run_program(place, "-o", "json", "status").code == 0
        assert run_program(place, "-o", "json", "rollback", "shop").code == 0
        assert cli.get("shop").version == "v1"
        sleep(0.5)  # and some afterwards
    assert visitors.count.lost == 0
    assert {"v1", "v2"} <= set(visitors.count.by_version)
    wait_until(lambda: not processes(str(cli.home / "state/haproxy/haproxy.cfg")), what="the former HAProxy's end")
    assert len(processes(str(place / "state/haproxy/haproxy.cfg"))) >= 2


def test_a_copy_of_a_living_home_refuses_and_says_what_to_type(town: tuple[Cli, Path]) -> None:
    cli, place = town
    copy(cli.home, place)
    for words in (("status",), ("rollback", "shop"), ("ledger", "rebuild", "--force")):
        ran = run_program(place, "-o", "json", *words)
        assert (ran.code, ran.told["error"]["code"]) == (5, "copied_home"), ran
        assert str(cli.home) in ran.message
        assert any(str(place) in line for line in ran.told["error"]["remedy"])
    assert cli.do("rollback", "shop")["to"] == "v1"  # the home itself goes on


def test_the_copy_takes_the_place_of_a_home_that_is_put_aside(town: tuple[Cli, Path]) -> None:
    cli, place = town
    copy(cli.home, place)
    aside = cli.home.with_name(f"{cli.home.name}-aside")
    cli.home.rename(aside)
    assert run_program(place, "-o", "json", "rollback", "shop").told["to"] == "v1"
    assert run_program(place, "-o", "json", "upgrade", "shop", "v3").told["ok"]
    aside.rename(cli.home)
    assert run_program(place, "-o", "json", "status").told["error"]["code"] == "copied_home"
    assert cli.refused(5, "rollback", "shop").told["error"]["code"] == "copied_home"  # the copy's container tells
    shutil.rmtree(cli.home)


def test_a_look_at_a_folder_without_a_home_makes_nothing_and_names_where_the_homes_are(cli: Cli, tmp_path: Path) -> None:
    cli.serving("shop", "v1")
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "DEPLOYCTL_HOME": str(tmp_path / "nowhere")}
    for words in (("status",), ("doctor",), ("app", "list"), ("rollback", "shop"), ("history", "shop"), ("audit",)):
        ran = run_program(tmp_path / "nowhere", *words, env=env)
        assert str(tmp_path / "nowhere") in f"{ran.out}{ran.err}", ran
    assert list(tmp_path.rglob("*")) == []
    said = run_program(tmp_path / "nowhere", "status", env=env)
    assert said.code == 0
    assert str(cli.home) in said.out
    told = run_program(tmp_path / "nowhere", "-o", "json", "status", env=env).told
    assert str(cli.home) in [home["path"] for home in told["other_homes"]]
    assert told["home"] == str(tmp_path / "nowhere")


def test_a_rebuild_that_finds_nothing_says_so(engine_url: str) -> None:
    with home_of_a_person(engine_url) as bare:
        ran = bare.refused(3, "ledger", "rebuild", "--force")
        assert str(bare.home) in ran.message
        assert not (bare.home / "state/ledger.db").exists()


def test_the_doctor_tells_a_haproxy_whose_home_is_gone(cli: Cli) -> None:
    cli.serving("shop", "v1")
    aside = cli.home.with_name(f"{cli.home.name}-lost")
    (cli.home / "state").rename(aside)
    (cli.home / "state").mkdir(mode=0o700)
    try:
        said = cli.text("doctor")
        assert "All checks passed" not in said.out
    finally:
        shutil.rmtree(cli.home / "state")
        aside.rename(cli.home / "state")
    assert cli.app("shop")["state"] == "healthy"
