"""What is done inside a container: one command in a running one, an argument list with a timeout that kills it and bounded
output; and one small file read, of any."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from collections.abc import Iterator, Sequence
from threading import Thread

from deployctl.effects.docker.errors import translated
from deployctl.effects.docker.sentences import clear
from deployctl.effects.docker.streams import frames, visible_lines
from deployctl.errors import DeployctlError
from deployctl.paths import Path
from deployctl.ports import Executed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from docker import APIClient

    from deployctl.effects.docker.facts import Hider

OUTPUT = 64 * 2**10  # bytes that are kept
TIMED_OUT = 124  # the exit code of timeout(1)
_OF_THE_ENGINE = ("OCI runtime", "Error: runc:", "Error: crun:", "Error: OCI runtime")  # Docker, Podman
ARCHIVE_BYTES = 2**20  # of a file's archive that are read
MAX_LINKS = 8
_SETTLE = 1.0  # seconds for the engine to record an exit that it already streamed


class _OutputReading(Thread):
    """Collects what the command prints; anything beyond OUTPUT is read and dropped, so that it never blocks."""

    def __init__(self, api: APIClient, exec_id: str, address: str) -> None:
        super().__init__(daemon=True)
        self._api, self._id, self._address = api, exec_id, address
        self.output = bytearray()
        self.failure: DeployctlError | None = None

    def run(self) -> None:
        try:
            with translated("run a command", self._address):
                for _, data in frames(self._pieces()):
                    self.output += data[: OUTPUT - len(self.output)]
        except DeployctlError as e:
            self.failure = e

    def _pieces(self) -> Iterator[bytes]:
        # docker-py's exec_start() skips the buffer that may already hold the first bytes
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/exec/{self._id}/start"
        with api.post(url, json={"Detach": False, "Tty": False}, stream=True, timeout=(api.timeout, None)) as answer:
            if answer.status_code != 200:
                self.output += clear(answer.text).encode()
                return
            yield from answer.iter_content(4096)


def execute(api: APIClient, container: str, command: Sequence[str], *, timeout: float, address: str,
            hider: Hider) -> Executed:
    """Run it and return how it ended; 124 if we killed it."""
    done = _execute(api, container, command, timeout=timeout, address=address)
    hide = hider() if done.output else None
    return Executed(done.exit_code, hide(done.output)) if hide else done


def _execute(api: APIClient, container: str, command: Sequence[str], *, timeout: float, address: str) -> Executed:
    ends_at = time.monotonic() + timeout
    with translated(f"run {command[0]}", address):
        exec_id = str(api.exec_create(container, list(command))["Id"])
    reading = _OutputReading(api, exec_id, address)
    reading.start()
    reading.join(max(0.0, ends_at - time.monotonic()))
    if reading.is_alive():
        return _timed_out(api, exec_id, container, reading, timeout=timeout, address=address)
    if reading.failure is not None:
        raise reading.failure
    printed = visible_lines(bytes(reading.output))
    return Executed(_exit_code(api, exec_id, address), clear(printed) if printed.startswith(_OF_THE_ENGINE) else printed)


def _exit_code(api: APIClient, exec_id: str, address: str) -> int:
    settled_by = time.monotonic() + _SETTLE
    with translated("read a command's exit code", address):
        while (facts := api.exec_inspect(exec_id))["Running"] and time.monotonic() < settled_by:
            time.sleep(0.02)
    code = facts["ExitCode"]
    return 126 if code is None else int(code)  # never started


def _timed_out(
    api: APIClient, exec_id: str, container: str, reading: _OutputReading, *, timeout: float, address: str
) -> Executed:
    with translated("kill a command", address):
        killed = _kill(int(api.exec_inspect(exec_id)["Pid"] or 0), container)
    reading.join(_SETTLE if killed else 0)
    why = f"not finished within {timeout:g} s, " + ("so it was killed" if killed else "and it may still be running")
    printed = visible_lines(bytes(reading.output)).rstrip("\n")
    return Executed(TIMED_OUT, f"{printed}\n{why}".lstrip("\n"))


def _kill(pid: int, container: str) -> bool:
    """Kill that process on this host, if it is the container's and we may."""
    try:
        if pid <= 0 or container not in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
            return False
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


# -- files ------------------------------------------------------------------------------------------
def read_file(api: APIClient, container: str, path: str, *, address: str) -> bytes | None:
    """Return its contents; None if there is no such file. Links are followed inside the container."""
    from docker.errors import NotFound

    for _ in range(MAX_LINKS):
        with translated(f"read {path}", address):
            try:
                pieces, found = api.get_archive(container, path)
            except NotFound:
                return None
            archive = _start_of(pieces)
        if not found.get("linkTarget"):
            return _only_file(archive)
        path = found["linkTarget"]
    return None


def _start_of(pieces: object) -> bytes:
    read = bytearray()
    for piece in pieces:  # type: ignore[attr-defined]  # an iterator of bytes, untyped
        read += piece
        if len(read) > ARCHIVE_BYTES:
            break
    return bytes(read)


def _only_file(archive: bytes) -> bytes | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            first = tar.next()
            file = tar.extractfile(first) if first is not None else None
            return None if file is None else file.read()
    except tarfile.TarError:
        return None
