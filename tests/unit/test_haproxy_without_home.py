"""`doctor` warns of a HAProxy of this server whose home is gone; those of other network namespaces are not its concern."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployctl.domain.proxy.traffic import StrayProxy
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.haproxy.master import PLACE, find_strays
from deployctl.usecases.listings import Findings
from deployctl.usecases.setup.doctor import findings
from tests.unit.world import world

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")


@contextmanager
def running(config: str, *before: str) -> Iterator[int]:
    """A process with the command line of a HAProxy, once it runs; `before` are the words that start it."""
    waits = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", "-f", config]
    with subprocess.Popen([*before, *waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def found(home: Path) -> set[int]:
    return {stray.pid for stray in find_strays(HaproxyHome(home / "state/haproxy"))}


def test_one_whose_home_is_gone_is_found(tmp_path: Path) -> None:
    with running(f"{tmp_path}/gone{PLACE}") as pid:
        assert pid in found(tmp_path / "home")
        assert pid not in found(tmp_path / "gone"), "a home's own is none"


def test_one_whose_home_lies_where_it_was_is_none(tmp_path: Path) -> None:
    config = tmp_path / f"kept{PLACE}"
    config.parent.mkdir(parents=True)
    config.touch()
    with running(str(config)) as pid:
        assert pid not in found(tmp_path / "home")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a network namespace needs root")
def test_one_in_another_network_namespace_is_none(tmp_path: Path) -> None:
    with running(f"{tmp_path}/gone{PLACE}", "unshare", "--net") as pid:
        assert pid not in found(tmp_path / "home")


def test_it_is_a_warning_with_a_code(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        before = Findings(tuple(findings(w.s))).ok
        w.traffic.strays_here.append(StrayProxy(4711, f"/srv/gone{PLACE}"))
        told = findings(w.s)
        [one] = [finding for finding in told if finding.code == "home_gone"]
        assert (one.ok, one.fatal) == (False, False)
        assert one.fix is not None
        assert one.fix.startswith("kill -USR1 4711 ")
        assert Findings(tuple(told)).ok == before
