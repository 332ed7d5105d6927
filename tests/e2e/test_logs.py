"""Logs with the real engine: a span of time means what it says, a follower goes along, and what is gone was kept."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from typing import Any

from deployctl.demo.python_layer import ENTRYPOINT
from tests.e2e.cli import Cli, command

GAP = 8.0  # seconds between two lines; the command has almost as many to begin
WRITE = "import sys\nopen('/proc/1/fd/1', 'w').write(sys.argv[1] + chr(10))"


def say(cli: Cli, version: str, text: str) -> None:
    container = next(one["container"] for one in cli.app("shop")["instances"] if one["version"] == version)
    made = cli.api.exec_create(container, [*ENTRYPOINT, "-c", WRITE, text])
    cli.api.exec_start(made["Id"])


def said(cli: Cli, *words: str) -> list[str]:
    return [line["message"] for line in cli.do("logs", "shop", *words)["lines"]]


def test_since_leaves_out_what_is_older(cli: Cli) -> None:
    cli.serving("shop")
    say(cli, "v1", "early")
    time.sleep(GAP)
    say(cli, "v1", "late")
    assert said(cli, "--since", f"{GAP - 0.5:g}s", "--grep", "l") == ["late"]
    assert {"early", "late"} <= {*said(cli, "--since", "10m")}


def test_a_follower_of_the_app_goes_along_over_a_switch(cli: Cli) -> None:
    cli.serving("shop")
    with subprocess.Popen(command(cli.home, "-o", "jsonl", "logs", "shop", "-f"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as follower:
        try:
            say(cli, "v1", "before the switch")
            assert wait_for_line(follower, "before the switch")["version"] == "v1"
            cli.do("upgrade", "shop", "v2")
            say(cli, "v2", "after the switch")
            assert wait_for_line(follower, "after the switch")["version"] == "v2"
        finally:
            follower.terminate()


def test_the_log_of_a_version_on_hold_outlives_its_container(cli: Cli) -> None:
    cli.serving("shop", keep_warm=0, keep_stopped=0)
    cli.do("upgrade", "shop", "v2")
    say(cli, "v2", "checkout gives 500")
    cli.do("rollback", "shop", "-y")
    cli.do("upgrade", "shop", "v3")
    cli.do("prune", "shop", "-y")
    assert "v2" not in {one["version"] for one in cli.app("shop")["instances"]}
    assert "checkout gives 500" in said(cli, "v2")
    assert "checkout gives 500" in said(cli, "v2@2")


def wait_for_line(follower: subprocess.Popen[bytes], text: str, within: float = 30.0) -> dict[str, Any]:
    """Return the followed line with that text."""
    assert follower.stdout is not None
    end, kept = time.monotonic() + within, b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(follower.stdout, selectors.EVENT_READ)
        while waiting.select(max(0.0, end - time.monotonic())):
            kept += os.read(follower.stdout.fileno(), 65536)
            *lines, kept = kept.split(b"\n")
            for line in lines:
                told: dict[str, Any] = json.loads(line)
                if told["message"] == text:
                    return told
    raise AssertionError(f"no line {text!r} within {within:g} s")
