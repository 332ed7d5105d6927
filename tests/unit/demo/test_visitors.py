"""The crowd in its own process: started and stopped by plain code, gone with its parent, usable from a shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployctl.demo.visitors import Visitors
from deployctl.errors import DeployctlError, Invalid
from tests.planned_server import PlannedServer, planned_server

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "deployctl.demo.visitors"]


def wait_for_requests(server: PlannedServer, number: int, *, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while len(server.acts) < number and time.monotonic() < until:
        time.sleep(0.02)
    assert len(server.acts) >= number


@pytest.mark.parametrize("keep_alive", [True, False])
def test_visitors_count_every_request_that_the_server_saw(*, keep_alive: bool) -> None:
    plan = ["ok", "app 500", "proxy 503", "goodbye", "app 404"] * 5
    with planned_server(plan) as server:
        with Visitors(server.url, rate=100, keep_alive=keep_alive) as visitors:
            wait_for_requests(server, len(plan))
        count = visitors.count
        assert count.sent == len(server.acts)
    extra = count.sent - len(plan)
    assert count.by_class == {"ok": 10 + extra, "app_5xx": 5, "proxy_5xx": 5, "app_4xx": 5}
    assert count.lost == 5


def test_a_busy_caller_does_not_delay_its_visitors() -> None:
    with planned_server() as server, Visitors(server.url, rate=50) as visitors:
        began = time.perf_counter()
        busy_until = time.monotonic() + 1.0
        while time.monotonic() < busy_until:
            sum(range(10000))
        visited_for = time.perf_counter() - began
        count = visitors.stop()
    assert count.lost == 0
    assert count.sent >= 50 * visited_for - 1


def test_a_count_so_far_leaves_the_visitors_at_work() -> None:
    with planned_server(["ok", "proxy 503", "ok"]) as server, Visitors(server.url, rate=100) as visitors:
        wait_for_requests(server, 6)
        first = visitors.so_far()
        wait_for_requests(server, first.sent + 5)
        second, last = visitors.so_far(), visitors.stop()
        assert last.sent == len(server.acts)
    assert 5 <= first.sent < second.sent <= last.sent
    assert (first.lost, second.lost, last.lost) == (1, 1, 1)


def test_a_count_so_far_of_visitors_that_ended_by_themselves_is_refused() -> None:
    with planned_server() as server:
        visitors = Visitors(server.url, rate=20)
        visitors.start()
        process = visitors._process  # they are to end as if killed by somebody else
        assert process is not None
        process.kill()
        process.wait()
        with pytest.raises(DeployctlError, match="stopped by themselves"):
            visitors.so_far()
        with pytest.raises(DeployctlError, match="stopped without a count"):
            visitors.stop()
        with pytest.raises(DeployctlError, match="not running"):
            visitors.so_far()


def test_stopping_twice_gives_the_same_count() -> None:
    with planned_server() as server:
        visitors = Visitors(server.url, rate=20)
        visitors.start()
        assert visitors.stop() is visitors.stop()


def test_an_error_inside_the_block_still_ends_the_visitors() -> None:
    with planned_server() as server:
        with pytest.raises(ZeroDivisionError), Visitors(server.url, rate=20):
            raise ZeroDivisionError
        seen = len(server.acts)
        time.sleep(0.2)
        assert len(server.acts) == seen


def test_a_count_before_the_visit_is_refused() -> None:
    with pytest.raises(DeployctlError, match="no count"):
        _ = Visitors("http://127.0.0.1:9/").count


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "127.0.0.1:80", "http://", "ftp://x"])
def test_an_address_that_cannot_be_visited_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid, match="not an address for visitors"):
        Visitors(url)


def test_a_rate_of_nothing_is_refused_at_once() -> None:
    with pytest.raises(Invalid, match="must be more than 0"):
        Visitors("http://127.0.0.1/", rate=0)


def test_the_host_header_can_be_another_name_than_the_address() -> None:
    with planned_server() as server:
        with Visitors(f"{server.url}cart?id=7", host="shop.example.com"):
            wait_for_requests(server, 1)
        assert server.heads[0].startswith(b"GET /cart?id=7 HTTP/1.1\r\nHost: shop.example.com\r\n")


def test_visitors_end_when_their_parent_is_killed() -> None:
    program = (
        "import sys, time; from deployctl.demo.visitors import Visitors\n"
        "v = Visitors(sys.argv[1], rate=20); v.start(); print(v._process.pid, flush=True); time.sleep(60)"
    )
    with planned_server() as server:
        command = [sys.executable, "-c", program, server.url]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            wait_for_requests(server, 2)
            parent.kill()
        assert is_gone(child, within=10)


def is_gone(pid: int, *, within: float) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_shell_gets_one_sentence_and_an_exit_code_that_tells_losses() -> None:
    with planned_server(["proxy 503"]) as server:
        lossy = subprocess.run(
            [*COMMAND, server.url, "--rate", "50", "--seconds", "0.19"],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        good = subprocess.run(
            [*COMMAND, server.url, "--rate", "50", "--seconds", "0.19", "--no-keep-alive", "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert (lossy.returncode, lossy.stdout) == (1, "10 requests, 1 lost (1 proxy_5xx)\n")
    assert good.returncode == 0
    assert json.loads(good.stdout)["connections"] == json.loads(good.stdout)["ok"] == 10


def test_a_visit_without_end_ends_with_a_count_when_interrupted() -> None:
    with planned_server() as server:
        command = [*COMMAND, server.url, "--rate", "50", "--seconds", "0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as visitors:
            wait_for_requests(server, 5)
            os.kill(visitors.pid, signal.SIGINT)
            said, _ = visitors.communicate(timeout=20)
        assert said == f"{len(server.acts)} requests, 0 lost\n"
    assert visitors.returncode == 0


def test_a_wrong_address_on_the_command_line_is_a_usage_error() -> None:
    done = subprocess.run([*COMMAND, "shop"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "not an address for visitors" in done.stderr
