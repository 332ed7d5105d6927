"""The launcher waits for address and lock, in this order, and then is the program."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from deployctl.effects.launcher import OWN_FAILURE, PROCESSORS, launched, launcher_for

ADDRESS = "172.31.255.10"

if platform.system() != "Linux" or platform.machine() not in PROCESSORS.values():
    pytest.skip("the launcher runs on Linux, x86-64 and arm64", allow_module_level=True)


@pytest.fixture(params=sorted(PROCESSORS))
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """How the launcher of each processor is called here: a foreign one by QEMU, where that is installed."""
    source = launcher_for(request.param)
    assert source is not None
    copy = tmp_path / "launch"
    shutil.copy(source, copy)
    copy.chmod(0o755)
    if PROCESSORS[request.param] == platform.machine():
        return [str(copy)]
    emulator = shutil.which(f"qemu-{PROCESSORS[request.param]}-static")
    if emulator is None:
        pytest.skip(f"qemu-{PROCESSORS[request.param]}-static is not installed: {request.param} is not run here")
    return [emulator, str(copy)]


def ran(launcher: list[str], *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*launcher, *words], capture_output=True, text=True, timeout=30, check=False, env=env)


@contextmanager
def begun(*words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.005)


def waits(process: subprocess.Popen[str]) -> bool:
    """Tell whether it sleeps in the kernel, with its handlers in place."""
    state = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(next(line for line in state.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return "State:\tS" in state and bool(caught >> (signal.SIGTERM - 1) & 1)


# -- the program ------------------------------------------------------------------------------------------------------
def test_the_program_takes_its_place(launcher: list[str]) -> None:
    with begun(*launcher, "--", sys.executable, "-c", "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)",
               "--lock", "a b") as process:
        out, _ = process.communicate(timeout=30)
        assert out == f"{process.pid} ['--lock', 'a b']\n"
        assert process.returncode == 7


def test_it_is_found_on_the_path_of_its_environment(launcher: list[str], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("empty", "other", "right")]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "act").write_text("not executable")
    (folders[2] / "act").write_text("#!/bin/sh\necho it runs\n")
    (folders[2] / "act").chmod(0o755)
    path = ":".join(map(str, folders))
    assert ran(launcher, "act", env={"PATH": path}).stdout == "it runs\n"
    assert ran(launcher, "act", env={"PATH": str(folders[0])}).returncode == 127
    assert ran(launcher, "act", env={"PATH": str(folders[1])}).returncode == 126
    assert ran(launcher, str(folders[2] / "act"), env={}).stdout == "it runs\n"
    assert ran(launcher, "ls", "/", env={}).returncode == 0, "without PATH, Docker's own is looked through"


def test_signals_are_the_programs_own(launcher: list[str]) -> None:
    with begun(*launcher, "--", "sleep", "60") as process:
        until(lambda: "sleep" in Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[0], "the program runs")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM, "no handler of the launcher is left"


@pytest.mark.parametrize(("words", "code", "says"), [
    ([], OWN_FAILURE, "no program is named"),
    (["--"], OWN_FAILURE, "no program is named"),
    (["--lock"], OWN_FAILURE, "a value is missing behind --lock"),
    (["--frob", "x", "--", "ls"], OWN_FAILURE, "unknown option --frob"),
    (["--lock", "/nowhere/lock", "--", "ls"], OWN_FAILURE, "cannot open the lock /nowhere/lock: no such file"),
    (["--env", "X", "--", "ls"], OWN_FAILURE, "--env takes NAME=FILE, not X"),
    (["--env", "X=/nowhere/value", "--", "ls"], OWN_FAILURE, "cannot read the value X=/nowhere/value: no such file"),
    (["--address", "1.2.3", "--", "ls"], OWN_FAILURE, "not an IPv4 address: 1.2.3"),
    (["--address", "1.2.3.256", "--", "ls"], OWN_FAILURE, "not an IPv4 address: 1.2.3.256"),
    (["--", "/nowhere/program"], 127, "cannot run /nowhere/program: no such file"),
    (["--", "/tmp"], 126, "cannot run /tmp: permission denied"),
])
def test_what_cannot_be_done_is_said_in_one_line(launcher: list[str], words: list[str], code: int, says: str) -> None:
    told = ran(launcher, *words)
    assert (told.returncode, told.stdout, told.stderr) == (code, "", f"deployctl launcher: {says}\n")


# -- values ---------------------------------------------------------------------------------------------------------------
PRINT = "import os, sys; sys.stdout.buffer.write(os.environb[b'TOKEN'])"


@pytest.mark.parametrize("value", [b"", b"x", b"two\nlines\n", b"\xff= ${A}'\"", b"k" * 100_000], ids=len)
def test_a_value_comes_from_a_file_byte_for_byte(launcher: list[str], tmp_path: Path, value: bytes) -> None:
    (tmp_path / "value").write_bytes(value)
    words = [*launcher, "--env", f"TOKEN={tmp_path / 'value'}", "--", sys.executable, "-c", PRINT]
    for before in ({}, {"TOKEN": "former", "TOKENS": "stay"}):
        told = subprocess.run(words, capture_output=True, timeout=30, check=False, env=before)
        assert (told.stdout, told.returncode) == (value, 0), told.stderr


def test_the_other_names_stay_and_a_value_is_set_once(launcher: list[str], tmp_path: Path) -> None:
    (tmp_path / "value").write_text("new")
    told = ran(launcher, "--env", f"B={tmp_path / 'value'}", "--env", f"D={tmp_path / 'value'}", "env",
               env={"A": "1", "B": "old", "BB": "2", "PATH": os.environ["PATH"]})
    assert sorted(told.stdout.splitlines()) == sorted(["A=1", "BB=2", "B=new", "D=new", f"PATH={os.environ['PATH']}"])


def test_a_value_with_a_zero_byte_starts_nothing(launcher: list[str], tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"a\0b")
    told = ran(launcher, "--env", f"TOKEN={tmp_path / 'value'}", "echo", "it ran")
    assert (told.returncode, told.stdout) == (OWN_FAILURE, "")
    assert "a zero byte cannot stand in the environment" in told.stderr


# -- the lock -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def lock(tmp_path: Path) -> Path:
    made = tmp_path / "lock"
    made.touch(0o444)
    return made


def is_locked(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_two_never_run_at_once_however_the_first_one_ends(launcher: list[str], lock: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(begun(*launcher, "--lock", str(lock), "--", "sleep", "60"))
        until(lambda: is_locked(lock), "the first one has the lock")
        second = stack.enter_context(begun(*launcher, "--lock", str(lock), "--", "echo", "my turn"))
        until(lambda: waits(second), "the second one waits")
        first.kill()
        assert second.communicate(timeout=20)[0] == "my turn\n"


def test_the_lock_is_the_programs_and_its_childrens(launcher: list[str], lock: Path) -> None:
    with begun(*launcher, "--lock", str(lock), "--", "sh", "-c", "sleep 60 & echo $!; exec sleep 60") as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        inode = lock.stat().st_ino
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line]
        assert [int(words[4]) for words in held] == [process.pid]
        process.kill()
        process.wait(20)
        assert is_locked(lock), "a child of it lives"
        os.kill(child, signal.SIGKILL)
        until(lambda: not is_locked(lock), "the lock is free")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGHUP"])
def test_while_it_waits_a_signal_ends_it_at_once(launcher: list[str], lock: Path, name: str) -> None:
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with begun(*launcher, "--lock", str(lock), "--", "echo", "it ran") as process:
            until(lambda: waits(process), "it waits")
            process.send_signal(signal.Signals[name])
            assert process.communicate(timeout=20)[0] == ""
            assert process.returncode == 128 + signal.Signals[name]


def test_a_link_is_no_lock(launcher: list[str], lock: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(lock)
    assert ran(launcher, "--lock", str(tmp_path / "link"), "--", "ls").returncode == OWN_FAILURE


# -- the address ------------------------------------------------------------------------------------------------------------
def test_it_waits_for_its_address_and_has_no_lock_until_then(launcher: list[str], lock: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    with begun("unshare", "--net", *launcher, "--address", ADDRESS, "--lock", str(lock), "--", "echo", "it ran") as process:
        until(lambda: "--address" in Path(f"/proc/{process.pid}/cmdline").read_text() and waits(process), "it waits")
        inside = ["nsenter", "--net", "--target", str(process.pid), "ip"]
        subprocess.run([*inside, "link", "set", "lo", "up"], check=True)
        time.sleep(0.05)
        assert process.poll() is None
        assert not is_locked(lock)
        subprocess.run([*inside, "link", "add", "late", "type", "veth", "peer", "name", "other"], check=True)
        subprocess.run([*inside, "address", "add", f"{ADDRESS}/24", "dev", "late"], check=True)
        time.sleep(0.05)
        assert process.poll() is None, "the interface is still down"
        subprocess.run([*inside, "link", "set", "late", "up"], check=True)
        assert process.communicate(timeout=20) == ("it ran\n", "")


def test_words_for_a_container() -> None:
    assert launched(["redis-server", "--port", "1"], launcher="/l", address="10.0.0.1", lock="/lock", env=[("A", "/a")]) == [
        "/l", "--address", "10.0.0.1", "--lock", "/lock", "--env", "A=/a", "--", "redis-server", "--port", "1"]
    assert launched(["-x"], launcher="/l") == ["/l", "--", "-x"]
    assert launcher_for("riscv64") is None
    with pytest.raises(ValueError, match="no program"):
        launched([], launcher="/l")
