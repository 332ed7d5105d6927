"""HAProxy serves on when everything that stood in the control group of its starter was killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployctl.effects.haproxy.master import find_family, find_master, members
from deployctl.effects.haproxy.process import HaproxyProcess, group_name
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.linux.outlive import LinuxHost
from deployctl.effects.linux.system_clock import SystemClock
from tests.counting import calls
from tests.proxies import BLOG, SHOP, Proxy, ask, proxy, wait_for
from tests.support import free_port

HIERARCHIES = [Path("/sys/fs/cgroup", name) for name in ("systemd", "freezer", "unified", "")]
IN_A_GROUP = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from deployctl.domain.host.server import ServerSpec
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.process import HaproxyProcess
from deployctl.effects.haproxy.socket.runtime import HaproxySockets
from deployctl.effects.linux.system_clock import SystemClock
home = HaproxyHome(Path(sys.argv[2]))
HaproxyProcess(home, ServerSpec(haproxy_binary=sys.argv[3] or None), HaproxySockets(home), SystemClock()).start()
"""


@pytest.fixture
def job() -> Iterator[Path]:
    """A control group as a CI job or a login has one."""
    if Path("/run/systemd/system").exists():
        pytest.skip("systemd is in charge of control groups here")
    for hierarchy in HIERARCHIES:
        group = hierarchy / f"job-{uuid.uuid4().hex[:8]}.service"
        with suppress(OSError):
            group.mkdir()
            if (group / "cgroup.procs").exists():
                break
            group.rmdir()
    else:
        pytest.skip("no control group can be made here")
    yield group
    kill_all(group)
    wait_for(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def kill_all(group: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def start_in(group: Path, world: Proxy) -> None:
    words = [sys.executable, "-c", IN_A_GROUP, str(group), str(world.folder), world.spec.haproxy_binary or ""]
    subprocess.run(words, check=True, timeout=60)


def test_visitors_are_served_after_the_group_of_the_starter_was_killed(job: Path) -> None:
    with proxy() as world:
        world.traffic().switch(SHOP, 1)
        world.traffic().stop()
        start_in(job, world)
        master = find_master(world.home)
        assert world.traffic().frailties() == ()
        kill_all(job)
        wait_for(lambda: not (job / "cgroup.procs").read_text())
        assert ask(world.port(SHOP))[:2] == (200, "shop.1")
        assert find_master(world.home) == master


def test_one_that_an_earlier_command_left_in_a_group_is_moved_by_the_next(job: Path) -> None:
    with proxy() as world:
        world.traffic().switch(SHOP, 1)
        for pid in members(world.home):
            (job / "cgroup.procs").write_text(str(pid))
        assert [frail.subject for frail in world.traffic().frailties()] in ([f"/{job.name}"], [])  # freezer ends nobody
        world.traffic().ensure_up()
        assert not (job / "cgroup.procs").read_text()
        world.traffic().stop()
        assert not list(job.parent.glob(f"deployctl-{group_name(world.home)}")), "an empty group was left behind"


def test_one_that_only_finishes_what_it_holds_is_moved_too(job: Path) -> None:
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        with socket.create_connection(("127.0.0.1", world.port(SHOP)), 10) as held:
            held.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: traffic.in_flight(SHOP, 1))
            world.ledger.listen(BLOG, free_port())
            traffic.sync()
            leaving = members(world.home)
            assert len(leaving) == 3, "master, worker, and the one before"
            for pid in leaving:
                (job / "cgroup.procs").write_text(str(pid))
            traffic.ensure_up()
            assert not (job / "cgroup.procs").read_text()


def test_a_living_haproxy_is_looked_after_without_a_look_at_anybody_elses_process() -> None:
    """It is on the way of every `status`, and of each rollback whose HAProxy looks dead."""
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        found = calls(traffic.ensure_up, "haproxy_master.processes", "haproxy_master._command")
        assert found["haproxy_master.processes"] == 0
        assert found["haproxy_master._command"] <= 8, "master, worker and the master's parent, for two questions"


def test_where_it_listens_is_read_once_and_only_of_the_protocol_that_it_listens_by() -> None:
    """For one table the kernel walks all that it could have, some milliseconds; every `status APP` asks."""
    with proxy() as world:
        traffic = world.traffic()
        traffic.switch(SHOP, 1)
        assert calls(traffic.drift, "proc_net.read") == {"proc_net.read": 1}
        world.ledger.listen(SHOP, free_port(), address="::1")
        traffic.sync()
        found = calls(lambda: traffic.drift() == [] or pytest.fail("it is not heard"), "proc_net.read")
        assert found == {"proc_net.read": 2}


def test_its_processes_are_found_without_its_pid_file_too() -> None:
    with proxy() as world:
        world.traffic().switch(SHOP, 1)
        everybody = sorted(members(world.home))
        assert sorted(find_family(world.home)) == everybody
        world.home.pid.unlink()
        assert sorted(find_family(world.home)) == everybody


def test_a_systemd_that_refuses_a_unit_keeps_nobody_from_being_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bus, no rights: HAProxy is started without a unit."""
    refusing = tmp_path / "systemd-run"
    refusing.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\necho "Failed to connect to bus" >&2\nexit 1\n')
    refusing.chmod(0o755)
    with proxy() as world:
        world.traffic().switch(SHOP, 1)
        world.traffic().stop()
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        HaproxyProcess(world.home, world.spec, HaproxySockets(world.home), SystemClock(), LinuxHost(booted=tmp_path)).start()
        assert (tmp_path / "asked").read_text().split()[-2:] == ["-f", str(world.home.config)]
        assert world.ask(SHOP) == (200, "shop.1")
