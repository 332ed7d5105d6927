"""Questions whose answer is a secret, or a yes to what cannot be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from deployctl.cli.run_change import confirmed
from deployctl.cli.session import Session
from deployctl.errors import ConfirmationNeeded, Invalid

LONGEST = 4096  # characters that are read of a line


def require_sure(session: Session, question: str) -> None:
    """Return after a yes, typed or given beforehand. Raises ConfirmationNeeded."""

    def act(sure: bool, _revision: int | None) -> None:
        if not sure:
            raise ConfirmationNeeded(question)

    confirmed(session, act)


def ask_password(session: Session, name: str) -> str:
    """Return the password: typed twice where somebody is at the terminal, which does not show it, else the first line
    of standard input. Raises Invalid."""
    if not session.stdin.isatty():
        return _line(session.stdin)
    if not session.may_ask:
        raise Invalid("nobody may be asked for the password.", remedy=[f"deployctl user password {name} < FILE"], code="usage")
    first, second = _typed(session, f"Password of {name}:"), _typed(session, "The same again:")
    if first != second:
        raise Invalid("the two are not the same. Nothing was changed.", remedy=[f"deployctl user password {name}"])
    return first


def _typed(session: Session, question: str) -> str:
    with _unseen(session.stdin):  # before the question is seen: whoever types at once is not seen either
        session.err.write(session.look(session.err).finish([question]).rstrip("\n") + " ")
        session.err.flush()
        try:
            return _line(session.stdin)
        finally:
            session.err.write("\n")
            session.err.flush()


def _line(stream: TextIO) -> str:
    try:
        line = stream.readline(LONGEST)
    except UnicodeDecodeError:
        raise Invalid("the password is not UTF-8 text. Nothing was changed.") from None
    if not line.strip():
        raise Invalid("no password was given. Nothing was changed.", remedy=["write it in the first line of standard input"])
    return line.removesuffix("\n").removesuffix("\r")


@contextmanager
def _unseen(stream: TextIO) -> Iterator[None]:
    """Let the terminal not show what is typed. A stream that is none shows nothing anyway."""
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
