"""The demo runs anywhere, loses nobody, can be run again over itself, and leaves nothing when it is stopped.

What it leaves while it is there is the broken version under visitors, and a link that signs in once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import docker
import pytest

from tests import machine, support
from tests.e2e.cli import PROGRAM, Ran, processes

TIME = 180.0  # seconds


@dataclass
class Demo:
    """A demo in a data folder of its own, at the end of a path that is too long for a Unix socket."""

    data: Path
    api: docker.APIClient
    ran: list[Ran] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.data / "deployctl/demo"

    def run(self, *words: str, closed: bool = False) -> Ran:
        """Run it without a terminal; `closed`: standard input is not even open."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}
        process = subprocess.Popen([str(PROGRAM), *words], env={**kept, "XDG_DATA_HOME": str(self.data)}, cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=(lambda: os.close(0)) if closed else None)  # fmt: skip
        out, err = process.communicate(timeout=TIME)
        return Ran(words, process.returncode, out, err)

    def containers(self) -> list[str]:
        wanted = {"label": [f"deployctl.home={self.home}", "deployctl.demo=1"]}
        return [container["Id"] for container in self.api.containers(all=True, filters=wanted)]

    def networks(self) -> list[str]:
        return [network["Id"] for network in self.api.networks(filters={"label": f"deployctl.home={self.home}"})]

    def subnets(self) -> list[str]:
        networks = self.api.networks(filters={"label": f"deployctl.home={self.home}"})
        return [pool["Subnet"] for network in networks for pool in network["IPAM"]["Config"]]

    def tags(self) -> list[str]:
        return [tag for tag in support.image_tags(self.api) if tag.endswith(f"-{support.home_mark(self.home)}")]

    def processes(self) -> list[int]:
        return processes(str(self.home / "state/haproxy/haproxy.cfg"))

    def background(self) -> dict[str, int]:
        """Return the pids of what it left running, by name."""
        return {note.stem: json.loads(note.read_text())["pid"] for note in self.home.glob("*.process")}


@pytest.fixture(scope="module")
def demo(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data = tmp_path_factory.mktemp("d" * 60)
    with support.engine(engine_url) as api:
        found = Demo(data, api)
        try:
            yield found
        finally:
            found.run("demo", "--stop")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def short_folders() -> set[str]:
    return {str(path) for path in Path("/run").glob("deployctl-*") if path.is_dir()}


def test_the_demo_runs_twice_and_is_gone_afterwards(demo: Demo) -> None:
    """One story, because each part takes the one before it for granted."""
    folders = short_folders()
    require_a_good_first_run(demo)
    require_a_good_second_run(demo)
    (subnet,) = demo.subnets()
    left = demo.background()
    assert set(left) == {"serve", "visitors"}
    assert all(alive(pid) for pid in left.values())
    stopped = demo.run("demo", "--stop")
    assert (stopped.code, "The demo was removed" in stopped.out) == (0, True), stopped
    assert [demo.containers(), demo.networks(), demo.tags(), demo.processes()] == [[], [], [], []]
    assert not demo.home.exists()
    assert not any(alive(pid) for pid in left.values())
    assert short_folders() <= folders
    assert subnet not in machine.unreachable()
    again = demo.run("demo", "--stop")
    assert (again.code, "nothing to stop" in again.out) == (0, True), again


def require_a_good_first_run(demo: Demo) -> None:
    ran = demo.run("demo", closed=True)
    assert (ran.code, ran.err) == (0, ""), ran
    counted = re.search(r"^Counted from outside: ([\d,]+) requests, (\d+) lost$", ran.out, re.MULTILINE)
    assert counted, ran
    assert int(counted[1].replace(",", "")) > 500
    assert counted[2] == "0"
    for typed in ("$ deployctl upgrade demo v1", "$ deployctl upgrade demo v2", "$ deployctl rollback demo",
                  "$ deployctl undo demo", "$ deployctl history demo", "deployctl demo --stop"):
        assert typed in ran.out.replace(str(PROGRAM), "deployctl"), typed
    assert len(demo.containers()) == 2
    assert len(demo.networks()) == 1
    *_, dashboard, terminal = ran.out.rstrip().splitlines()
    assert terminal.startswith("  Terminal    ")
    assert terminal.endswith(" rollback demo")
    require_a_link_that_signs_in_once(dashboard)
    assert json.loads(demo.run("--home", str(demo.home), "-o", "json", "status").out)["apps"][0]["state"] == "degraded"


def require_a_link_that_signs_in_once(line: str) -> None:
    """Do what a browser does: open it, press the button, and try the same again."""
    link = r"http://127\.0\.0\.1:(\d+)(/start/[\w-]{43}\?next=/apps/demo)"
    found = re.fullmatch(rf"  Dashboard   {link}   \(signs you in once, .*\)", line)
    assert found, line
    statuses = []
    for _ in range(2):
        with closing(HTTPConnection("127.0.0.1", int(found[1]), timeout=10)) as browser:
            browser.request("GET", found[2])
            page = browser.getresponse()
            token = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
            assert token
            cookie = str(page.getheader("Set-Cookie")).partition(";")[0]
            browser.request("POST", found[2], f"csrf_token={token[1]}",
                            {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"})
            statuses.append(browser.getresponse().status)
    assert statuses == [302, 401]


def require_a_good_second_run(demo: Demo) -> None:
    """Over the first one, as JSON: the story goes to stderr. The commands that it names work."""
    first, left = demo.containers(), demo.background()
    ran = demo.run("-o", "json", "demo")
    assert (ran.code, ran.told["ok"]) == (0, True), ran
    assert " requests, 0 lost\n" in ran.err
    assert not any(alive(pid) for pid in left.values()), "those of the first demo ended with it"
    assert set(demo.containers()).isdisjoint(first)
    assert len(demo.containers()) == 2
    assert len(list(demo.processes())) == 2  # master and worker
    home = ("--home", str(demo.home))
    seen = json.loads(demo.run(*home, "-o", "json", "status").out)["apps"][0]
    assert (seen["active"]["version"], seen["standby"]["version"]) == ("v2", "v1")
    assert seen["address"].startswith("127.0.0.1:")
    assert demo.run(*home, "rollback", "demo").code == 0
    assert demo.run(*home, "upgrade", "demo", "v3").code == 0
