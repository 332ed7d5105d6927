"""Where a process goes so that it outlives its starter, by what the machine looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployctl.domain.proxy.endurance import Frail, Frailty
from deployctl.effects.linux.outlive import LinuxHost, bus_environment

V2 = "0::{}"
V1 = "4:memory:/jobs/7\n3:cpu,cpuacct:{}\n1:name=systemd:{}"


@pytest.fixture
def machine(tmp_path: Path) -> LinuxHost:
    for folder in ("proc/1", "proc/7", "proc/self", f"proc/{os.getpid()}", "linger"):
        (tmp_path / folder).mkdir(parents=True)
    made = LinuxHost(tmp_path / "booted", tmp_path / "proc", tmp_path / "linger")
    tell(made, 1, V2.format("/"))
    return made


def tell(machine: LinuxHost, pid: int, groups: str) -> None:
    (machine.proc / str(pid) / "cgroup").write_text(groups + "\n")


# -- where systemd is ---------------------------------------------------------------------------------------------
def stand_in(folder: Path) -> Path:
    """A systemd-run that notes its arguments and becomes what it was to start, as the real one does with --scope."""
    program = folder / "systemd-run"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.args"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    program.chmod(0o755)
    return program


def test_where_systemd_is_it_gets_a_unit_of_its_own(machine: LinuxHost, tmp_path: Path) -> None:
    machine.booted.mkdir()
    program = stand_in(tmp_path)
    words = [sys.executable, "-c", "print('started')", "a b", "$HOME", "%h"]
    command = machine.wrapped(words, "haproxy-abc", {"PATH": str(tmp_path)})
    assert command is not None
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "started\n"
    asked = Path(f"{program}.args").read_text().splitlines()
    user = [] if os.geteuid() == 0 else ["--user"]
    assert asked[: len(user) + 3] == [*user, "--scope", "--quiet", "--collect"]
    assert asked[len(user) + 3].startswith("--unit=deployctl-haproxy-abc-")
    assert asked[len(user) + 4 :] == ["--", *words]


def test_where_systemd_is_nothing_is_moved_so_nobody_is_looked_for(machine: LinuxHost) -> None:
    assert machine.moves
    machine.booted.mkdir()
    assert not machine.moves


def test_each_start_is_another_unit_because_the_former_one_may_still_finish_requests(machine: LinuxHost,
                                                                                     tmp_path: Path) -> None:
    machine.booted.mkdir()
    stand_in(tmp_path)
    first, second = (machine.wrapped(["x"], "haproxy-abc", {"PATH": str(tmp_path)}) for _ in range(2))
    assert first != second


@pytest.mark.parametrize("booted", [True, False])
def test_without_systemd_or_its_program_no_unit_is_asked_for(machine: LinuxHost, tmp_path: Path, booted: bool) -> None:
    if booted:
        machine.booted.mkdir()
    else:
        stand_in(tmp_path)
    assert machine.wrapped(["x"], "haproxy-abc", {"PATH": str(tmp_path)}) is None


def test_in_the_watchers_unit_a_user_asks_for_no_other(
    machine: LinuxHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.booted.mkdir()
    stand_in(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    tell(machine, os.getpid(), V2.format("/system.slice/deployctl.service"))
    assert machine.wrapped(["x"], "haproxy-abc", {"PATH": str(tmp_path)}) is None
    tell(machine, os.getpid(), V2.format("/user.slice/user-1000.slice/session-3.scope"))
    command = machine.wrapped(["x"], "haproxy-abc", {"PATH": str(tmp_path)})
    assert command is not None
    assert "--user" in command


def test_the_systemd_of_a_user_is_found_by_the_environment() -> None:
    told = {"XDG_RUNTIME_DIR": "/run/user/7", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "TOKEN": "secret"}
    assert bus_environment(told) == {name: told[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")}


# -- where it is not ----------------------------------------------------------------------------------------------
def hierarchies(machine: LinuxHost, tmp_path: Path) -> dict[str, Path]:
    """Mount v1's three and v2 below a folder; a plain file stands for what the kernel would make in each group."""
    found = {name: tmp_path / "cg" / name for name in ("memory", "cpu,cpuacct", "systemd", "unified")}
    for folder in found.values():
        folder.mkdir(parents=True)
    lines = [
        f"1 0 0:1 / {found['memory']} rw,relatime - cgroup cgroup rw,memory",
        f"2 0 0:2 / {found['cpu,cpuacct']} rw - cgroup cgroup rw,cpu,cpuacct",
        f"3 0 0:3 / {found['systemd']} rw shared:9 - cgroup cgroup rw,xattr,name=systemd",
        f"4 0 0:4 / {found['unified']} rw - cgroup2 cgroup2 rw",
        f"5 0 0:1 /elsewhere {tmp_path / 'bound'} rw - cgroup cgroup rw,memory",
        "6 0 0:5 / /proc rw - proc proc rw",
    ]
    (machine.proc / "self/mountinfo").write_text("\n".join(lines) + "\n")
    return found


