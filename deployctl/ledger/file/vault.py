"""The ledger's file as a whole: checked, restored and replaced. The former file is kept beside it, never deleted."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from deployctl.dataclass import dataclass
from deployctl.domain.change.deployment import EndCode, EndReason, Phase, advance
from deployctl.domain.host.folding import FOLDABLE
from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotFound, Refused
from deployctl.ledger.file import copies
from deployctl.ledger.file.connection import SCHEMA_VERSION, LedgerConnection, sqlite_errors, unusable
from deployctl.ledger.file.copy_sum import SENTENCES, CopyCheck, drop_sum
from deployctl.ledger.file.identity import become_another, find_keys, keep_keys, keys_of, lives, take_over
from deployctl.ledger.file.opening import creation_lock, had_one, make, migrate, require_known_version, require_ledger
from deployctl.ledger.file.own_schema import find_strange
from deployctl.ledger.file.reserve import ensure_reserve
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.paths import Path
from deployctl.stdlib import socket, sqlite3

# A process that still holds a token of the lost ledger must never be taken for the next holder, and the ledger that
# replaces it may lag behind somewhat.
TOKENS_LOST = 1000
CANDIDATE = "ledger.candidate"
_BESIDE = ("", "-wal", "-shm")
_LAST_EVENT = (f"select id, hash from events where kind not in ({', '.join('?' * len(FOLDABLE))}) "  # noqa: S608  marks only
               "order by id desc limit 1")


@dataclass(slots=True)
class CopyCandidate:
    """A ledger in a file of its own that is about to become the home's. `source` is what it was made from, and `check`
    the result of verifying that."""

    ledger: SqliteLedger
    source: Path | None
    check: CopyCheck = CopyCheck.GOOD


class Vault:
    """The ledger file of one home."""

    def __init__(self, path: Path, home: Path, *, now: str) -> None:
        self.path, self.home, self.now = path, home, now

    # -- inspecting ------------------------------------------------------------------------------------------------
    def find_usable(self) -> SqliteLedger | None:
        """Open the ledger; None if it is missing or cannot be trusted."""
        if not self.path.exists():
            return None
        try:
            return SqliteLedger.open(self.path, self.home, now=self.now)
        except LedgerUnusable:
            return None

    def open(self) -> SqliteLedger:
        """Open the ledger. Raises LedgerUnusable, and NotFound if there never was one: inspecting creates none."""
        if not self.path.exists() and not had_one(self.path):
            raise NotFound(f"the home {self.home} has no ledger yet.", remedy=["deployctl init", "deployctl demo"])
        return SqliteLedger.open(self.path, self.home, now=self.now)

    def judge(self, source: Path) -> CopyCheck | None:
        """Return what is known of a backup from which a candidate can be made; None if none can."""
        try:
            with self.from_file(source, force=True) as candidate:
                return candidate.check
        except DeployctlError:
            return None

    def cut_off(self, ledger: SqliteLedger) -> list[str]:
        """Return the evidence that its end was cut off, or all of it rewritten: an event of the newest backup that it
        lacks."""
        for copy in copies.copies(self.path)[:1]:
            last = _last_event(copy.path)
            if last and not ledger.db.one("select 1 from events where id = ? and hash = ?", last):
                return [f"event {last[0]}, which the copy {copy.path} has, is missing or another one"]
        return []

    def require_unheld(self, ledger: SqliteLedger) -> None:
        """Raise LeaseHeld if a living process is changing an app: it would lose its lease without noticing."""
        for row in ledger.db.execute("select app from leases where holder is not null"):
            held = ledger.find_lease(row["app"])
            if held is not None:
                raise LeaseHeld(f"{held.holder} (pid {held.pid}) is changing {held.app}: {held.verb} since "
                                f"{held.since}. Nothing was done.",
                                remedy=[f"deployctl status {held.app}", f"deployctl abort {held.app}"])

    # -- candidates -----------------------------------------------------------------------------------------------
    @contextmanager
    def from_file(self, source: Path, *, force: bool) -> Iterator[CopyCandidate]:
        """Yield a checked and migrated candidate made from a backup; that file itself is never modified.

        Raises NotFound, LedgerUnusable (no sound ledger, one with a foreign schema, or a newer one) or, without
        `force`, Refused (another home's or host's, or its checksum does not prove it unmodified).
        """
        with self._part() as part:
            connection, found = self._read(source, part)
            try:
                self._require_ours(connection, source, found, force=force)
                yield CopyCandidate(SqliteLedger(connection), source, found)
            finally:
                connection.close()

    @contextmanager
    def fresh(self) -> Iterator[CopyCandidate]:
        """Yield a candidate without apps. The home's secret is kept if it still exists."""
        with self._part() as part:
            connection = make(part, self.home, now=self.now)
            try:
                yield CopyCandidate(SqliteLedger(connection), None)
            finally:
                connection.close()

    def knows_secret(self) -> bool:
        return find_keys(self.path) is not None

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """Yield the path of the only candidate; leftovers of a dead process are deleted."""
        part = self.path.with_name(CANDIDATE)
        with self.alone():
            _remove(part)
            try:
                yield part
            finally:
                _remove(part)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only process that replaces or rewrites the file. Raises LeaseHeld."""
        lock = self.path.with_name(f"{CANDIDATE}.lock")
        with copies.file_errors(lock):
            handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)

    def _read(self, source: Path, part: Path) -> tuple[LedgerConnection, CopyCheck]:
        if not source.is_file():
            raise NotFound(f"there is no file {source}.", remedy=[f"ls -l {copies.folder_of(self.path)}"])
        self._take(source, part)
        connection = LedgerConnection(part)
        try:
            found = self._unpack(connection)
            if require_ledger(connection)[0] < SCHEMA_VERSION:
                migrate(connection)
                _require_own_schema(connection)
        except LedgerUnusable as e:
            connection.close()
            others = [f"deployctl ledger restore {copy.path}" for copy in copies.copies(self.path) if copy.path != source]
            raise unusable(source, e.why, remedy=[*others[:1], "deployctl ledger rebuild"]) from e
        except DeployctlError:
            connection.close()
            raise
        return connection, found

    def _unpack(self, connection: LedgerConnection) -> CopyCheck:
        """Make one file of the copy, return the result of its checksum, and remove that. Until its schema is known to
        be ours nothing else is read, so that nothing in it is executed. Raises LedgerUnusable."""
        connection.execute("pragma journal_mode = delete")  # the log beside it is part of the checksum, too
        found = copies.check_copy(connection.path, self.path)
        with sqlite_errors(connection.path):
            drop_sum(connection.raw)
        _require_own_schema(connection)
        damage = connection.execute("pragma integrity_check(1)")[0][0]
        if damage != "ok":
            raise unusable(connection.path, f"SQLite finds it damaged ({damage})")
        return found

    def _take(self, source: Path, part: Path) -> None:
        if source == self.path:  # it is in use
            with closing(self.open()) as living:
                copies.write_copy(living.db.raw, part)
            return
        with copies.file_errors(source):
            for end in ("", "-wal"):  # a manual copy may have some of its rows there
                _copy_private(Path(f"{source}{end}"), Path(f"{part}{end}"))

    def _require_ours(self, connection: LedgerConnection, source: Path, found: CopyCheck, *, force: bool) -> None:
        """Ensure that the backup is this home's, and unmodified. With `force` it may be another home's: then it
        replaces that one, or becomes a separate home if that one still exists."""
        _, home, host = require_ledger(connection)
        here, keys, beside = socket.gethostname(), keys_of(connection), find_keys(self.path)
        ours = host == here and (home == str(self.home) or (beside is not None and beside.match(keys)))
        if not force and not ours:
            raise Refused(f"{source} is the ledger of {home} on {host}, and this is {self.home} on {here}. Its apps need "
                          f"not be here.{_doubts(found)} Nothing was done.",
                          remedy=[f"deployctl ledger restore {source} --force"])
        if not force and found is not CopyCheck.GOOD:
            raise Refused(f"{source} cannot be verified.{_doubts(found)} Nothing was done.",
                          remedy=[f"deployctl ledger restore {source} --force"], code="unchecked_copy")
        if not ours and lives(Path(home), self.home, keys):
            become_another(connection, self.home, host=here)
        else:
            take_over(connection, self.home, host=here, now=self.now)

    # -- replacing -------------------------------------------------------------------------------------------------
    def install(self, candidate: CopyCandidate, *, actor: str, verb: str) -> Path | None:
        """Make the candidate the home's ledger; return where the former file is kept now.

        Nobody holds a lease in it and no deployment is open: what was in progress when it was written ended long ago.
        """
        former = self.find_usable()
        try:
            if former is not None:
                self.require_unheld(former)
            settle(candidate.ledger, tokens=_tokens(former), verb=verb, at=self.now)
            if candidate.source not in {None, self.path}:
                candidate.ledger.end_access(at=self.now)
        finally:
            if former is not None:
                former.close()
        text = f"the ledger was restored from {candidate.source}" if candidate.source else "a new ledger was created"
        candidate.ledger.event(verb, text, at=self.now, actor=actor, data={"copy": candidate.check})
        return self._put(candidate.ledger.db, verb)

    def _put(self, connection: LedgerConnection, verb: str) -> Path | None:
        with copies.file_errors(self.path), creation_lock(self.path):
            keep_keys(connection)
            connection.execute("pragma journal_mode = wal")
            connection.close()
            copies.flush(connection.path)
            kept = self._keep_former(verb)
            connection.path.rename(self.path)
            self.path.with_name("ledger.id").write_text(f"{self.now}\n")
            copies.flush(self.path.parent)
        ensure_reserve(self.path)
        copies.keep_copy_of(self.path, at=self.now)
        return kept

    def _keep_former(self, verb: str) -> Path | None:
        """Rename the former files, so that no part of them is taken for a part of the next one."""
        kept = self.path.with_name(f"ledger-before-{verb}-{copies.stamp(self.now)}-{os.getpid()}.db")
        there = [end for end in _BESIDE if os.path.lexists(f"{self.path}{end}")]
        for end in there:
            Path(f"{self.path}{end}").rename(f"{kept}{end}")
        return kept if "" in there else None


def _require_own_schema(connection: LedgerConnection) -> None:
    """Raise LedgerUnusable if it is newer, or has a table, an index, a trigger or a view that no version of ours
    creates."""
    if not connection.one("select 1 from sqlite_master where name = 'identity'"):
        raise unusable(connection.path, "its tables are not ours")
    require_known_version(connection)
    if strange := find_strange(connection):
        raise unusable(connection.path, strange[0])


def _doubts(found: CopyCheck) -> str:
    """Return what cannot be verified, as a sentence that follows another."""
    if found is CopyCheck.GOOD:
        return ""
    return f" Its history, users, roles and tokens cannot be verified: {SENTENCES[found]}."


def _last_event(copy: Path) -> tuple[int, str] | None:
    """Return id and hash of the backup's last event, except those that may have been folded since; None if it is
    unreadable, which is not the ledger's fault."""
    try:
        with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            found: tuple[int, str] | None = db.execute(
                _LAST_EVENT, FOLDABLE).fetchone()
            return found
    except sqlite3.Error:
        return None


