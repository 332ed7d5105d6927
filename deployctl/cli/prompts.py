"""Prompts for a password, and confirmation of what cannot be undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deployctl.cli.run_change import confirmed
from deployctl.cli.session import CommandCall
from deployctl.errors import ConfirmationNeeded, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

MAX_PROMPT_CHARACTERS = 4096  # characters read of a line


def require_sure(session: CommandCall, question: str) -> None:
    """Return once confirmed, at the prompt or with --yes. Raises ConfirmationNeeded."""

    def act(sure: bool, _revision: int | None) -> None:
        if not sure:
            raise ConfirmationNeeded(question)

    confirmed(session, act)


def ask_unseen(session: CommandCall, question: str, *, remedy: str) -> str:
    """Return what was typed twice, without echo. Raises Invalid."""
    if not session.may_ask:
        raise Invalid("cannot prompt for a value (--no-input).", remedy=[remedy], code="usage")
    first, second = _typed(session, question, "value"), _typed(session, "Confirm value:", "value")
    if first != second:
        raise Invalid("the values do not match. Nothing was changed.", remedy=[remedy])
    return first


def ask_password(session: CommandCall, name: str) -> str:
    """Return the password: prompted for twice, without echo, on a terminal; otherwise the first line of standard input.

    Raises Invalid.
    """
    if not session.stdin.isatty():
        return _line(session.stdin)
    if not session.may_ask:
        raise Invalid("cannot prompt for a password (--no-input).",
                      remedy=[f"deployctl user password {name} < FILE"], code="usage")
    first, second = _typed(session, f"Password for {name}:"), _typed(session, "Confirm password:")
    if first != second:
        raise Invalid("the passwords do not match. Nothing was changed.", remedy=[f"deployctl user password {name}"])
    return first


def _typed(session: CommandCall, question: str, what: str = "password") -> str:
    with _unseen(session.stdin):  # before the prompt: what is typed ahead is not echoed either
        session.err.write(session.look(session.err).finish([question]).rstrip("\n") + " ")
        session.err.flush()
        try:
            return _line(session.stdin, what)
        finally:
            session.err.write("\n")
            session.err.flush()


def _line(stream: TextIO, what: str = "password") -> str:
    try:
        line = stream.readline(MAX_PROMPT_CHARACTERS)
    except UnicodeDecodeError:
        raise Invalid(f"the {what} is not UTF-8 text. Nothing was changed.") from None
    if not line.strip():
        raise Invalid(f"the {what} is empty. Nothing was changed.", remedy=["write it to the first line of standard input"])
    return line.removesuffix("\n").removesuffix("\r")


@contextmanager
def _unseen(stream: TextIO) -> Iterator[None]:
    """Turn off terminal echo for the block; no-op if the stream is not a terminal."""
    import termios

    former = None
    with suppress(OSError, ValueError, termios.error):
        former = termios.tcgetattr(stream.fileno())
        hidden = [*former]
        hidden[3] = former[3] & ~termios.ECHO
        termios.tcsetattr(stream.fileno(), termios.TCSAFLUSH, hidden)
    try:
        yield
    finally:
        if former is not None:
            termios.tcsetattr(stream.fileno(), termios.TCSAFLUSH, former)
