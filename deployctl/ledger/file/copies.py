"""Backups of the ledger: each is one complete, checked file with a checksum, readable only by its owner, and appears
atomically.

SQLite's own online backup makes them, so neither readers nor writers wait. They are numbered, because a wall clock may
be set back; the name contains the time for people.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from math import inf

from deployctl.dataclass import dataclass
from deployctl.errors import DeployctlError, LedgerUnusable
from deployctl.ledger.file.identity import ensure_copy_key, find_copy_key
from deployctl.paths import Path
from deployctl.pattern import pattern
from deployctl.stdlib import datetime, sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.copy_sum import CopyCheck

HOUR, DAY = 3600.0, 86_400.0  # seconds
COPY_INTERVAL = 60.0  # seconds between two backups: switches in between are in the next one
NEWEST_KEPT = 3
AGES = (HOUR, DAY, 7 * DAY, 30 * DAY)  # between two of these the oldest backup is kept, and beyond the last one the newest


def superfluous(ages: Sequence[float]) -> list[int]:
    """Return the indexes of the backups that may be deleted; `ages` in seconds, newest first.

    The oldest of a span is kept until it has aged into the next one, so that each span has one however often backups
    are made.
    """
    from bisect import bisect_right  # rarely needed: a backup is due once a minute at most

    kept = {bisect_right(AGES, age): index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age < AGES[-1]}
    ancient = next((index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age >= AGES[-1]), None)
    return [index for index in range(NEWEST_KEPT, len(ages)) if index not in {*kept.values(), ancient}]


PART_SUFFIX = ".part"  # suffix of what a killed writer leaves behind
_NAME = pattern(r"ledger-(\d{6,})-([0-9TZ]+)-(promotion|migration)\.db")
CREATE_FLAGS = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class CopyReason(StrEnum):
    PROMOTION = "promotion"
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True)
class Copy:
    path: Path
    number: int
    reason: CopyReason
    stamp: str  # the time in its name

    def age(self, at: str) -> float:
        """Return how many seconds before that time it was made; a time in the future is as far away."""
        try:
            made = datetime.fromisoformat(self.stamp)
            return abs((datetime.fromisoformat(at) - made).total_seconds())
        except (ValueError, TypeError):  # someone renamed it: no date, or one without its zone
            return inf


def folder_of(ledger: Path) -> Path:
    return ledger.with_name("backups")


def copies(ledger: Path) -> list[Copy]:
    """Return the automatic backups, newest first."""
    folder = folder_of(ledger)
    paths = folder.iterdir() if os.access(folder, os.R_OK | os.X_OK) else ()  # `glob` would compile an expression
    named = [(path, _NAME.fullmatch(path.name)) for path in paths]
    found = [Copy(path, int(name[1]), CopyReason(name[3]), name[2]) for path, name in named if name]
    return sorted(found, key=lambda copy: copy.number, reverse=True)


def keep_copy(source: sqlite3.Connection, ledger: Path, reason: CopyReason, *, at: str) -> Path:
    """Write the next backup and delete superfluous ones, except the last one before a migration. Raises DeployctlError;
    then no backup is lost."""
    with _one_at_a_time(ledger) as folder:
        for leftover in folder.glob(f".*{PART_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        known = copies(ledger)
        number = 1 + max((copy.number for copy in known), default=0)
        path = folder / f"ledger-{number:06d}-{stamp(at)}-{reason}.db"
        write_copy(source, path)
        _let_go(copies(ledger), at=at)
        return path


def _let_go(known: list[Copy], *, at: str) -> None:
    before_migration = next((copy for copy in known if copy.reason is CopyReason.MIGRATION), None)
    for index in superfluous([copy.age(at) for copy in known]):
        if known[index] is not before_migration:
            known[index].path.unlink(missing_ok=True)


def keep_copy_of(ledger: Path, *, at: str) -> Path:
    """Write a backup over a connection of its own."""
    with _over_its_own(ledger) as source:
        return keep_copy(source, ledger, CopyReason.PROMOTION, at=at)


def keep_due_copy_of(ledger: Path, *, at: str) -> None:
    """Write a backup over a connection of its own if one is due: for a process that has already returned its result."""
    if _is_recent(next(iter(copies(ledger)), None), at=at):
        return
    with _over_its_own(ledger) as source:
        if is_due(source, ledger, at=at):
            keep_copy(source, ledger, CopyReason.PROMOTION, at=at)


@contextmanager
def _over_its_own(ledger: Path) -> Iterator[sqlite3.Connection]:
    with file_errors(ledger), closing(sqlite3.connect(f"{ledger.as_uri()}?mode=rw", uri=True)) as source:
        yield source


def check_copy(copy: Path, ledger: Path) -> CopyCheck:
    """Check whether a backup is unmodified, with the key beside the ledger. A file that is not a database is not."""
    from deployctl.ledger.file.copy_sum import CopyCheck, check_sum

    try:
        return check_sum(copy, find_copy_key(ledger))
    except (sqlite3.Error, OSError):
        return CopyCheck.WRONG_SUM


def is_due(source: sqlite3.Connection, ledger: Path, *, at: str) -> bool:
    """Return whether traffic was switched since the newest backup, and that is a minute old."""
    newest = next(iter(copies(ledger)), None)
    if _is_recent(newest, at=at):
        return False
    last = _last_change(source)
    return last > 0 and (newest is None or last != _last_change_in(newest.path))


def _is_recent(newest: Copy | None, *, at: str) -> bool:
    return newest is not None and newest.age(at) < COPY_INTERVAL


def _last_change(db: sqlite3.Connection) -> int:
    return int(db.execute("select coalesce(max(id), 0) from changes").fetchone()[0])


def _last_change_in(copy: Path) -> int:
    """Return the last switch of traffic in the backup, -1 if it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return _last_change(db)
    except sqlite3.Error:
        return -1


def stamp(at: str) -> str:
    """Return that time as it can be part of a file name: 20260101T000000Z."""
    return re.sub(r"[-:]|\.\d+", "", at)


def write_copy(source: sqlite3.Connection, target: Path) -> None:
    """Write the whole ledger there with its checksum, replacing what has that name. A failure leaves that as it was."""
    from deployctl.ledger.file.copy_sum import put_sum

    part = target.with_name(f".{target.name}.{os.getpid()}{PART_SUFFIX}")
    with file_errors(target):
        os.close(os.open(part, CREATE_FLAGS, 0o600))
        try:
            _fill(source, part)
            put_sum(part, ensure_copy_key(source))
            flush(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        flush(target.parent)


def _fill(source: sqlite3.Connection, part: Path) -> None:
    with closing(sqlite3.connect(part)) as made:
        made.execute("pragma synchronous = off")  # flushed once, below
        source.backup(made)
        made.execute("pragma journal_mode = delete")  # one file that needs no other beside it
        found = made.execute("pragma quick_check(1)").fetchone()
        if found[0] != "ok":
            raise LedgerUnusable(f"the backup is damaged, and so may be the ledger ({found[0]})",
                                 remedy=["deployctl ledger verify"])


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _one_at_a_time(ledger: Path) -> Iterator[Path]:
    folder = folder_of(ledger)
    with file_errors(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Translate errors of the system and SQLite while files are copied."""
    try:
        yield
    except sqlite3.Error as e:
        raise DeployctlError(f"could not back up the ledger to {path}: {e}", remedy=[f"df -h {path.parent}"]) from e
    except OSError as e:
        raise DeployctlError(f"cannot use {e.filename or path}: {e.strerror or e}",
                             remedy=[f"df -h {path.parent}", f"ls -ld {path.parent}"]) from e
