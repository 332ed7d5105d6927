"""Commands inside: in a container of their own, or in one that runs. However they end, nothing of them stays."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import PROGRAM, Cli, wait_until

PYTHON = "/usr/bin/python3"
COMPONENTS: dict[str, Any] = {
    "env": {"MODE": "shop"},
    "components": {"api": {"port": 8080, "health": {"path": "/healthz", "rise": 1}, "env": {"MODE": "api"}}},
}


@pytest.fixture
def shop(cli: Cli) -> str:
    app = f"inner{len(cli.ports)}"
    cli.serving(app, **COMPONENTS)
    return app


def typed(cli: Cli, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([PROGRAM, "--home", str(cli.home), *words], input=stdin, capture_output=True, check=False, timeout=90)


@contextmanager
def running(cli: Cli, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([PROGRAM, "--home", str(cli.home), *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def containers(cli: Cli, app: str) -> list[str]:
    return sorted(one["Names"][0] for one in cli.api.containers(all=True, filters={"label": f"deployctl.app={app}"}))


def sleepers(mark: str) -> list[int]:
    """Return the processes of this machine that have that word in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and PYTHON.encode() in words:
            found.append(int(entry.name))
    return found


# -- run --------------------------------------------------------------------------------------------------------------
def test_a_command_runs_like_the_live_version_and_its_container_goes(cli: Cli, shop: str) -> None:
    before = containers(cli, shop)
    program = ("import os, sys, urllib.request as r; api = r.urlopen('http://api:8080/healthz').status; "
               "print(os.environ['MODE'], api, sys.stdin.read()); print('aside', file=sys.stderr); sys.exit(7)")
    ran = typed(cli, "run", shop, "--", "-c", program, stdin=b"typed \xff")
    assert ran.returncode == 7, ran.stderr
    assert ran.stdout.startswith(b"shop 200 typed ")
    assert ran.stderr.endswith(b"aside\n")
    assert containers(cli, shop) == before
    assert cli.app(shop)["state"] == "healthy"


def test_a_component_can_be_named_and_its_bytes_come_through(cli: Cli, shop: str) -> None:
    program = "import os, sys; sys.stdout.buffer.write(os.environ['MODE'].encode() + bytes(range(256)) * 4000)"
    ran = typed(cli, "run", f"{shop}/api", "--", "-c", program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == b"api" + bytes(range(256)) * 4000
    assert typed(cli, "run", f"{shop}/nobody", "--", "-c", "1").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_no_container(cli: Cli, shop: str, number: signal.Signals) -> None:
    before = containers(cli, shop)
    with running(cli, "run", shop, "--", "-c", "print('up', flush=True); import time; time.sleep(600)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert len(containers(cli, shop)) == len(before) + 1
        process.send_signal(number)
        assert process.wait(60) == 130
    assert containers(cli, shop) == before


def test_what_a_killed_command_left_is_removed_and_never_taken_for_an_instance(cli: Cli, shop: str) -> None:
    before = containers(cli, shop)
    with running(cli, "run", shop, "--", "-c", "print('up', flush=True); import time; time.sleep(600)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        cli.do("reconcile", shop)
        assert len(containers(cli, shop)) == len(before) + 1, "its process lives"
    assert cli.app(shop)["state"] == "healthy"
    cli.do("reconcile", shop)
    assert containers(cli, shop) == before


def test_an_app_is_removed_with_the_commands_that_run_for_it(cli: Cli, shop: str) -> None:
    with running(cli, "run", shop, "--", "-c", "print('up', flush=True); import time; time.sleep(600)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        cli.do("app", "remove", shop, "-y")
    assert containers(cli, shop) == []


# -- exec -------------------------------------------------------------------------------------------------------------
def test_a_command_in_a_running_container_has_its_own_streams_and_exit_code(cli: Cli, shop: str) -> None:
    program = "import os, sys; print(os.environ['MODE'], sys.stdin.read()); print('aside', file=sys.stderr); sys.exit(5)"
    ran = typed(cli, "exec", f"{shop}/api", "--", PYTHON, "-c", program, stdin=b"typed")
    assert (ran.returncode, ran.stdout) == (5, b"api typed\n"), ran.stderr
    assert ran.stderr.endswith(b"aside\n")
    assert typed(cli, "exec", shop, "--", "/no/such/program").returncode in {126, 127}


def test_a_version_can_be_named(cli: Cli, shop: str) -> None:
    cli.do("upgrade", shop, "v2")
    program = "import os; print(os.environ['VERSION'])"
    assert typed(cli, "exec", shop, "--", PYTHON, "-c", program).stdout == b"v2\n"
    assert typed(cli, "exec", shop, "--version", "v1", "--", PYTHON, "-c", program).stdout == b"v1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="to end processes of a container takes root")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_what_a_command_started_ends_with_its_client(cli: Cli, shop: str, number: signal.Signals) -> None:
    mark = f"mark-{time.time_ns()}"
    program = ("import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', "
               "sys.argv[1]]); print('up', flush=True); time.sleep(600)")
    with running(cli, "exec", shop, "--", PYTHON, "-c", program, mark) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert sleepers(mark)
        process.send_signal(number)
        process.wait(60)
    wait_until(lambda: not sleepers(mark), what="the end of what it started")


def test_on_a_terminal_the_command_has_one_too(cli: Cli, shop: str) -> None:
    ours, theirs = pty.openpty()
    with closing(os.fdopen(ours, "r+b", buffering=0)) as screen:
        process = subprocess.Popen([PROGRAM, "--home", str(cli.home), "exec", shop, "--", PYTHON, "-c",
                                    "import os; print('ready'); print('terminal', os.isatty(0), os.isatty(1), input())"],
                                   stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"ready" not in shown:
            shown += screen.read(1024)
        screen.write(b"typed\r")
        while b"terminal" not in shown or not shown.endswith(b"\n"):
            shown += screen.read(1024)
        assert process.wait(60) == 0
    assert b"terminal True True typed" in shown
