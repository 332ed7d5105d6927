"""A Docker engine of the tests' own, in a network namespace of its own: it may be stopped, killed, frozen and filled
up.

A test that is `inside` is in that namespace with everything it starts; the machine's engine is never touched. The
engine, its containers, shims, mounts and its namespace end with the block; what a killed run left is removed by the
next.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import get_native_id
from typing import IO

import docker

from tests import machine, support

SLOTS = 3
PATIENCE = 60.0
CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000  # of Linux, sched.h
NAMESPACES = Path("/run/netns")


def why_not() -> str | None:
    """Return why there can be no second engine here."""
    if not machine.may_route():
        return "a second engine needs root, Linux and ip"
    missing = [name for name in ("dockerd", "nsenter", "containerd") if shutil.which(name) is None]
    return f"a second engine needs {', '.join(missing)}" if missing else None


class SecondEngine:
    """`folder` is short: a Unix socket's path is at most 107 bytes."""

    def __init__(self, name: str, *, live_restore: bool, data: Path | None = None) -> None:
        self.name, self.live_restore = name, live_restore
        self.folder = Path("/tmp", name)
        self.data = data or self.folder / "data"
        self.url = f"unix://{self.folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._mounts = os.open(f"/proc/self/task/{get_native_id()}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)  # of the machine

    # -- life -----------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start it and return when it answers."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "daemon.json").write_text("{}")
        if not (NAMESPACES / self.name).exists():
            _ip("netns", "add", self.name)
            _ip("-n", self.name, "link", "set", "lo", "up")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             start_new_session=True)
        self.wait_up()

    def _command(self) -> list[str]:
        at = self.folder
        options = [f"--data-root={self.data}", f"--exec-root={at}/exec", f"--pidfile={at}/docker.pid", "--log-level=warn",
                   f"--config-file={at}/daemon.json", "--bip=172.30.241.1/24",
                   "--default-address-pool", "base=172.30.242.0/23,size=27"]
        more = ["--live-restore"] if self.live_restore else []
        # not `ip netns exec`: that mounts another /sys, without the control groups
        return [*self._outside(), f"--net={NAMESPACES / self.name}", "dockerd", "-H", self.url, *options, *more]

    def _outside(self) -> list[str]:
        """Return the words that let a program see the machine's mounts, wherever this thread is."""
        return ["nsenter", f"--mount=/proc/{os.getpid()}/fd/{self._mounts}"]

    def wait_up(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process is not None
            ended = self._process.poll()
            assert ended is None and time.monotonic() < end, (self.folder / "log").read_text()[-2000:]  # noqa: PT018
            time.sleep(0.05)

    def answers(self) -> bool:
        """Ask it as simply as one can: a client that finds nobody leaves sockets open."""
        with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
            asking.settimeout(2)
            asking.connect(str(self.folder / "docker.sock"))
            asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in asking.recv(4096)
        return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid  # nsenter becomes dockerd

    def stop(self) -> None:
        """Stop it as `systemctl stop` would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a power cut would, but the containers go on for now."""
        self._end(signal.SIGKILL)
        (self.folder / "docker.pid").unlink(missing_ok=True)
        self._end_containerd()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        self._process.wait(timeout=PATIENCE)

    def _end_containerd(self) -> None:
        """The containerd of a killed engine goes on; the next engine would wait for it."""
        note = self.folder / "exec/containerd/containerd.pid"
        with suppress(OSError, ValueError):
            pid = int(note.read_text())
            if str(self.folder) in _command_line(pid):
                os.kill(pid, signal.SIGKILL)
                _wait_gone([pid])
        note.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang: it takes connections and never answers."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def lose_power(self) -> None:
        """Kill engine, containerd, shims and containers at once, and forget what a reboot forgets."""
        self._end(signal.SIGKILL)
        self.end_processes()
        self._unmount()
        shutil.rmtree(self.folder / "exec", ignore_errors=True)
        (self.folder / "docker.pid").unlink(missing_ok=True)
        for link in _bridges(self.name):
            _ip("-n", self.name, "link", "del", link)

    # -- the end --------------------------------------------------------------------------------------------------------
    def destroy(self) -> None:
        """Take everything of it apart, alive or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._remove_containers()
            with suppress(subprocess.TimeoutExpired):
                self._end(signal.SIGTERM)
            self._end(signal.SIGKILL)
        self.end_processes()
        self._unmount()
        if (NAMESPACES / self.name).exists():
            _ip("netns", "del", self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_containers(self) -> None:
        if not self.answers():
            return
        with suppress(docker.errors.DockerException, OSError), support.engine(self.url) as api:
            for container in api.containers(all=True):
                api.remove_container(container["Id"], v=True, force=True)

    def end_processes(self) -> None:
        """Kill whatever names this engine's folder, and what runs in its containers."""
        for _ in range(3):
            ours = [pid for pid in _pids() if str(self.folder) + "/" in _command_line(pid) and pid != os.getpid()]
            below = [pid for pid in _pids() if _parent(pid) in ours]
            for pid in {*ours, *below}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _wait_gone([*ours, *below])

    def _unmount(self) -> None:
        shown = subprocess.run([*self._outside(), "cat", "/proc/self/mounts"], check=True, capture_output=True, text=True)
        points = [line.split()[1] for line in shown.stdout.splitlines()]
        for point in sorted((p for p in points if p.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run([*self._outside(), "umount", "-l", point], check=False, capture_output=True)

    # -- inside -----------------------------------------------------------------------------------------------------------
    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread, and all that it starts, into the engine's network, with the engine as everybody's own."""
        with _in_namespace(NAMESPACES / self.name), _environ("DOCKER_HOST", self.url):
            yield


@contextmanager
def second_engine(*, live_restore: bool = True, data: Path | None = None) -> Iterator[SecondEngine]:
    """Hand out a running engine."""
    with ExitStack() as stack:
        slot, record = _free_slot(stack)
        engine = SecondEngine(f"dctl-eng{slot}", live_restore=live_restore, data=data)
        record.write(engine.name + "\n")
        record.flush()
        try:
            engine.destroy()  # of a run that was killed
            engine.start()
            yield engine
        finally:
            engine.destroy()
            record.truncate(0)


def destroy_left_behind() -> None:
    """Take apart the engines of killed test runs."""
    if why_not() is not None:
        return
    for slot in range(SLOTS):
        with ExitStack() as stack, suppress(BlockingIOError):
            record = stack.enter_context(machine.locked(f"engine-{slot}", fcntl.LOCK_EX | fcntl.LOCK_NB))
            record.seek(0)
            for name in record.read().split():
                SecondEngine(name, live_restore=False).destroy()
            record.truncate(0)


def _free_slot(stack: ExitStack) -> tuple[int, IO[str]]:
    for slot in range(SLOTS):
        with suppress(BlockingIOError):
            return slot, stack.enter_context(machine.locked(f"engine-{slot}", fcntl.LOCK_EX | fcntl.LOCK_NB))
    raise RuntimeError(f"{SLOTS} test runs have an engine of their own already")


@contextmanager
def _in_namespace(path: Path) -> Iterator[None]:
    """Move this thread into that network, with a /sys that shows it; then back, to the folder where it was."""
    task, folder = f"/proc/self/task/{get_native_id()}/ns", Path.cwd()
    with _opened(f"{task}/net") as network, _opened(f"{task}/mnt") as mounts, _opened(str(path)) as there:
        try:
            _call("setns", there, CLONE_NEWNET)
            _call("unshare", CLONE_NEWNS | CLONE_FS)
            for words in (["--make-rslave", "/"], ["-t", "sysfs", "sysfs", "/sys"]):
                subprocess.run(["mount", *words], check=True, capture_output=True)
            yield
        finally:
            _call("setns", network, CLONE_NEWNET)
            _call("unshare", CLONE_FS)  # a thread begun meanwhile, such as the time-out's, shares the folder: setns(2) refuses
            _call("setns", mounts, CLONE_NEWNS)
            os.chdir(folder)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _call(name: str, *words: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*words):
        raise OSError(ctypes.get_errno(), name)


@contextmanager
def _environ(name: str, text: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = text
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _bridges(namespace: str) -> list[str]:
    words = ["ip", "-n", namespace, "-o", "link", "show", "type", "bridge"]
    shown = subprocess.run(words, check=True, capture_output=True, text=True)
    return [line.split(": ")[1] for line in shown.stdout.splitlines()]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _wait_gone(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while any(_command_line(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
