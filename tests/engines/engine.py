"""An engine of another Debian suite, unpacked into a folder and run as its own root, in a network of its own.

`features.containerd-snapshotter` gives Docker 26 and 28 the image store that is the default of 29. Podman runs with runc:
crun refuses control groups of both versions side by side.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.engines.unpack import unpack

SOCKET = "/run/docker.sock"  # the usual one, in its own /run
PATIENCE = 60.0
LINKS = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
PODMANS_FILES = {
    "containers.conf": '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
                       '[containers]\ndefault_ulimits = []\n[network]\nfirewall_driver = "iptables"\n',
    "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
    "registries.conf": 'unqualified-search-registries = ["docker.io"]\n',
}


@dataclass(frozen=True)
class Kind:
    """`package` names the engine and tells its version."""

    name: str
    suite: str
    package: str
    more: tuple[str, ...] = ()
    containerd: bool = False  # its image store


_TOOLS = ("iptables", "procps")
KINDS = (
    Kind("docker-trixie", "trixie", "docker.io", _TOOLS),
    Kind("docker-trixie-containerd", "trixie", "docker.io", _TOOLS, containerd=True),
    Kind("docker-sid", "sid", "docker.io", _TOOLS),
    Kind("docker-sid-containerd", "sid", "docker.io", _TOOLS, containerd=True),
    Kind("podman-trixie", "trixie", "podman", ("runc", "netavark", "aardvark-dns", "nftables", *_TOOLS)),
)


class UnpackedEngine:
    """`folder` keeps lists, packages, trees and data between runs."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self._tree = folder / "trees" / f"{kind.suite}-{kind.package}"
        self._own = folder / "run" / kind.name
        self.version = unpack(kind.suite, [kind.package, *kind.more], self._tree, apt=folder / "apt")[kind.package]

    def start(self) -> None:
        self._own.mkdir(parents=True, exist_ok=True)
        self._prepare()
        words = ["unshare", "--mount", "--net", "--propagation", "private", *_inside("view", self._own)]
        self._view = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._view.stdout is not None
        assert self._view.stdout.readline() == b"ready\n", "no view of the machine could be made"
        with (self._own / "log").open("wb") as log:
            rooted = [*self._enter(), "unshare", "--mount", *_inside("root", self._tree, self._own, *self._command())]
            self._engine = subprocess.Popen(rooted, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._wait_up()

    def _prepare(self) -> None:
        """Do what the packages' own scripts would."""
        for name in LINKS:
            link = self._tree / "usr/sbin" / name
            link.unlink(missing_ok=True)
            link.symlink_to("xtables-nft-multi")
        resolver = self._tree / "etc/resolv.conf"
        resolver.unlink(missing_ok=True)
        resolver.write_text("nameserver 127.0.0.1\n")
        containers = self._tree / "etc/containers"
        containers.mkdir(exist_ok=True)
        for name, text in PODMANS_FILES.items():
            (containers / name).write_text(text)
        (self._own / "data").mkdir(exist_ok=True)
        features = {"features": {"containerd-snapshotter": self.kind.containerd}}
        (self._own / "data/daemon.json").write_text(json.dumps(features))

    def _command(self) -> list[str]:
        if self.kind.package == "podman":
            return ["podman", "--root", "/data/storage", "--runroot", "/run/podman", "system", "service", "--time=0",
                    f"unix://{SOCKET}"]
        return ["dockerd", "--data-root", "/data/docker", "--exec-root", "/run/docker-exec", "--host", f"unix://{SOCKET}",
                "--config-file", "/data/daemon.json", "--log-level", "warn"]

    def _enter(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._view.pid}/ns/mnt", f"--net=/proc/{self._view.pid}/ns/net",
                f"--wdns={Path.cwd()}"]

    def _wait_up(self) -> None:
        end = time.monotonic() + PATIENCE
        while self.run(["curl", "--silent", "--fail", "--unix-socket", SOCKET, "http://engine/_ping"], quiet=True):
            assert self._engine.poll() is None, (self._own / "log").read_text()[-2000:]
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.2)

    def run(self, words: Sequence[str], *, quiet: bool = False) -> int:
        """Run it beside the engine: in its network, with its socket at the usual place. Return its exit code."""
        environ = {**os.environ, "DOCKER_HOST": f"unix://{SOCKET}"}
        shown = subprocess.DEVNULL if quiet else None
        return subprocess.run([*self._enter(), *words], check=False, env=environ, stdout=shown, stderr=shown).returncode

    def stop(self) -> None:
        """End it and all that runs in its containers, which are below its shims."""
        with suppress(ProcessLookupError):
            self._engine.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._engine.wait(timeout=PATIENCE)
        ours = _in_network_of(self._view.pid)
        for pid in [*ours, *_children_of(ours)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._view.wait(timeout=PATIENCE)


def _inside(step: str, *words: object) -> list[str]:
    return [sys.executable, "-m", "tests.engines.inside", step, *map(str, words)]


def _in_network_of(pid: int) -> list[int]:
    """Return the processes of that network: what a test or an engine has left, shims, and the view itself."""
    here = Path(f"/proc/{pid}/ns/net").readlink()
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "ns/net").readlink() == here:
                found.append(int(entry.name))
    return found


def _children_of(pids: Sequence[int]) -> list[int]:
    """Return what runs in containers: their networks are their own, and a shim is above each."""
    found: list[int] = []
    for pid in pids:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


@contextmanager
def unpacked_engine(kind: Kind, folder: Path) -> Iterator[UnpackedEngine]:
    engine = UnpackedEngine(kind, folder)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
