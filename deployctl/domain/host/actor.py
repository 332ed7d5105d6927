"""Who does something, and through which door. The ledger, JSON and the command line write it as `name (via)`."""

from __future__ import annotations

from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Via(StrEnum):
    """How an actor came in. Rows may contain other values: an emergency switch, or a later build."""

    CLI = "cli"
    WEB = "web"
    TOKEN = "token"  # noqa: S105  a way in, no secret
    WATCHER = "watcher"
    EMERGENCY = "emergency"
    OUTSIDE = "outside deployctl"  # traffic was switched by someone else


UNKNOWN = "-"  # where the text names none


class Actor(str):
    """`name` acted through `via`. It is a string in exactly the stored form, so ledger and JSON take it as it is; no
    other code takes that form apart."""

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
        """Return the actor that a row or a note names; one without a door has UNKNOWN."""
        if isinstance(stored, cls):
            return stored
        name, _, way = stored.rpartition(" (")
        return cls(name, way[:-1]) if name and way[-1:] == ")" else cls(stored, UNKNOWN)

    def by(self, via: Via) -> Self:
        """Return the same person through another door."""
        return type(self)(self.name, via)


def stored_range(name: str) -> tuple[str, str]:
    """Return the bounds between which the texts of all actors of that name sort, upper bound excluded: for an index
    lookup."""
    return f"{name} (", f"{name} )"