def settle(ledger: SqliteLedger, *, tokens: dict[str, int], verb: str, at: str) -> None:
    """Free every lease, with a token that nobody has had, and end what the ledger records as in progress."""
    with ledger.transaction():
        known = {row["app"]: row["token"] for row in ledger.db.execute("select app, token from leases")}
        for app in {*known, *(app.name for app in ledger.apps())}:
            token = max(known.get(app, 0), tokens.get(app, 0)) + TOKENS_LOST
            ledger.db.execute("insert or replace into leases(app, token) values (?, ?)", [app, token])
        for opened in ledger.open_deployments():
            phase = opened.phase
            while phase is not Phase.STUCK:
                phase = advance(phase, "failed")
            ledger.close_deployment(opened.id, phase, at=at, error=EndReason(
                EndCode.UNKNOWN, f"how it ended is not known: ledger {verb}"))


def _tokens(former: SqliteLedger | None) -> dict[str, int]:
    if former is None:
        return {}
    return {row["app"]: row["token"] for row in former.db.execute("select app, token from leases")}


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LeaseHeld("another process is restoring, rebuilding or compacting the ledger. Nothing was done.",
                        remedy=["deployctl ledger verify"]) from None


def _remove(part: Path) -> None:
    for end in _BESIDE:
        Path(f"{part}{end}").unlink(missing_ok=True)


def _copy_private(source: Path, target: Path) -> None:
    if source.exists():
        with source.open("rb") as read, os.fdopen(os.open(target, copies.CREATE_FLAGS, 0o600), "wb") as written:
            while piece := read.read(2**20):
                written.write(piece)
