"""When everything else is dead: no ledger, no Docker, a frozen process of ours. HAProxy's socket and files are enough."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.e2e.cli import Cli, Ran, wait_until

NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
HOLDS_THE_LOCK = """
import fcntl, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(handle, fcntl.LOCK_EX)
os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
print("held", flush=True)
time.sleep(120)
"""


@pytest.fixture
def town(cli: Cli, request: pytest.FixtureRequest) -> Iterator[tuple[Cli, str]]:
    """An app of its own: v3 serves, v2 and v1 are warm."""
    app = f"e{crc32(request.node.name.encode())}"
    cli.serving(app, "v1", keep_warm=2)
    cli.do("upgrade", app, "v2")
    cli.do("upgrade", app, "v3")
    yield cli, app
    cli.do("app", "remove", app, "-y")


@contextmanager
def no_ledger(cli: Cli) -> Iterator[None]:
    """Move the ledger away, and back."""
    state = cli.home / "state"
    hidden = state.parent / "hidden"
    hidden.mkdir()
    for file in state.glob("ledger.db*"):
        file.rename(hidden / file.name)
    try:
        yield
    finally:
        assert not list(state.glob("ledger.db*")), "somebody made a ledger"
        for file in hidden.iterdir():
            file.rename(state / file.name)
        hidden.rmdir()


def flip(cli: Cli, app: str, version: str, *more: str) -> dict[str, Any]:
    return cli.do("emergency", "flip", app, version, *more, env=NO_DOCKER)


def notes(cli: Cli) -> Path:
    return cli.home / "state/haproxy/emergency.jsonl"


def kinds(cli: Cli, app: str) -> list[str]:
    return [change["action"] for change in cli.do("history", app)["changes"]]


# -- without ledger and Docker --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("verb", "serves"), [("status", "v2"), ("rollback", "v1"), ("undo", "v3"), ("upgrade", "v1")])
def test_a_flip_loses_nobody_and_the_next_command_takes_it_over(town: tuple[Cli, str], verb: str, serves: str) -> None:
    cli, app = town
    with cli.visitors(app, 100) as visitors:
        time.sleep(0.5)  # some come before
        with no_ledger(cli):
            told = flip(cli, app, "v2", "-m", "all is dead")
            assert (told["kind"], told["from"], told["to"], told["confirmed"]) == ("EmergencyFlip", "v3", "v2", True)
            assert cli.get(app).version == "v2"
            assert cli.route(app) == cli.written_route(app) == told["release"]
        cli.do(verb, *([app, "v1"] if verb == "upgrade" else [app]))
        assert cli.get(app).version == cli.active(app) == serves
    assert visitors.count.lost == 0
    assert {"v3", "v2"} <= set(visitors.count.by_version)
    change = next(c for c in cli.do("history", app)["changes"] if c["action"] == "emergency")
    assert (change["from_version"], change["to_version"], change["note"]) == ("v3", "v2", "all is dead")
    assert change["actor"].endswith("(emergency)")
    assert not notes(cli).exists()


def test_a_corrupt_ledger_is_neither_read_nor_written(town: tuple[Cli, str]) -> None:
    cli, app = town
    ledger = cli.home / "state/ledger.db"
    good = ledger.read_bytes()
    ledger.write_bytes(b"garbage" * 1000)
    try:
        flip(cli, app, "v1")
        assert ledger.read_bytes() == b"garbage" * 1000
        assert cli.get(app).version == "v1"
    finally:
        ledger.write_bytes(good)
    assert cli.active(app) == "v1"


def test_a_move_by_hand_is_taken_over_as_drift(town: tuple[Cli, str]) -> None:
    cli, app = town
    release = next(i["release"] for i in cli.app(app)["instances"] if i["version"] == "v2")
    cli.haproxy(f"set map route.map {app} {release}")
    assert cli.route(app) == release
    assert "traffic_elsewhere" in {note["code"] for note in cli.app(app)["notices"]}
    assert cli.do("upgrade", app, "v2")["changed"] is False
    assert (kinds(cli, app)[0], cli.active(app)) == ("drift", "v2")


# -- what is refused --------------------------------------------------------------------------------------------------
def test_what_the_maps_do_not_know_is_refused_with_what_they_know(town: tuple[Cli, str]) -> None:
    cli, app = town
    with no_ledger(cli):
        ran = cli.refused(3, "emergency", "flip", app, "v9", env=NO_DOCKER)
        assert "it has v1, v2, v3" in ran.message
        ran = cli.refused(3, "emergency", "flip", "nobody", "v1", env=NO_DOCKER)
        assert app in ran.message
        cli.refused(2, "emergency", "flip", app, "v1;reload", env=NO_DOCKER)
    assert cli.active(app) == "v3"
    assert not notes(cli).exists()


def test_a_home_where_haproxy_never_ran_gets_no_files(tmp_path: Path, cli: Cli) -> None:
    ran: Ran = cli.refused(3, "--home", str(tmp_path), "emergency", "flip", "shop", "v1", env=NO_DOCKER)
    assert "has never run" in ran.message
    assert list(tmp_path.iterdir()) == []


def test_a_held_version_gets_the_traffic_with_a_warning(town: tuple[Cli, str]) -> None:
    cli, app = town
    cli.do("hold", app, "v2")
    with no_ledger(cli):
        assert any("on hold" in warning for warning in flip(cli, app, "v2")["warnings"])
    assert cli.active(app) == "v2"


def test_a_version_whose_container_died_gets_traffic_only_by_force(town: tuple[Cli, str]) -> None:
    cli, app = town
    cli.api.kill(cli.inspect(app, "v2")["Id"])
    ran = cli.refused(5, "emergency", "flip", app, "v2", env=NO_DOCKER)
    assert "is not responding at" in ran.message
    assert cli.get(app).version == "v3"
    assert flip(cli, app, "v2", "--force")["warnings"]
    assert cli.get(app).status == 503
    flip(cli, app, "v3")
    assert cli.get(app).version == "v3"


# -- HAProxy itself -----------------------------------------------------------------------------------------------------
def test_a_dead_haproxy_is_started_and_serves_that_version(town: tuple[Cli, str]) -> None:
    cli, app = town
    for pid in cli.proxies():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cli.proxies(), what="HAProxy's end")
    with no_ledger(cli):
        assert flip(cli, app, "v1")["started"] is True
    assert cli.get(app).version == cli.active(app) == "v1"


def test_a_haproxy_that_cannot_start_is_told_with_the_command_that_starts_it(town: tuple[Cli, str]) -> None:
    cli, app = town
    for pid in cli.proxies():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cli.proxies(), what="HAProxy's end")
    config = cli.home / "state/haproxy/haproxy.cfg"
    good = config.read_text()
    config.write_text(good.replace("frontend pub", "frontend pub\n  nonsense"))
    try:
        ran = cli.refused(7, "emergency", "flip", app, "v1", env=NO_DOCKER)
        assert "HAProxy is not running and could not be started" in ran.message
        assert any(str(config) in word for word in ran.told["error"]["remedy"])
    finally:
        config.write_text(good)
    assert cli.active(app) == "v1"


def test_without_its_sockets_haproxy_reads_the_file(town: tuple[Cli, str]) -> None:
    cli, app = town
    with cli.visitors(app) as visitors:
        for name in ("haproxy.sock", "master.sock"):
            (cli.home / "state/haproxy" / name).unlink()
        flip(cli, app, "v2")
        assert cli.get(app).version == "v2"
    assert visitors.count.lost == 0
    assert cli.active(app) == "v2"


# -- another process of ours ----------------------------------------------------------------------------------------------
@contextmanager
def holder(cli: Cli) -> Iterator[subprocess.Popen[bytes]]:
    """Hold the lock of HAProxy's files in a process of its own."""
    lock = cli.home / "state/haproxy/lock"
    with subprocess.Popen([sys.executable, "-c", HOLDS_THE_LOCK, str(lock)], stdout=subprocess.PIPE) as found:
        assert found.stdout is not None
        try:
            assert found.stdout.readline()
            yield found
        finally:
            found.kill()


