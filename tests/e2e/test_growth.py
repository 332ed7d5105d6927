"""What a long-lived process keeps while people work with it, by the real one: `deployctl serve` over engine and HAProxy."""

from __future__ import annotations

import subprocess
import time
from contextlib import closing, suppress
from http.client import HTTPConnection

from bench.served import resident_mb
from deployctl.demo.python_layer import ENTRYPOINT
from tests.e2e.cli import Cli, command
from tests.e2e.test_serve import Serving, serving

FULL = 40 * 10**6  # bytes that are printed: more than the engine keeps of one container
WHOLE = 16 * 10**6  # of what it keeps at least, in three files one of which has just been begun
FILL = f"""
import os
line = b'y' * 149 + b'\\n'
out = os.open('/proc/1/fd/1', os.O_WRONLY)
for _ in range({FULL} // 15_000):
    os.write(out, line * 100)
"""


def fill_log(cli: Cli, version: str) -> None:
    container = next(one["container"] for one in cli.app("shop")["instances"] if one["version"] == version)
    made = cli.api.exec_create(container, [*ENTRYPOINT, "-c", FILL])
    cli.api.exec_start(made["Id"])


def fetched(web: Serving, path: str) -> tuple[int, int]:
    """Return status and size of what the dashboard answers to a program, without keeping it."""
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {web.token}"})
        answer, size = connection.getresponse(), 0
        while piece := answer.read(2**20):
            size += len(piece)
        return answer.status, size


def test_a_follower_whose_reader_is_gone_ends_although_nothing_is_printed(cli: Cli) -> None:
    cli.serving("shop")
    with subprocess.Popen(command(cli.home, "logs", "shop", "-f"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as follower:
        time.sleep(2)
        assert follower.poll() is None
        assert follower.stdout is not None
        follower.stdout.close()
        try:
            assert follower.wait(timeout=10) == 0
        finally:
            follower.kill()


def test_a_full_log_is_printed_whole_in_little_memory(cli: Cli) -> None:
    cli.serving("shop")
    fill_log(cli, "v1")
    with subprocess.Popen(command(cli.home, "-o", "json", "logs", "shop", "-n", "1000000"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as printing:
        assert printing.stdout is not None
        got, peak = 0, 0.0
        while piece := printing.stdout.read(2**20):
            got += len(piece)
            with suppress(StopIteration):  # it has just ended
                peak = max(peak, resident_mb(printing.pid))
        assert got > WHOLE
        assert peak < 80


def test_pages_and_download_of_a_full_log_leave_serve_as_small_as_before(cli: Cli) -> None:
    """The download answered 503, and the pages took 120 MB that were not given back."""
    cli.serving("shop")
    fill_log(cli, "v1")
    with serving(cli) as web:
        for path in ("/apps/shop/logs", "/apps/shop", "/apps/shop/logs.txt?since=10m&q=nothing-like-it"):
            fetched(web, path)  # what is made once
        before = resident_mb(web.process.pid)
        for _ in range(2):
            status, size = fetched(web, "/apps/shop/logs.txt")
            assert status == 200
            assert size > WHOLE
            for page in ("?n=2000", "?q=y&n=2000", "?errors=1", "/tail"):
                assert fetched(web, f"/apps/shop/logs{page}")[0] == 200
            assert fetched(web, "/api/v1/apps/shop/logs?tail=10000")[0] == 200
        assert resident_mb(web.process.pid) - before < 30
