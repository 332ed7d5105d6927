"""Which home a ledger belongs to. A home is known by its id and its secret, in the ledger and beside it in `state/secret`.

Where the folder lies may change: a home that was moved goes on by itself. Two folders with the same id are a home and
its copy: the one that the ledger names is the home, and the other one refuses, because both would change the same
containers.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from deployctl.domain.home import HomeIdentity
from deployctl.errors import CopiedHome
from deployctl.ledger.connection import TRAFFIC_GOES_ON, Connection

ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Keys:
    """What lies in `state/secret`, a line each. `id` is None where it was written before homes had one."""

    secret: str  # 64 hex characters
    id: str | None = None
    marked_by: str | None = None  # as in HomeIdentity

    def match(self, other: Keys) -> bool:
        return self.secret == other.secret and (None in (self.id, other.id) or self.id == other.id)


# -- beside the ledger ----------------------------------------------------------------------------------------------
def keep_keys(connection: Connection) -> None:
    """Write secret and id beside the ledger: what they marked must be told from others when the ledger is lost."""
    keys = keys_of(connection)
    part = connection.path.with_name("secret.new")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write("".join(f"{line}\n" for line in (keys.secret, keys.id, keys.marked_by) if line))
    part.replace(_secret_file(connection.path))


def find_keys(ledger: Path) -> Keys | None:
    """Return what keep_keys wrote, None when that is missing or nothing of ours."""
    try:
        lines = _secret_file(ledger).read_text().splitlines()
        known = lines and len(bytes.fromhex(lines[0])) == 32 and all(bytes.fromhex(id_) for id_ in lines[1:2])
    except (OSError, ValueError):
        return None
    return Keys(*lines[:3]) if known else None


def _secret_file(ledger: Path) -> Path:
    return ledger.with_name("secret")


def keys_for(ledger: Path, home: Path) -> Keys:
    """Return the keys of a ledger that is made here: those of the home where it had one before, else fresh ones."""
    known = find_keys(ledger)
    if known is None:
        return Keys(secrets.token_hex(32), secrets.token_hex(ID_BYTES))
    return known if known.id else replace(known, id=secrets.token_hex(ID_BYTES), marked_by=str(home))


# -- in the ledger --------------------------------------------------------------------------------------------------
def keys_of(connection: Connection) -> Keys:
    """Return the ledger's own; one that is not brought up to date yet may have no id."""
    row = connection.execute("select * from identity where id = 1")[0]
    later = {key: row[key] for key in ("home_id", "marked_by") if key in row.keys()}  # noqa: SIM118  a Row has no `in`
    return Keys(row["secret"], later.get("home_id"), later.get("marked_by"))


def identity_of(connection: Connection) -> HomeIdentity:
    row = connection.execute("select home, home_id, secret, marked_by from identity where id = 1")[0]
    return HomeIdentity(row["home"], row["home_id"], bytes.fromhex(row["secret"]), _earlier(connection), row["marked_by"])


def _earlier(connection: Connection) -> tuple[str, ...]:
    return tuple(row["path"] for row in connection.execute("select path from earlier_homes order by left_at desc, rowid desc"))


def go_on_with_id(connection: Connection) -> None:
    """Give a ledger that has just got an id the one that the home goes by already: an earlier copy was put back."""
    known = find_keys(connection.path)
    if known is not None and known.id is not None:
        connection.execute("update identity set home_id = ? where secret = ?", [known.id, known.secret])


def take_over(connection: Connection, home: Path, *, host: str, now: str) -> None:
    """Let the ledger name that place, and remember the former one. Twice changes nothing."""
    with connection.transaction(durable=True):
        former = connection.execute("select home from identity where id = 1")[0]["home"]
        if former != str(home):
            connection.execute("insert or replace into earlier_homes(path, left_at) values (?, ?)", [former, now])
            connection.execute("delete from earlier_homes where path = ?", [str(home)])
        connection.execute("update identity set home = ?, host = ? where id = 1", [str(home), host])


def become_another(connection: Connection, home: Path, *, host: str) -> None:
    """Let the ledger be one of a home of its own: it knows the apps, and owns nothing of what was made before."""
    keys = Keys(secrets.token_hex(32), secrets.token_hex(ID_BYTES))
    with connection.transaction(durable=True):
        connection.execute("delete from earlier_homes")
        connection.execute("update identity set home = ?, host = ?, home_id = ?, secret = ?, marked_by = null, engine = null "
                           "where id = 1", [str(home), host, keys.id, keys.secret])


# -- two of them ----------------------------------------------------------------------------------------------------
def require_only_one(connection: Connection, home: Path) -> None:
    """Raise CopiedHome when the home still lies at an earlier place, too."""
    require_gone(_earlier(connection), home, keys_of(connection))


def require_gone(places: Iterable[str], home: Path, keys: Keys) -> None:
    for place in places:
        if lives(Path(place), home, keys):
            raise CopiedHome(
                f"the home {home} lies at {place}, too: one is a copy of the other, and both would change the same containers. "
                f"Nothing was done. {TRAFFIC_GOES_ON}",
                remedy=[f"deployctl --home {place} status   # go on with that one",
                        f"mv {place}/state {place}/state.before   # or let {home} take its place",
                        f"mv {home}/state {home}/state.copy   # or make {home} a home of its own"])


def lives(place: Path, home: Path, keys: Keys) -> bool:
    """Tell whether the home with these keys lies there, in another folder than `home`. What may not be looked at counts."""
    ledger = place / "state" / "ledger.db"
    try:
        if place.samefile(home) or not ledger.exists():  # a link that was left behind, or nothing
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
    there = find_keys(ledger)
    return there is None or there.match(keys)
