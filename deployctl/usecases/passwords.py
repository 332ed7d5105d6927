"""Passwords are kept as argon2id only, with the parameters that argon2-cffi recommends (RFC 9106, low memory)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from deployctl.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1024  # characters; NIST SP 800-63B asks for 8 at least, and for room for phrases


def require_good(password: str) -> str:
    """Return the password. Raises Invalid when it is too short to be one, so long that it is an attack, or no text."""
    if not password.isascii() and any("\ud800" <= c <= "\udfff" for c in password):
        raise Invalid("the password is not UTF-8 text.", remedy=["type it on a UTF-8 terminal"])
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"a password has {SHORTEST} to {LONGEST} characters.", remedy=["a few words that nobody would guess"])
    return password


def hashed(password: str) -> str:
    return _hasher().hash(password)


def fits(hash_: str | None, password: str) -> bool:
    """Tell whether it is the password of that hash. It takes as long when there is none: nobody learns which names exist."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hash_ or _nobodys(), password[:LONGEST].encode(errors="replace")) and hash_ is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return hashed("the password of nobody at all")
