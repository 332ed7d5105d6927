"""Passwords are stored only as argon2id, with the parameters that argon2-cffi recommends (RFC 9106, low memory)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from deployctl.errors import Invalid, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1024  # characters; NIST SP 800-63B requires at least 8, and room for passphrases
MAX_PARALLEL_HASHES = 4  # passwords that this process checks or hashes at a time: each takes a thread, 64 MiB and a core
RETRY_AFTER = 1.0  # seconds, when that many are in progress

_room = BoundedSemaphore(MAX_PARALLEL_HASHES)


class TooManyTries(NotPermitted):
    code = "too_many_tries"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(f"Too many attempts. Try again in {retry_after:.0f} s.",
                         remedy=["deployctl user link NAME   # a one-time link works at any time"])


def require_good(password: str) -> str:
    """Return the password. Raises Invalid if it is too short to be secure, so long that it is an attack, or not
    text."""
    if not password.isascii() and any("\ud800" <= c <= "\udfff" for c in password):
        raise Invalid("the password is not UTF-8 text.", remedy=["enter it on a UTF-8 terminal"])
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"a password must have {SHORTEST} to {LONGEST} characters.",
                      remedy=["use a few words that are hard to guess"])
    return password


def hashed(password: str) -> str:
    """Return its hash. Raises TooManyTries."""
    with _one_of_few():
        return _hasher().hash(password)


def fits(hash_: str | None, password: str) -> bool:
    """Return whether it is the password of that hash. Takes as long if there is no hash: response times do not reveal
    which names exist.

    Raises TooManyTries.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    known = hash_ or _nobodys()
    try:
        with _one_of_few():
            return _hasher().verify(known, password[:LONGEST].encode(errors="replace")) and hash_ is not None
    except (VerificationError, InvalidHashError):
        return False


@contextmanager
def _one_of_few() -> Iterator[None]:
    """Raises TooManyTries instead of waiting: no page, call or form may block other users' threads."""
    if not _room.acquire(blocking=False):
        raise TooManyTries(RETRY_AFTER)
    try:
        yield
    finally:
        _room.release()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return hashed("the password of nobody at all")