def test_it_moves_to_a_group_of_its_own_in_each_hierarchy(machine: LinuxHost, tmp_path: Path) -> None:
    found = hierarchies(machine, tmp_path)
    job = V1.format("/ci/job", "/ci/job") + "\n" + V2.format("/")
    tell(machine, 7, job)
    (machine.proc / "8").mkdir()
    tell(machine, 8, job)
    tell(machine, os.getpid(), job)
    machine.settle([7, 8], "haproxy-abc")
    moved = {name: (folder / "deployctl-haproxy-abc/cgroup.procs") for name, folder in found.items()}
    assert {name for name, file in moved.items() if file.exists()} == {"memory", "cpu,cpuacct", "systemd"}
    assert moved["systemd"].read_text() == "8"


def test_it_stays_where_init_is_and_where_it_was_moved_to(machine: LinuxHost, tmp_path: Path) -> None:
    found = hierarchies(machine, tmp_path)
    tell(machine, 1, V2.format("/docker/abc"))
    for group in ("/docker/abc", "/deployctl-haproxy-abc"):
        tell(machine, 7, V2.format(group))
        machine.settle([7], "haproxy-abc")
        assert not list(found["unified"].iterdir())
        assert machine.find_frailties(7) == ()


def test_where_systemd_is_nobody_else_moves_processes(machine: LinuxHost, tmp_path: Path) -> None:
    found = hierarchies(machine, tmp_path)
    machine.booted.mkdir()
    tell(machine, 7, V2.format("/user.slice/session-3.scope"))
    machine.settle([7], "haproxy-abc")
    assert not list(found["unified"].iterdir())


def test_a_hierarchy_that_may_not_be_written_is_left(machine: LinuxHost, tmp_path: Path) -> None:
    (machine.proc / "self/mountinfo").write_text(f"4 0 0:4 / {tmp_path / 'gone'} ro - cgroup2 cgroup2 ro\n")
    tell(machine, os.getpid(), V2.format("/job"))
    tell(machine, 7, V2.format("/job"))
    machine.settle([7], "haproxy-abc")
    assert machine.find_frailties(7) == (Frail(Frailty.GROUP, "/job"),)


# -- messages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("groups", "found"),
    [
        (V2.format("/"), None),
        (V2.format("/system.slice/actions.runner.service"), "/system.slice/actions.runner.service"),
        (V2.format("/user.slice/user-1000.slice/session-3.scope"), "/user.slice/user-1000.slice/session-3.scope"),
        (V1.format("/", "/ci/job"), "/ci/job"),
        (V1.format("/ci/job", "/"), None),  # nobody ends processes by these
        (V2.format("/system.slice/deployctl-haproxy-abc-123456.scope"), None),
        (V2.format("/system.slice/deployctl.service"), None),  # ends only its own process
        (V2.format("/system.slice/deployctl.service/evil"), "/system.slice/deployctl.service/evil"),
        ("nonsense", None),
    ],
)
def test_a_group_that_ends_without_us_is_told(machine: LinuxHost, groups: str, found: str | None) -> None:
    tell(machine, 7, groups)
    assert machine.find_frailties(7) == ((Frail(Frailty.GROUP, found),) if found else ())


def test_a_users_own_systemd_ends_with_the_last_login_unless_the_user_lingers(machine: LinuxHost) -> None:
    tell(machine, 7, V2.format("/user.slice/user-0.slice/user@0.service/app.slice/deployctl-haproxy-abc-1.scope"))
    [frail] = machine.find_frailties(7)
    assert frail == Frail(Frailty.LOGIN, "root")
    assert frail.remedy == "sudo loginctl enable-linger root"
    (machine.lingering / "root").touch()
    assert machine.find_frailties(7) == ()


@pytest.mark.parametrize(("hard", "told"), [("1024", True), ("65536", False), ("unlimited", False)])
def test_a_small_limit_of_open_files_is_told(machine: LinuxHost, hard: str, told: bool) -> None:
    tell(machine, 7, V2.format("/"))
    (machine.proc / "7/limits").write_text(f"Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   {hard}   files\n")
    assert machine.find_frailties(7) == ((Frail(Frailty.FILES, hard),) if told else ())


def test_a_process_that_is_gone_is_no_worry(machine: LinuxHost) -> None:
    assert machine.find_frailties(4242) == ()


LIMITED = """
import resource
from deployctl.effects.linux.outlive import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2048))
raise_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_a_small_login_gives_haproxy_as_many_files_as_it_may() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in {"100000 100000", "2048 2048"}, "the first needs root"
