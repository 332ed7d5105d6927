"""Root and the deploy user in one home: root works as the owner, and no remedy takes the visitors' HAProxy down."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.server import ServerSpec
from deployctl.domain.proxy.traffic import TrafficTable
from deployctl.effects.haproxy.switch import HaproxyTraffic
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import NotPermitted
from tests import homes, support

ROOT = Path(__file__).parents[2]
USER, NAMELESS = "daemon", 54321
PLACES = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def run(python: str, home: Path, *words: str, uid: int | None = None) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": PLACES, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([python, "-m", "deployctl", "--home", str(home), "-o", "json", *words], env=env, user=uid,
                          group=uid, extra_groups=None if uid is None else [], cwd="/", stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def python() -> str:
    """Return a Python of this version that everybody may run, and that can read this program."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        with suppress(OSError):
            if run(path, Path("/nonexistent"), "status", uid=pwd.getpwnam(USER).pw_uid).returncode == 0:
                return path
    pytest.skip(f"no Python here is readable by {USER}")


@dataclass
class Shared:
    home: Path
    python: str

    def root(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = run(self.python, self.home, *words)
        return done.returncode, json.loads(done.stdout)

    def give(self, uid: int, *folders: str) -> None:
        for folder in folders:
            subprocess.run(["chown", "-R", f"{uid}", str(self.home / folder)], check=True)

    @property
    def proxy(self) -> int:
        return int((self.home / "state/haproxy/haproxy.pid").read_text())


@pytest.fixture
def shared(python: str) -> Iterator[Shared]:
    """A home of that user's, in which nothing was deployed yet."""
    home = Path(tempfile.mkdtemp(prefix="dctl-own-", dir="/tmp"))
    home.chmod(0o755)
    (home / "config").mkdir()
    (home / "config/server.toml").write_text(f'[proxy]\nhttp = "127.0.0.1:{support.free_port()}"\n')
    found = Shared(home, python)
    found.give(pwd.getpwnam(USER).pw_uid, ".")
    try:
        yield found
    finally:
        homes.end_haproxy(home)
        shutil.rmtree(home, ignore_errors=True)


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


def test_whatever_root_does_is_done_as_the_owner(shared: Shared) -> None:
    uid = pwd.getpwnam(USER).pw_uid
    assert shared.root("user", "add", "mara", "--role", "admin")[0] == 0
    shared.root("doctor")
    assert owners(shared.home / "state") == {uid}
    assert int(next(line for line in Path(f"/proc/{shared.proxy}/status").read_text().splitlines()
                    if line.startswith("Uid:")).split()[1]) == uid
    done = run(shared.python, shared.home, "user", "list", uid=uid)
    assert [user["name"] for user in json.loads(done.stdout)["users"]] == ["mara"]


def test_a_home_that_belongs_to_several_is_refused_and_haproxy_goes_on(shared: Shared) -> None:
    uid = pwd.getpwnam(USER).pw_uid
    shared.root("doctor")
    shared.root("user", "add", "mara")
    shared.root("doctor")
    pid = shared.proxy
    shared.give(0, "state")
    for words in (("status",), ("reconcile",), ("rollback", "shop"), ("install", "--print")):
        code, told = shared.root(*words)
        assert (code, told["error"]["code"]) == (8, "several_owners")
        assert all(word in told["error"]["message"] for word in ("root (uid 0)", f"{USER} (uid {uid})", f"HAProxy (pid {pid})"))
    with pytest.raises(NotPermitted, match="could not read"):
        HaproxyTraffic(shared.home / "state/haproxy", ServerSpec(), TrafficTable, SystemClock()).sync()
    done = run(shared.python, shared.home, "status", uid=uid)
    told = json.loads(done.stdout)["error"]
    assert (done.returncode, told["code"]) == (8, "not_the_owner")
    assert told["remedy"][0].startswith(f"sudo chown -R {uid} ")
    assert shared.proxy == pid
    assert Path(f"/proc/{pid}").exists()
    shared.give(uid, "state")
    assert shared.root("status")[0] == 0


def test_an_owner_without_a_name_is_refused_with_what_to_type(shared: Shared) -> None:
    shared.root("user", "add", "mara")
    shared.give(NAMELESS, ".")
    code, told = shared.root("status")
    assert (code, told["error"]["code"]) == (8, "owner_without_a_name")
    assert told["error"]["remedy"][0].startswith(f"sudo -u '#{NAMELESS}' deployctl")
    assert owners(shared.home) == {NAMELESS}


def test_the_unit_that_root_writes_runs_as_the_owner(shared: Shared, tmp_path: Path) -> None:
    shared.root("user", "add", "mara")
    assert shared.root("install", "--dir", str(tmp_path))[0] == 0
    unit = tmp_path / "deployctl.service"
    assert f"\nUser={USER}\n" in unit.read_text()
    assert unit.stat().st_uid == 0
