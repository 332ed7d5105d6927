"""Who does something, and by which way: a name and a way in. The ledger, JSON and the command line hold `name (via)`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Via(StrEnum):
    """How an actor came in. Rows may name another way: that of an emergency flip, or of a build to come."""

    CLI = "cli"
    WEB = "web"
    TOKEN = "token"  # noqa: S105  a way in, no secret
    WATCHER = "watcher"
    EMERGENCY = "emergency"
    OUTSIDE = "outside deployctl"  # traffic was switched by someone else


UNKNOWN = "-"  # the way, where a text names none


class Actor(str):
    """`name` did it, coming in by `via`. It is a string, the very form that is stored, so that ledger and JSON take it as
    it is; nobody else takes that form apart."""

    __slots__ = ("name", "via")
    name: str
    via: str

    def __new__(cls, name: str, via: str) -> Self:
        self = super().__new__(cls, name if via == UNKNOWN else f"{name} ({via})")
        self.name, self.via = name, str(via)
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # str would give its text, for copies
        return self.name, self.via

    @classmethod
    def of(cls, stored: str) -> Self:
        """Return the actor that a row or a note names; one without a way has UNKNOWN."""
        if isinstance(stored, cls):
            return stored
        name, _, way = stored.rpartition(" (")
        return cls(name, way[:-1]) if name and way[-1:] == ")" else cls(stored, UNKNOWN)

    def by(self, via: Via) -> Self:
        """Return the same person by another way."""
        return type(self)(self.name, via)


def stored_range(name: str) -> tuple[str, str]:
    """Return between which texts all actors of that name lie, the second left out: an index finds them by it."""
    return f"{name} (", f"{name} )"