def test_whoever_holds_the_lock_is_told_and_force_goes_past_it(town: tuple[Cli, str]) -> None:
    cli, app = town
    with holder(cli) as other:
        ran = cli.refused(7, "emergency", "flip", app, "v2", env=NO_DOCKER)
        assert str(other.pid) in ran.message
        assert any("--force" in remedy for remedy in ran.told["error"]["remedy"])
        assert cli.get(app).version == "v3"
        told = flip(cli, app, "v2", "--force")
        assert any("without the lock" in warning for warning in told["warnings"])
        assert cli.get(app).version == "v2"
        assert other.poll() is None
    assert cli.active(app) == "v2"


def test_a_frozen_holder_of_the_lock_stops_no_flip(town: tuple[Cli, str]) -> None:
    cli, app = town
    with holder(cli) as other:
        other.send_signal(signal.SIGSTOP)
        assert flip(cli, app, "v2")["warnings"] == []
        assert cli.get(app).version == "v2"
    assert cli.active(app) == "v2"


def test_a_person_reads_what_is_so_and_what_comes_next(town: tuple[Cli, str]) -> None:
    cli, app = town
    with no_ledger(cli):
        ran = cli.text("emergency", "flip", app, "v2", env=NO_DOCKER)
    assert ran.code == 0
    assert ran.out.startswith(f"✓ {app} v2 is live instead of v3, confirmed by HAProxy in ")
    assert f"deployctl status {app}" in ran.out
