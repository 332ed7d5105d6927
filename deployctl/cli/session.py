"""One invocation of the command line: its streams, its global flags, and access to the services."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from deployctl.cli.terminal import TerminalStyle, style_of
from deployctl.dataclass import dataclass, field, replace
from deployctl.errors import DeployctlError, Invalid, Untrusted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from deployctl.cli.rendering.tables import TextTable
    from deployctl.cli.reporters.reporter import ClosableReporter
    from deployctl.config.settings import Settings
    from deployctl.ports import Reporter, Services
    from deployctl.usecases.ledger.rebuild import Build

ConnectServices = Callable[["Settings", "Reporter"], "Services"]


def connect_services(settings: Settings, reporter: Reporter) -> Services:
    """Return the services of a home."""
    from deployctl.actor import who
    from deployctl.bootstrap import services
    from deployctl.domain.host.actor import Via

    return services(settings, reporter=reporter, actor=who(Via.CLI))


def connect_over(settings: Settings, reporter: Reporter) -> Build:
    """Return a factory for the services of a home, over a ledger that is already open."""
    from deployctl.actor import who
    from deployctl.bootstrap import services_over
    from deployctl.domain.host.actor import Via

    return lambda ledger: services_over(ledger, settings, reporter=reporter, actor=who(Via.CLI))


@dataclass(slots=True)
class CommandCall:
    """Holds the global flags that click sets while parsing; all output goes through it."""

    connect: ConnectServices = connect_services
    connect_over: Callable[[Settings, Reporter], Build] = connect_over
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = field(default_factory=lambda: _working_directory())
    output: str = "table"
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    no_input: bool = False
    yes: bool = False
    timeout: float | None = None
    home: str | None = None
    found: Settings | None = None  # the home, once entered
    place: str | None = None  # the home that the result is about, once opened
    gone: bool = False  # the reader of stdout has gone
    timed_out: bool = False
    warnings: list[str] = field(default_factory=list)  # about the home itself; included in the result
    promoted: bool = False  # traffic was switched: the ledger is backed up once the result is printed

    # -- where and with what --------------------------------------------------------------------------------------
    @property
    def settings(self) -> Settings:
        if self.found is not None:
            return self.found
        from deployctl.config.settings import Settings, find_home

        return Settings(find_home(self.home, self.environ, self.cwd))

    def enter(self, *, goes_on: bool = False) -> None:
        """As root, become the owner of the home before opening anything in it. The home is fixed here, since looking it up
        again as another user could find another. Raises Untrusted if others may write to its files; with `goes_on` that
        is a warning."""
        from deployctl.config.owners import enter
        from deployctl.config.trusted_files import find_home_faults, refusal, require_own_state

        settings = self.settings
        enter(settings, self.environ)
        require_own_state(settings, self.environ)
        if faults := find_home_faults(settings, self.environ, apps=True):
            error = refusal(faults)
            if not goes_on:
                raise error
            self.warn(error)
        self.found = settings

    def warn(self, error: DeployctlError) -> None:
        """Report, on stderr and in the result, a problem that does not prevent reading or rolling back."""
        look = self.look(self.err)
        self.warnings.append(error.message)
        self.complain([f"{look.warn} {error.message}", *(f"  {line}" for line in error.remedy)])

    @property
    def named(self) -> bool:
        """Return whether the home was given explicitly instead of found by search."""
        return self.home is not None or "DEPLOYCTL_HOME" in self.environ

    def has_ledger(self) -> bool:
        from deployctl.bootstrap import has_ledger

        return has_ledger(self.settings)

    def open(self, settings: Settings, reporter: Reporter, *, make: bool = False) -> Services:
        """Return the services of the home. If there is no home, only verbs that may create one (`make`) do; all others see an
        empty one and leave nothing behind."""
        if make or self.has_ledger():
            return self.connect(settings, reporter)
        from deployctl.bootstrap import blank_ledger

        ledger = blank_ledger(settings)
        try:
            return self.connect_over(settings, reporter)(ledger)
        except DeployctlError:  # an error in server.toml
            ledger.close()
            raise

    @contextmanager
    def services(self, *, make: bool = False) -> Iterator[Services]:
        """Yield the services of this home; progress output ends with the block."""
        if self.found is None:
            self.enter()
        progress, there = self.progress(), make or self.has_ledger()
        try:
            with closing(self.open(self.settings, progress, make=make)) as s:
                self._tell_place(s, there=there)
                self._warn_of_programs(s)
                try:
                    yield s
                finally:
                    self.promoted = self.promoted or s.ledger.promoted
        finally:
            progress.close()

    def _tell_place(self, s: Services, *, there: bool) -> None:
        """On a terminal, name the home and the engine unless the home was given explicitly; always say if there is no home."""
        self.place = str(s.home)
        if not there and not self.machine:
            self.note(f"No deployments yet in the home {s.home}.")
        elif self.err.isatty() and (self.verbose or not self.named):
            self.note(" · ".join([f"home {s.home}", *filter(None, [f"engine {getattr(s.engine, 'address', '')}"])]))

    def _warn_of_programs(self, s: Services) -> None:
        """Warn about a program that will not be started: reading or rolling back may not need it."""
        if s.spec.haproxy_binary is not None and s.spec.file_trusted:
            from deployctl.bootstrap import require_program

            try:
                require_program(s.spec.haproxy_binary)
            except Untrusted as error:
                self.warn(error)

    def keep_copy(self) -> None:
        """Back up the ledger after a promotion, if that is due and no watcher does it. Called after the result is printed: a
        rollback must not wait for it."""
        if not self.promoted:
            return
        from deployctl.bootstrap import keep_copy

        try:
            if not self.warn_of_watcher():
                keep_copy(self.settings)
        except DeployctlError as error:
            self.note(f"warning: {error.message}", "Traffic was switched and the ledger has it; only the backup is missing.")
        except KeyboardInterrupt:  # the command itself is done
            return

    def warn_of_watcher(self) -> bool:
        """Return whether a watcher runs in this home, and warn of one of another version, which would undo changes."""
        from deployctl.watch.lock import find_watcher

        watcher = find_watcher(self.settings.state_dir)
        if watcher is not None and watcher.is_of_another_version:
            self.note(f"warning: {watcher.text}", f"  Fix: {watcher.remedy}")
        return watcher is not None

    def progress(self) -> ClosableReporter:
        from deployctl.cli.reporters.reporter import Quiet, ReporterLines

        look = self.look(self.err)
        lines = ReporterLines(self.err, look)
        if self.quiet:
            return Quiet(lines)
        if look.live:
            from deployctl.cli.reporters.live import Live

            return Live(lines, verbose=self.verbose)
        from deployctl.cli.reporters.reporter import Plain

        return Plain(lines, verbose=self.verbose)

    def look(self, stream: TextIO) -> TerminalStyle:
        return style_of(stream, self.environ, no_color=self.no_color, wide=self.output == "wide", quiet=self.quiet)

    # -- output ----------------------------------------------------------------------------------------------------
    @property
    def machine(self) -> bool:
        """Return whether stdout must be JSON."""
        return self.output in {"json", "jsonl"}

    def answer(self, as_json: Callable[[], Mapping[str, Any]], text: Callable[[TerminalStyle], list[str]], *,
               table: Callable[[TerminalStyle], TextTable] | None = None, many: str | None = None) -> None:
        """Write the result in the requested format. `many`: the key whose items are the lines of jsonl."""
        look = self.look(self.out)
        if self.machine:
            self._answer_json(as_json(), look, many)
        elif self.output == "tsv":
            from deployctl.cli.rendering.forms import tsv_lines

            lines = tsv_lines(as_json, table, replace(look, relative=False, signs=False))
            self.write("".join(f"{line}\n" for line in lines))
        else:
            self.write(look.finish(text(look)))

    def _answer_json(self, answer: Mapping[str, Any], look: TerminalStyle, many: str | None) -> None:
        from deployctl.cli.rendering.forms import json_line

        if self.place is not None and self.output == "json":
            answer = {**answer, "home": self.place}
        if self.warnings and self.output == "json":
            answer = {**answer, "warnings": [*answer.get("warnings", []), *self.warnings]}
        for item in answer[many] if many and self.output == "jsonl" else [answer]:
            self.write(json_line(item, look))

    def write(self, text: str) -> None:
        """Write to stdout; no-op once the reader has closed it. Raises DeployctlError on other errors, such as a full disk."""
        if self.gone:
            return
        try:
            self.out.write(text)
            self.out.flush()
        except BrokenPipeError:
            self.gone = True
            _point_to_nowhere(self.out)
        except OSError as e:
            self.gone = True
            _point_to_nowhere(self.out)
            raise DeployctlError(f"could not write the output: {e.strerror}", code="output") from e

    def is_left(self) -> bool:
        """Return whether the reader has closed stdout, even while there is nothing to write."""
        self.gone = self.gone or _hung_up(self.out)
        return self.gone

    def note(self, *lines: str) -> None:
        """Write hints to stderr, unless quiet."""
        if not self.quiet:
            self.complain([*lines])

    def complain(self, lines: list[str]) -> None:
        """Write to stderr, ignoring errors."""
        with suppress(OSError, ValueError):
            self.err.write(self.look(self.err).finish(lines))
            self.err.flush()

    def require_many(self, flag: str, *, asked: bool) -> None:
        """Reject endless output if one JSON object was requested. Raises Invalid."""
        if asked and self.output == "json":
            raise Invalid(f"{flag} never ends, but -o json is one object. Use -o jsonl.", code="usage")

    def stopped_watching(self) -> int:
        """Return the exit code of a watching command that Ctrl-C ended. Raises KeyboardInterrupt if the time limit did."""
        if self.timed_out:
            raise KeyboardInterrupt
        return 0

    # -- input -----------------------------------------------------------------------------------------------------
    @property
    def may_ask(self) -> bool:
        return not self.no_input and self.stdin.isatty() and self.err.isatty()

    def ask(self, question: str) -> str:
        """Return what was typed, empty at the end of input. Prompts go to stderr, since stdout is for the result."""
        look = self.look(self.err)
        self.err.write(look.finish(question.splitlines()).rstrip("\n") + " ")
        self.err.flush()
        return self.stdin.readline().strip()


def _working_directory() -> Path:
    """Return it. If it was deleted meanwhile, for example by a CI job that cleans up, the kernel still knows its path,
    so that a home above it is found; a home that was named needs none."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/proc/self/cwd").readlink()  # " (deleted)" follows its name


def _hung_up(stream: TextIO) -> bool:
    import select

    with suppress(OSError, ValueError):  # not a file
        looked = select.poll()
        looked.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in looked.poll(0))
    return False


def _point_to_nowhere(stream: TextIO) -> None:
    """Redirect the stream to /dev/null, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
