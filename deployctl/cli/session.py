"""One call of the command line: its streams, its global flags, and the way to the services."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from deployctl.cli.rendering.forms import json_line, tsv_lines
from deployctl.cli.terminal import Look, look_of
from deployctl.errors import DeployctlError, Invalid, Untrusted

if TYPE_CHECKING:
    from deployctl.cli.rendering.tables import Table
    from deployctl.cli.reporters.reporter import Progress
    from deployctl.config.settings import Settings
    from deployctl.ports import Reporter, Services
    from deployctl.usecases.ledger.rebuild import Build

Connect = Callable[["Settings", "Reporter"], "Services"]


def connect_services(settings: Settings, reporter: Reporter) -> Services:
    """Return the real services of that home."""
    from deployctl.actor import who
    from deployctl.bootstrap import services

    return services(settings, reporter=reporter, actor=who("cli"))


def connect_over(settings: Settings, reporter: Reporter) -> Build:
    """Return what builds the real services of that home over a ledger that is open already."""
    from deployctl.actor import who
    from deployctl.bootstrap import services_over

    return lambda ledger: services_over(ledger, settings, reporter=reporter, actor=who("cli"))


@dataclass(slots=True)
class Session:
    """Global flags are set on it while click parses; everything that is written goes through it."""

    connect: Connect = connect_services
    connect_over: Callable[[Settings, Reporter], Build] = connect_over
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = field(default_factory=Path.cwd)
    output: str = "table"
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    no_input: bool = False
    yes: bool = False
    timeout: float | None = None
    home: str | None = None
    found: Settings | None = None  # the home, once it was entered
    place: str | None = None  # the home that the answer speaks of, once it was opened
    gone: bool = False  # nobody reads stdout any more
    timed_out: bool = False
    warnings: list[str] = field(default_factory=list)  # of the home itself; in the answer, too
    promoted: bool = False  # traffic was moved: the ledger is copied once the answer is out

    # -- where and with what --------------------------------------------------------------------------------------
    @property
    def settings(self) -> Settings:
        if self.found is not None:
            return self.found
        from deployctl.config.settings import Settings, find_home

        return Settings(find_home(self.home, self.environ, self.cwd))

    def enter(self, *, goes_on: bool = False) -> None:
        """Become the owner of the home before anything of it is opened, where root was asked. The home stays the one that
        was found: who looks for it afterwards may find another. Raises Untrusted where others may write to its files;
        with `goes_on` that is a warning."""
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
        """Tell on stderr and in the answer what does not keep a person from looking or going back."""
        look = self.look(self.err)
        self.warnings.append(error.message)
        self.complain([f"{look.warn} {error.message}", *(f"  {line}" for line in error.remedy)])

    @property
    def named(self) -> bool:
        """Tell whether the person said which home is meant, and it was not found by looking around."""
        return self.home is not None or "DEPLOYCTL_HOME" in self.environ

    def has_ledger(self) -> bool:
        from deployctl.bootstrap import has_ledger

        return has_ledger(self.settings)

    def open(self, settings: Settings, reporter: Reporter, *, make: bool = False) -> Services:
        """Return the services of the home. Where there is no home, only what may begin one (`make`) makes it: all others
        see an empty one, and leave nothing behind."""
        if make or self.has_ledger():
            return self.connect(settings, reporter)
        from deployctl.bootstrap import blank_ledger

        return self.connect_over(settings, reporter)(blank_ledger(settings))

    @contextmanager
    def services(self, *, make: bool = False) -> Iterator[Services]:
        """Yield the services of this home; the progress lines end with the block."""
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
        """Say on a terminal which home and engine are spoken of, unless the person has just said it; and everywhere when
        there is no home."""
        self.place = str(s.home)
        if not there and not self.machine:
            self.note(f"Nothing was deployed from the home {s.home} yet.")
        elif self.err.isatty() and (self.verbose or not self.named):
            self.note(" · ".join([f"home {s.home}", *filter(None, [f"engine {getattr(s.engine, 'address', '')}"])]))

    def _warn_of_programs(self, s: Services) -> None:
        """Warn of what will not be started: whoever only looks or goes back may not need it."""
        if s.spec.haproxy_binary is not None and s.spec.file_trusted:
            from deployctl.bootstrap import require_program

            try:
                require_program(s.spec.haproxy_binary)
            except Untrusted as error:
                self.warn(error)

    def keep_copy(self) -> None:
        """Copy the ledger after a promotion, when that is due and no watcher does it. Called when the answer is out: a
        rollback must not wait for it."""
        if not self.promoted:
            return
        from deployctl.bootstrap import keep_copy

        try:
            if not self.warn_of_watcher():
                keep_copy(self.settings)
        except DeployctlError as error:
            self.note(f"warning: {error.message}", "The traffic was moved and the ledger knows it; only its copy is missing.")
        except KeyboardInterrupt:  # all that was asked for is done
            return

    def warn_of_watcher(self) -> bool:
        """Tell whether a watcher of the home runs, and warn of one that undoes what this version does."""
        from deployctl.watch.lock import find_watcher

        watcher = find_watcher(self.settings.state_dir)
        if watcher is not None and watcher.is_of_another_version:
            self.note(f"warning: {watcher.text}", f"  Fix: {watcher.remedy}")
        return watcher is not None

    def progress(self) -> Progress:
        from deployctl.cli.reporters.reporter import Lines, Quiet

        look = self.look(self.err)
        lines = Lines(self.err, look)
        if self.quiet:
            return Quiet(lines)
        if look.live:
            from deployctl.cli.reporters.live import Live

            return Live(lines, verbose=self.verbose)
        from deployctl.cli.reporters.plain import Plain

        return Plain(lines, verbose=self.verbose)

    def look(self, stream: TextIO) -> Look:
        return look_of(stream, self.environ, no_color=self.no_color, wide=self.output == "wide", quiet=self.quiet)

    # -- what it says ---------------------------------------------------------------------------------------------
    @property
    def machine(self) -> bool:
        """Tell whether stdout must be JSON."""
        return self.output in {"json", "jsonl"}

    def answer(self, as_json: Callable[[], Mapping[str, Any]], text: Callable[[Look], list[str]], *,
               table: Callable[[Look], Table] | None = None, many: str | None = None) -> None:
        """Write the answer in the form that was asked for. `many`: the key whose items are lines in jsonl."""
        look = self.look(self.out)
        if self.machine:
            told = as_json()
            if self.place is not None and self.output == "json":
                told = {**told, "home": self.place}
            if self.warnings and self.output == "json":
                told = {**told, "warnings": [*told.get("warnings", []), *self.warnings]}
            for item in told[many] if many and self.output == "jsonl" else [told]:
                self.write(json_line(item, look))
        elif self.output == "tsv":
            lines = tsv_lines(as_json, table, replace(look, relative=False, signs=False))
            self.write("".join(f"{line}\n" for line in lines))
        else:
            self.write(look.finish(text(look)))

    def write(self, text: str) -> None:
        """Write to stdout. When nobody reads it any more, say no more; when it is full, raise."""
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
            raise DeployctlError(f"the answer could not be written: {e.strerror}", code="output") from e

    def is_left(self) -> bool:
        """Tell whether nobody reads stdout any more, also while there is nothing to write to it."""
        self.gone = self.gone or _hung_up(self.out)
        return self.gone

    def note(self, *lines: str) -> None:
        """Write hints to stderr, unless quiet."""
        if not self.quiet:
            self.complain([*lines])

    def complain(self, lines: list[str]) -> None:
        """Write to stderr, whoever is there to read it."""
        with suppress(OSError, ValueError):
            self.err.write(self.look(self.err).finish(lines))
            self.err.flush()

    def require_many(self, flag: str, *, asked: bool) -> None:
        """Refuse what has no end where one object was asked for."""
        if asked and self.output == "json":
            raise Invalid(f"{flag} has no end, and -o json is one object: write -o jsonl.", code="usage")

    def stopped_watching(self) -> int:
        """Return the exit code of a look that a person, or the time limit, has ended."""
        if self.timed_out:
            raise KeyboardInterrupt
        return 0

    # -- what it asks ---------------------------------------------------------------------------------------------
    @property
    def may_ask(self) -> bool:
        return not self.no_input and self.stdin.isatty() and self.err.isatty()

    def ask(self, question: str) -> str:
        """Return what the person typed, empty at the end of input. Questions go to stderr: stdout is the answer."""
        look = self.look(self.err)
        self.err.write(look.finish(question.splitlines()).rstrip("\n") + " ")
        self.err.flush()
        return self.stdin.readline().strip()


def _hung_up(stream: TextIO) -> bool:
    import select

    with suppress(OSError, ValueError):  # it is no file
        looked = select.poll()
        looked.register(stream.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in looked.poll(0))
    return False


def _point_to_nowhere(stream: TextIO) -> None:
    """Let the interpreter's last flush go nowhere instead of complaining."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
