"""What a release knows of a secret: its name, which value it is, and how a container gets it. Never the value itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.grammar import Grammar, match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

FOLDER = "/run/secrets"  # in a container, as Docker's own secrets have it
READ_BY_OWNER = 0o400
SHOWN_ID_CHARACTERS = 8  # of the id of a value: enough to tell two of them apart
SHORTEST_HIDDEN = 6  # characters: hiding shorter ones would make a log unreadable

SECRET = Grammar(
    "a secret's name",
    r"[A-Za-z_][A-Za-z0-9_.-]{0,63}",
    "A secret's name has letters, digits, _, . and -, and starts with a letter or _: DATABASE_URL.",
)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """One entry of a release spec's `secrets`."""

    name: str  # of the file in FOLDER
    value: str = ""  # id of the value; empty before it was looked up
    env: str | None = None  # variable that the program also gets it in
    mode: int = READ_BY_OWNER
    user: str | None = None  # owner of the file; None: the user that the container starts as

    def to_json(self) -> dict[str, Any]:
        """Return what is set, so that texts stay the same when keys are added."""
        told: dict[str, Any] = {"name": self.name, "value": self.value, "env": self.env, "user": self.user,
                                "mode": None if self.mode == READ_BY_OWNER else self.mode}
        return {key: one for key, one in told.items() if one}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)

    def __str__(self) -> str:
        """Return it as `show` and pages have it: of the value only whether it is the same can be seen."""
        further = (f"env {self.env}" if self.env else "", f"mode {self.octal}" if self.mode != READ_BY_OWNER else "",
                   f"user {self.user}" if self.user else "")
        return " ".join(filter(None, (self.name, f"value {self.value[:SHOWN_ID_CHARACTERS]}", *further)))

    @property
    def octal(self) -> str:
        """Return the mode as files write it."""
        return f"{self.mode:04o}"

    @property
    def path(self) -> str:
        """Return where a container finds it."""
        return f"{FOLDER}/{self.name}"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file for a container, before it has contents."""

    name: str
    value: str  # id
    uid: int
    gid: int
    mode: int
    env: bool = False  # it must fit into a variable


def parse_secret(text: object, *, field: str = "secret") -> str:
    """Return the name of a secret. Of NAME=VALUE the message shows no value."""
    typed = text.partition("=")[0] + "=" if isinstance(text, str) and "=" in text else text
    return match(typed, SECRET, field)[0]


class UnknownUser(ValueError):
    """A user of an image that its /etc/passwd does not list."""


def needs_passwd(user: str) -> bool:
    """Return whether only the image's /etc/passwd says which uid that user has."""
    name = user.partition(":")[0]
    return bool(name) and not name.isdecimal()


def ids_of(user: str, passwd: str = "") -> tuple[int, int]:
    """Return uid and gid of a user as Docker writes it: empty, `app`, `1000` or `1000:1000`. Raises UnknownUser."""
    name, _, group = user.partition(":")
    gid = int(group) if group.isdecimal() else None
    if not needs_passwd(user):
        return int(name or 0), gid or 0
    for line in passwd.splitlines():
        entry = line.split(":")
        if entry[0] == name and len(entry) > 3 and entry[2].isdecimal():
            own = int(entry[3]) if entry[3].isdecimal() else 0
            return int(entry[2]), own if gid is None else gid
    raise UnknownUser(name)


def parts_to_hide(values: Iterable[bytes]) -> tuple[str, ...]:
    """Return the texts that must not be shown: each value, and each line of one that has several. Longest first, so that
    nothing of a value stays where another one is a part of it."""
    found = set[str]()
    for value in values:
        text = value.decode(errors="replace")
        found |= {part.strip() for part in (text, *text.splitlines())}
    return tuple(sorted((part for part in found if len(part) >= SHORTEST_HIDDEN), key=lambda one: (-len(one), one)))
