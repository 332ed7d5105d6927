"""Commands in containers by the API: what they print is for admins of the app, and each ends in time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role
from deployctl.ports import Executed
from deployctl.ports.inside import Streams
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.results import Done
from deployctl_web.live.command_output import MAX_OUTPUT_BYTES, collect
from tests.unit.api_world import Program
from tests.unit.test_backing import KEYS, V16
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP, YES, runnable

EXEC, RUN = "apps/shop/exec", "apps/shop/run"
SECRET = "--password=canary-51c"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1") as made:
        made.w.engine.executes = lambda container, command: Executed(3, f"{' '.join(command)} in {container.name}\n")
        yield made


def test_what_it_printed_and_how_it_ended_is_in_the_result(shop: Site) -> None:
    done = Program(shop).post(EXEC, {"command": ["bin/report", "now"]}, wait=10).get_json()
    assert (done["kind"], done["app"], done["summary"]) == ("Exec", "shop", "bin/report ended with exit code 3")
    assert done["exit_code"] == 3
    assert done["stdout"].startswith("bin/report now in shop--v1")
    assert (done["stderr"], done["truncated"]) == ("", False)
    ran = Program(shop, "other").post(RUN, {"command": ["bin/migrate"]}, wait=10).get_json()
    assert (ran["kind"], ran["exit_code"]) == ("Run", 0)
    assert shop.w.engine.inside().one_offs() == []


def test_a_backing_component_is_entered_by_its_path_or_its_name(shop: Site) -> None:
    shop.w.engine.images.add("postgres:16", image=runnable("postgres:16"))
    shop.w.edit(**KEYS)
    shop.w.upgraded("v1")
    assert V16 in {one.version for one in shop.w.ledger.releases("shop/db")}  # type: ignore[arg-type]
    ci = Program(shop)
    for path, body in (("apps/shop/components/db/exec", {}), (EXEC, {"component": "db"})):
        done = ci.post(path, {"command": ["psql"], **body}, wait=10).get_json()
        assert (done["app"], done["stdout"].startswith("psql in shop--db--16")) == ("shop/db", True)
    assert ci.post(EXEC, {"command": ["psql"], "component": "nothing"}, wait=10).status_code == 404
    upgrade("shop/db", V16, shop.w.s, options=YES)  # type: ignore[arg-type]


def test_the_audit_has_the_program_and_not_its_arguments_and_no_key_keeps_what_was_printed(shop: Site) -> None:
    ci = Program(shop)
    body = {"command": ["psql", SECRET]}
    assert SECRET in ci.post(EXEC, body, wait=10, key="once").get_json()["stdout"]
    again = ci.post(EXEC, body, wait=10, key="once")
    assert (again.status_code, again.get_json()["code"]) == (409, "shown_once")
    assert SECRET not in "\n".join(shop.w.ledger.db.raw.iterdump())
    [entry] = [one for one in ci.get("audit").get_json()["entries"] if one["what"] == "command_exec"]
    assert (entry["app"], entry["who"].startswith("ci")) == ("shop", True)


@pytest.mark.parametrize(("role", "apps", "status"), [
    (Role.VIEWER, ["shop"], 403), (Role.DEPLOYER, ["shop"], 403), (Role.ADMIN, ["shop"], 200), (Role.ADMIN, ["blog"], 404)])
def test_it_needs_an_admin_of_that_app(shop: Site, role: Role, apps: list[str], status: int) -> None:
    ci = Program(shop, "narrow", role, *apps)
    for path in (EXEC, RUN):
        assert ci.post(path, {"command": ["true"]}, wait=10).status_code == status


def test_what_it_printed_is_not_for_those_who_may_only_deploy(shop: Site) -> None:
    ci, deployer = Program(shop), Program(shop, "deployer", Role.DEPLOYER, "shop")
    printed = Done("Exec", "shop", "done", extra={"stdout": "rows"})
    job = shop.web_state.jobs.begin("exec", SHOP, "ci (token)", lambda _s: printed)
    assert job.wait(10)
    assert ci.get(f"operations/{job.id}").status_code == 200
    assert deployer.get(f"operations/{job.id}").status_code == 404


@pytest.mark.parametrize("body", [{}, {"command": []}, {"command": ["", "x"]}, {"command": "ls -l"}, {"command": ["a\0b"]},
                                  {"command": ["x"] * 65}, {"command": ["true"], "timeout": 0}, {"command": ["x" * 5000]}])
def test_what_is_no_command_is_refused(shop: Site, body: dict[str, object]) -> None:
    assert Program(shop).post(EXEC, body).status_code == 400


# -- collecting ------------------------------------------------------------------------------------------------------
def test_more_than_there_is_room_for_is_read_and_dropped() -> None:
    def run(streams: Streams) -> int:
        for _ in range(40):
            os.write(streams.stdout, b"x" * 10_000)
        os.write(streams.stderr, b"\xffdone")
        return 0

    found = collect(run, seconds=10)
    assert (len(found.stdout), found.stderr, found.truncated, found.exit_code) == (MAX_OUTPUT_BYTES, "\ufffddone", True, 0)


def test_when_its_time_is_over_it_is_told_and_what_it_printed_is_kept() -> None:
    def run(streams: Streams) -> int:
        os.write(streams.stdout, b"so far")
        assert streams.gone is not None
        os.read(streams.gone, 1)  # as an engine waits for it
        return 137

    began = time.monotonic()
    found = collect(run, seconds=0.1)
    assert (found.exit_code, found.stdout, found.truncated) == (None, "so far", False)
    assert time.monotonic() - began < 5


def test_what_goes_wrong_is_raised_and_leaves_no_descriptor_open() -> None:
    def run(streams: Streams) -> int:
        raise ValueError("engine")

    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        with pytest.raises(ValueError, match="engine"):
            collect(run, seconds=10)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
