"""Which home a ledger belongs to. A home is identified by its id and its secret, in the ledger and beside it in
`state/secret`.

The folder may be moved: a home that was moved keeps working. Two folders with the same id are a home and its copy: the
one that the ledger names is the home, and the other one is rejected, because both would change the same containers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from deployctl.dataclass import dataclass, replace
from deployctl.domain.host.home import HomeIdentity
from deployctl.errors import CopiedHome
from deployctl.ledger.file.connection import TRAFFIC_GOES_ON, sqlite_errors
from deployctl.paths import Path
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.connection import LedgerConnection

ID_BYTES = 8
_COPIES = "copies "  # begins the line of `state/secret` with the backup key


@dataclass(frozen=True, slots=True)
class HomeKeys:
    """The contents of `state/secret`, a line each, before the backup key. `id` is None if it was written before homes
    had one."""

    secret: str  # 64 hex characters
    id: str | None = None
    marked_by: str | None = None  # as in HomeIdentity

    def match(self, other: HomeKeys) -> bool:
        return self.secret == other.secret and (None in (self.id, other.id) or self.id == other.id)


# -- beside the ledger ----------------------------------------------------------------------------------------------
def keep_keys(connection: LedgerConnection) -> None:
    """Write secret and id beside the ledger: what they marked must be recognised even if the ledger is lost. The backup
    key there is kept."""
    import secrets

    _write_keys(connection.path, keys_of(connection), find_copy_key(connection.path) or secrets.token_bytes(32))


def _write_keys(ledger: Path, keys: HomeKeys, copy_key: bytes) -> None:
    part = ledger.with_name("secret.new")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600), "w") as file:
        lines = (keys.secret, keys.id or "", keys.marked_by or "", f"{_COPIES}{copy_key.hex()}")
        file.write("".join(f"{line}\n" for line in lines))
    part.replace(_secret_file(ledger))


def find_keys(ledger: Path) -> HomeKeys | None:
    """Return what keep_keys wrote, None if it is missing or not ours."""
    try:
        lines = [line for line in _secret_file(ledger).read_text().splitlines() if not line.startswith(_COPIES)]
        known = lines and len(bytes.fromhex(lines[0])) == 32 and all(bytes.fromhex(id_) or not id_ for id_ in lines[1:2])
    except (OSError, ValueError):
        return None
    return HomeKeys(lines[0], *(line or None for line in lines[1:3])) if known else None


def find_copy_key(ledger: Path) -> bytes | None:
    """Return the backup key; None if there is none. It is in no ledger, and so in no backup."""
    with suppress(OSError, ValueError):
        lines = _secret_file(ledger).read_text().splitlines()
        return next((bytes.fromhex(line.removeprefix(_COPIES)) for line in lines if line.startswith(_COPIES)), None)
    return None


def ensure_copy_key(db: sqlite3.Connection) -> bytes:
    """Return the backup key of that ledger, created if the home has none yet."""
    ledger = Path(db.execute("pragma database_list").fetchone()[2])
    known = find_copy_key(ledger)
    if known is not None:
        return known
    import secrets

    made = secrets.token_bytes(32)
    _write_keys(ledger, find_keys(ledger) or _keys_in(db), made)
    return made


def _secret_file(ledger: Path) -> Path:
    return ledger.with_name("secret")


def keys_for(ledger: Path, home: Path) -> HomeKeys:
    """Return the keys for a ledger that is created here: those of the home if it had one before, else fresh ones."""
    import secrets

    known = find_keys(ledger)
    if known is None:
        return HomeKeys(secrets.token_hex(32), secrets.token_hex(ID_BYTES))
    return known if known.id else replace(known, id=secrets.token_hex(ID_BYTES), marked_by=str(home))


# -- in the ledger --------------------------------------------------------------------------------------------------
def keys_of(connection: LedgerConnection) -> HomeKeys:
    """Return the ledger's own; one that is not migrated yet may have no id."""
    with sqlite_errors(connection.path):
        return _keys_in(connection.raw)


def _keys_in(db: sqlite3.Connection) -> HomeKeys:
    found = db.execute("select * from identity where id = 1")
    row = dict(zip((column[0] for column in found.description), found.fetchone(), strict=True))
    return HomeKeys(row["secret"], row.get("home_id"), row.get("marked_by"))


def identity_of(connection: LedgerConnection) -> HomeIdentity:
    row = connection.execute("select home, home_id, secret, marked_by from identity where id = 1")[0]
    return HomeIdentity(row["home"], row["home_id"], bytes.fromhex(row["secret"]), _earlier(connection), row["marked_by"])


def _earlier(connection: LedgerConnection) -> tuple[str, ...]:
    return tuple(row["path"] for row in connection.execute("select path from earlier_homes order by left_at desc, rowid desc"))


def go_on_with_id(connection: LedgerConnection) -> None:
    """Give a ledger that was just given an id the one that the home already uses: an earlier backup was restored."""
    known = find_keys(connection.path)
    if known is not None and known.id is not None:
        connection.execute("update identity set home_id = ? where secret = ?", [known.id, known.secret])


def take_over(connection: LedgerConnection, home: Path, *, host: str, now: str) -> None:
    """Make the ledger name that path, and record the former one. Idempotent."""
    with connection.transaction(durable=True):
        former = connection.execute("select home from identity where id = 1")[0]["home"]
        if former != str(home):
            connection.execute("insert or replace into earlier_homes(path, left_at) values (?, ?)", [former, now])
            connection.execute("delete from earlier_homes where path = ?", [str(home)])
        connection.execute("update identity set home = ?, host = ? where id = 1", [str(home), host])


def become_another(connection: LedgerConnection, home: Path, *, host: str) -> None:
    """Make the ledger that of a separate home: it knows the apps, and owns nothing that was created before."""
    import secrets

    keys = HomeKeys(secrets.token_hex(32), secrets.token_hex(ID_BYTES))
    with connection.transaction(durable=True):
        connection.execute("delete from earlier_homes")
        connection.execute("update identity set home = ?, host = ?, home_id = ?, secret = ?, marked_by = null, engine = null "
                           "where id = 1", [str(home), host, keys.id, keys.secret])


# -- copies of a home --------------------------------------------------------------------------------------------------
def require_only_one(connection: LedgerConnection, home: Path) -> None:
    """Raise CopiedHome if the home also still exists at an earlier path."""
    require_gone(_earlier(connection), home, keys_of(connection))


def require_gone(places: Iterable[str], home: Path, keys: HomeKeys) -> None:
    for place in places:
        if lives(Path(place), home, keys):
            raise CopiedHome(
                f"the home {home} also exists at {place}: one is a copy of the other; both would manage the same containers. "
                f"Nothing was changed. {TRAFFIC_GOES_ON}",
                remedy=[f"deployctl --home {place} status   # to use that one",
                        f"mv {place}/state {place}/state.before   # or to replace it with {home}",
                        f"mv {home}/state {home}/state.copy   # or to make {home} a separate home"])


def lives(place: Path, home: Path, keys: HomeKeys) -> bool:
    """Return whether the home with these keys exists there, in a folder other than `home`. An unreadable one counts."""
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
