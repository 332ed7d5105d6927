"""From arguments to an exit code. Every error ends here, as text or JSON, with the live version and the next command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType

from deployctl.cli.arguments import CliArguments
from deployctl.cli.plain import PlainLine, read_plain
from deployctl.cli.session import CommandCall, ConnectServices, connect_services
from deployctl.errors import DeployctlError, Interrupted, NotPermitted
from deployctl.execution.interrupts import STOP_SIGNALS, stop
from deployctl.stdlib import signal
from deployctl.verbs.params import FORMATS
from deployctl.verbs.row import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(argv: Sequence[str], *, connect: ConnectServices = connect_services) -> int:
    """Run as a process, with its streams, signals and environment."""
    _open_streams()
    session = CommandCall(connect)
    sys.excepthook = lambda kind, error, trace: _crash(session, error, trace)
    try:
        install()
        return run(argv, session)
    except KeyboardInterrupt:  # before anything was done, or again while the answer was written
        return Interrupted.exit_code


def run(argv: Sequence[str], session: CommandCall) -> int:
    """Run one command line and return its exit code. Only a bug raises."""
    session.output = form_of(argv, session.environ) or "table"
    if session.environ.get("_DEPLOYCTL_COMPLETE"):
        from deployctl.cli.completion import complete
        from deployctl.cli.group import ROOT

        return complete(ROOT, session)
    try:
        return _invoke(argv, session)
    except DeployctlError as error:
        return fail(session, _over_time(session, error) if session.timed_out else error)
    finally:
        if session.timeout is not None:
            clear_limit()
        session.keep_copy()


def _invoke(argv: Sequence[str], session: CommandCall) -> int:
    """Parse the command line and carry it out; translate foreign exceptions."""
    try:
        return _carry_out(argv, session)
    except KeyboardInterrupt as error:
        raise Interrupted("Interrupted.", remedy=["deployctl status"]) from error
    except PermissionError as error:
        raise NotPermitted(f"{error.strerror}: {error.filename}", remedy=["deployctl doctor"]) from error
    except OSError as error:
        raise DeployctlError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}",
                             remedy=["deployctl doctor"]) from error


def _carry_out(argv: Sequence[str], session: CommandCall) -> int:
    line: PlainLine | int | None = read_plain(argv, session.environ)
    if line is None:
        from deployctl.cli.group import read

        line = read(argv, session)
    return line if isinstance(line, int) else carry_out(line, session)


# -- errors ----------------------------------------------------------------------------------------------------
def fail(session: CommandCall, error: DeployctlError) -> int:
    """Report the error, as JSON on stdout or as text on stderr, and return its exit code."""
    if session.machine:
        from deployctl.cli.rendering.forms import json_line
        from deployctl.usecases.views import error_json

        with suppress(DeployctlError):  # the result itself could not be written
            session.write(json_line(error_json(error), session.look(session.out)))
    else:
        from deployctl.cli.rendering.error import error_text

        session.complain(error_text(error, session.look(session.err)))
    if session.verbose:
        session.complain(_causes(error))
    return error.exit_code


def _causes(error: BaseException) -> list[str]:
    lines = []
    while error.__cause__ is not None:
        error = error.__cause__
        lines += [f"  caused by {type(error).__name__}: {line}" for line in str(error).splitlines()[:5]]
    return lines


def _over_time(session: CommandCall, error: DeployctlError) -> DeployctlError:
    """Return the error for a command that its time limit interrupted; any other error is returned unchanged."""
    if not isinstance(error, Interrupted):
        return error
    from deployctl.domain.durations import took

    limit = took((session.timeout or 0) * 1000)
    message = f"The time limit of {limit} (--timeout) was reached. {error.message}"
    over = DeployctlError(message, remedy=error.remedy, code="timeout")
    over.serving, over.details = error.serving, error.details
    return over


def _crash(session: CommandCall, error: BaseException, trace: TracebackType | None) -> None:
    """Report a bug with everything needed to find it."""
    bug = DeployctlError(f"this is a bug in deployctl: {type(error).__name__}: {error}",
                         remedy=["deployctl status", "Please report it with the lines below."], code="bug")
    fail(session, bug)
    import traceback

    session.complain([line for part in traceback.format_exception(error) for line in part.splitlines()])


# -- before anything is parsed ---------------------------------------------------------------------------------
def form_of(argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the output format as far as the raw arguments show it: usage errors need it, too."""
    found = environ.get("DEPLOYCTL_OUTPUT")
    words = argv[: [*argv, "--"].index("--")]
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == "--json":
            found = "json"
        elif word in {"-o", "--output"}:
            found = after
        elif word.startswith(("-o", "--output=")):
            found = word.removeprefix("--output=").removeprefix("-o")
    return found if found in FORMATS else None


def _open_streams() -> None:
    """Make sure that descriptors 0, 1 and 2 are open: a file opened later must never take one of them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  open as long as we run


# -- signals and the time limit ------------------------------------------------------------------------------------
def install() -> None:
    """Make every terminating signal raise KeyboardInterrupt, at the end of a shielded section where one is open; not those
    that are ignored on purpose (nohup, `&`)."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def limit(session: CommandCall, seconds: float) -> None:
    """End the command after that many seconds. A later call replaces the limit; `clear_limit` removes it."""

    def time_is_up(number: int, frame: FrameType | None) -> None:
        session.timed_out = True
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def clear_limit() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)


# -- carrying a line out -------------------------------------------------------------------------------------------
def remember(session: CommandCall, name: str, value: Any) -> None:
    """Set a global flag on the session; a time limit starts running."""
    if name == "json_too":
        session.output = "json"
    else:
        setattr(session, name, value)
    if name == "timeout":
        limit(session, value)


def carry_out(line: PlainLine, session: CommandCall) -> int:
    """Do it and return the exit code. Raises DeployctlError."""
    verb, values = line.verb, line.values
    for name, value in line.shared:
        remember(session, name, value)
    if verb.enters:
        session.enter(goes_on=verb.goes_on)
    if verb.app:
        values = {**values, "words": CliArguments.check(verb, values["given"])}
        del values["given"]
    if verb.does:
        from deployctl.cli.run_change import change

        return change(session, verb, values)
    return int(load(verb.runs)(session, **values) or 0)
