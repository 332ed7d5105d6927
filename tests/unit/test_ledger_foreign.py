"""A backup is restored only if it is what we wrote: schema, checksum, and the rights that it restores."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role, Token, User
from deployctl.domain.images.release import App
from deployctl.domain.inputs.names import AppName
from deployctl.errors import AttentionNeeded, ConfirmationNeeded, LedgerUnusable, Refused
from deployctl.ledger.file import copy_sum, own_schema, schema
from deployctl.ledger.file.copies import check_copy, copies, keep_copy_of
from deployctl.ledger.file.copy_sum import CopyCheck
from deployctl.ledger.file.identity import find_copy_key
from deployctl.ledger.file.vault import Vault
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.usecases.ledger.backup import backup_ledger
from deployctl.usecases.ledger.restore import restore_ledger
from deployctl.usecases.ledger.verify import verify_ledger
from deployctl.usecases.results import Done
from tests.unit.cli_world import shop

NOW = "2026-01-01T00:00:00.000Z"
ADMIN = {"*": Role.ADMIN}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The ledger of a home with one app, and with mara, its admin."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(opened(home / "ledger.db")) as ledger:
        ledger.add_app(App(AppName("shop"), "172.30.0.0/26", "172.30.0.1", "n", "b"), at=NOW)
        ledger.add_user(User("mara", ADMIN, "hash of mara", NOW, "root"))
        ledger.event("test", "something", at=NOW, actor="mara")
    return home / "ledger.db"


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    backup_ledger(vault(path), tmp_path / "copy.db")
    return tmp_path / "copy.db"


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger.open(path, path.parent, now=NOW)


def vault(path: Path) -> Vault:
    return Vault(path, path.parent, now=NOW)


def forge(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def restore(path: Path, source: Path, *, force: bool = False, sure: bool = False) -> Done:
    return restore_ledger(vault(path), source, actor="mara", force=force, sure=sure)


# -- the sum --------------------------------------------------------------------------------------------------------
def test_a_copy_as_it_was_made_is_taken_without_a_question(path: Path, copy: Path) -> None:
    assert check_copy(copy, path) is CopyCheck.GOOD
    assert restore(path, copy).extra["check"] == "good"
    assert verify_ledger(vault(path)).extra["checked"] is True


@pytest.mark.parametrize("change", [
    "insert into users select 'eve', roles, password, created_at, created_by from users",
    "update users set roles = '{}'",
    "update users set password = 'of eve'",
    "insert into tokens(name, hash, roles, created_at, created_by) values ('ci', 'h', '{\"*\": \"admin\"}', 'now', 'eve')",
    "update apps set hosts = '[\"evil.example.com\"]'",
    "insert into links(hash, user, created_at, expires_at) values ('h', 'mara', 'now', '2999')",
])
def test_no_row_of_a_copy_can_be_changed_unseen_whoever_knows_the_secret_in_it(path: Path, copy: Path, change: str) -> None:
    forge(copy, change)
    assert check_copy(copy, path) is CopyCheck.WRONG_SUM
    with pytest.raises(Refused, match="its checksum does not match") as told:
        restore(path, copy)
    assert (told.value.code, told.value.remedy) == ("unchecked_copy", [f"deployctl ledger restore {copy} --force"])


def test_a_sum_that_was_made_with_what_stands_in_the_copy_does_not_fit(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        secret = bytes.fromhex(db.execute("select secret from identity").fetchone()[0])
    assert secret != find_copy_key(path)
    forge(copy, "drop table copy_sum", "update users set password = 'of eve'")
    copy_sum.put_sum(copy, secret)
    assert check_copy(copy, path) is CopyCheck.OTHER_KEY
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.execute("update copy_sum set key = ?", [copy_sum.name_of(find_copy_key(path) or b"")])
    assert check_copy(copy, path) is CopyCheck.WRONG_SUM


def test_one_bit_of_a_page_that_nobody_reads_changes_the_sum(path: Path, copy: Path) -> None:
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert check_copy(copy, path) is not CopyCheck.GOOD


def test_a_log_beside_a_good_copy_counts_for_its_sum(path: Path, copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(copy, other)
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("pragma journal_mode = wal")
        db.execute("update users set password = 'of eve'")
        shutil.copy(f"{other}-wal", f"{copy}-wal")
        with pytest.raises((Refused, LedgerUnusable)):
            restore(path, copy)


def test_a_copy_without_a_sum_is_named_as_that_and_needs_force(path: Path, copy: Path) -> None:
    forge(copy, "drop table copy_sum")
    with pytest.raises(Refused, match="it has no checksum"):
        restore(path, copy)
    told = restore(path, copy, force=True)
    assert any("cannot be verified" in line for line in told.details)
    seen = verify_ledger(vault(path))
    assert seen.extra["checked"] is False
    assert "could not be verified" in seen.sentence


def test_what_was_not_checked_once_stays_so_in_good_copies_of_it(path: Path, copy: Path, tmp_path: Path) -> None:
    forge(copy, "drop table copy_sum")
    restore(path, copy, force=True)
    backup_ledger(vault(path), tmp_path / "later.db")
    restore(path, tmp_path / "later.db")
    assert verify_ledger(vault(path)).extra["checked"] is False


@pytest.mark.parametrize("roles", ["[]", "x", "{\"*\": \"king\"}", "1"])
def test_people_who_cannot_be_read_are_told_as_that(path: Path, copy: Path, roles: str) -> None:
    forge(copy, f"update users set roles = '{roles}'")
    with pytest.raises(LedgerUnusable, match="cannot read"):
        restore(path, copy, force=True)


def test_on_a_machine_without_the_secret_it_is_said_what_cannot_be_checked(path: Path, copy: Path, tmp_path: Path) -> None:
    path.with_name("secret").unlink()
    with pytest.raises(Refused, match=r"users, roles and tokens .* a different key"):
        restore(path, copy)
    assert restore(path, copy, force=True).extra["check"] == "other_key"
    assert find_copy_key(path) is not None, "the home has a key again"


def test_the_key_is_in_no_copy_and_stays_when_a_ledger_is_put_back(path: Path, copy: Path) -> None:
    key = find_copy_key(path)
    assert key is not None
    assert key.hex().encode() not in copy.read_bytes()
    restore(path, copy)
    assert find_copy_key(path) == key
    assert {check_copy(one.path, path) for one in copies(path)} == {CopyCheck.GOOD}


def test_automatic_copies_carry_a_sum_and_a_changed_one_is_told_by_verify(path: Path) -> None:
    kept = keep_copy_of(path, at=NOW)
    assert verify_ledger(vault(path)).extra["copy_checks"] == {str(kept): "good"}
    forge(kept, "update users set password = 'of eve'")
    with pytest.raises(AttentionNeeded, match="its checksum does not match"):
        verify_ledger(vault(path))


# -- the schema -----------------------------------------------------------------------------------------------------
FOREIGN = {
    "a trigger": "create trigger t after insert on events begin update users set roles = '{\"*\": \"admin\"}'; end",
    "a trigger with a name of ours": "create trigger events_no_update_ after update on apps begin delete from leases; end",
    "a view": "create view v as select * from users",
    "an index": "create index i on users(name)",
    "a table": "create table t(x)",
    "a virtual table": "create virtual table t using fts5(x)",
    "a generated column": "alter table apps add column x text generated always as (name) virtual",
    "a column": "alter table users add column x text default 'y'",
    "one trigger less": "drop trigger events_no_update",
    "one index less": "drop index one_token_in_use_per_name",
    "another table of that name": "alter table tries rename column count to counts",
    "a migration that was never made": "insert into _sqlite_migrations(migration_set, name) values ('deployctl', 'm999')",
    "a migration to be made once more": "delete from _sqlite_migrations where name like 'm004%'",
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_copy_whose_schema_is_not_exactly_ours_is_refused_even_by_force(path: Path, copy: Path, change: str) -> None:
    forge(copy, change)
    with pytest.raises(LedgerUnusable, match="trustworthy"):
        restore(path, copy, force=True, sure=True)


@pytest.mark.parametrize("change", [one for name, one in FOREIGN.items() if "less" not in name], ids=lambda one: one[:20])
def test_verify_does_not_say_that_all_is_well_with_what_is_not_ours(path: Path, change: str) -> None:
    forge(path, change)
    with pytest.raises(AttentionNeeded):
        verify_ledger(vault(path))


def test_a_trigger_that_is_rewritten_in_place_is_seen(path: Path, copy: Path) -> None:
    forge(copy, "pragma writable_schema = on",
          "update sqlite_master set sql = replace(sql, 'raise(abort, ''events is only ever added to'')', '1') "
          "where name = 'events_no_update'")
    with pytest.raises(LedgerUnusable, match="events_no_update"):
        restore(path, copy, force=True)


@pytest.mark.parametrize("version", range(1, schema.SCHEMA_VERSION + 1))
def test_a_copy_of_each_earlier_version_is_known_by_its_own_schema_and_brought_up_to_date(path: Path, tmp_path: Path,
                                                                                        version: int) -> None:
    former = tmp_path / f"v{version}.db"
    make_former(former, version, path.parent)
    assert restore(path, former, force=True, sure=True).extra["check"] == "no_sum"
    assert verify_ledger(vault(path)).extra["events"] > 0
    make_former(former.with_suffix(".forged"), version, path.parent)
    forge(former.with_suffix(".forged"), FOREIGN["an index"].replace("users", "apps"))
    with pytest.raises(LedgerUnusable, match="index i"):
        restore(path, former.with_suffix(".forged"), force=True, sure=True)


def make_former(file: Path, version: int, home: Path) -> None:
    """Make a ledger as the deployctl of that schema did."""
    import socket

    from sqlite_utils import Database

    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        names = own_schema.migration_names()
        schema.schema.apply(Database(db, execute_plugins=False), stop_before=names[version:version + 1])
        known = {row[1] for row in db.execute("pragma table_info(identity)")}
        row = {"id": 1, "product": "deployctl", "home": str(home), "host": socket.gethostname(),
               "secret": secrets.token_hex(32), "created_at": NOW, **({"home_id": "ab" * 8} if "home_id" in known else {})}
        db.execute(f"insert into identity({', '.join(row)}) values ({', '.join('?' * len(row))})", [*row.values()])
        db.execute(f"pragma user_version = {version}")


RELEASED = {  # by the schema that each migration of a release made; add those of a release when it is one
    5: "83462131de99109d",  # 0.1.0
    11: "3827f7f7867d6eb2",  # 0.2.0
    18: "8a2a59f906ebe50a",  # 0.3.0
}


@pytest.mark.parametrize("version", RELEASED)
def test_a_migration_that_was_released_makes_the_same_for_ever(version: int) -> None:
    """Else every ledger that it made would be taken for a stranger's."""
    made = repr(sorted(own_schema.entries_at(version)))
    assert hashlib.sha256(made.encode()).hexdigest()[:16] == RELEASED[version]


@pytest.mark.parametrize(("one", "other"), [
    ('create table "a" ("b" TEXT)', "CREATE TABLE a(b text)"),
    ("create table [a](b)", "create table a (\n b )"),
])
def test_spaces_and_needless_quotes_are_no_difference(one: str, other: str) -> None:
    assert own_schema.words(one) == own_schema.words(other)


@pytest.mark.parametrize(("one", "other"), [
    ('create table a("b, c")', "create table a(b, c)"),
    ("create table a(b default 'x y')", "create table a(b default 'x  y')"),
    ("create table a(b default 'X')", "create table a(b default 'x')"),
    ("create table a(b)", "create table a(b) -- c"),
    ("create trigger t after insert on a begin select 1; end",
     "create trigger t after insert on a begin select 1; select 2; end"),
])
def test_whatever_means_another_thing_is_one(one: str, other: str) -> None:
    assert own_schema.words(one) != own_schema.words(other)


# -- whose rights come back -----------------------------------------------------------------------------------------
def test_people_and_tokens_that_the_present_ledger_lacks_are_named_and_asked_for(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.add_user(User("eve", ADMIN, None, NOW, "mara"))
        ledger.add_token(Token(0, "ci", {"shop": Role.DEPLOYER}, NOW, "mara", None), "hash")
    backup_ledger(vault(path), tmp_path / "with.db")
    with closing(opened(path)) as ledger:
        ledger.remove_user("eve", at=NOW)
        ledger.revoke_token("ci", at=NOW)
    with pytest.raises(ConfirmationNeeded) as asked:
        restore(path, tmp_path / "with.db")
    assert "user eve (admin), token ci (deployer for shop)" in asked.value.question
    assert "mara" not in asked.value.question
    with closing(opened(path)) as ledger:
        assert [user.name for user in ledger.users()] == ["mara"], "nothing was done"
    assert restore(path, tmp_path / "with.db", sure=True).extra["brought_back"] == [
        "user eve (admin)", "token ci (deployer for shop)"]


def test_a_former_password_comes_back_only_after_a_yes(path: Path, copy: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.set_password("mara", "another hash")
    with pytest.raises(ConfirmationNeeded, match=r"user mara \(admin\)"):
        restore(path, copy)


def test_a_token_with_another_secret_or_role_is_another_token(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.add_token(Token(0, "ci", {"*": Role.VIEWER}, NOW, "mara", None), "hash")
    backup_ledger(vault(path), tmp_path / "with.db")
    for change in ("hash = 'of eve'", "roles = '{\"*\": \"deployer\"}'"):
        forge(tmp_path / "with.db", f"update tokens set {change}")
        with pytest.raises(ConfirmationNeeded, match="token ci"):
            restore(path, tmp_path / "with.db", force=True)


def test_sessions_and_links_of_a_copy_are_over(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as ledger:
        ledger.add_sign_in("session", "mara", at=NOW, address="-", agent="-")
        ledger.add_link("link", "mara", at=NOW, until="2999-01-01T00:00:00.000Z", maker="root (cli)")
    backup_ledger(vault(path), tmp_path / "with.db")
    restore(path, tmp_path / "with.db")
    with closing(opened(path)) as ledger:
        assert ledger.sign_ins("mara") == []
        assert ledger.take_link("link", at=NOW) is None


# -- the command line -----------------------------------------------------------------------------------------------
def add_admin(world_home: Path, file: Path) -> None:
    forge(file, "insert into users(name, roles, created_at, created_by) values ('eve', '{\"*\": \"admin\"}', 'now', 'eve')")


def test_the_command_asks_and_without_an_answer_does_nothing(tmp_path: Path) -> None:
    with shop(tmp_path, "v1") as world:
        file = tmp_path / "copy.db"
        world.deployctl("user", "add", "eve", "--role", "admin")
        assert world.deployctl("ledger", "backup", str(file)).code == 0
        world.deployctl("user", "add", "mara", "--role", "admin")
        world.deployctl("user", "remove", "eve", "--yes")
        said = world.deployctl("ledger", "restore", str(file), "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (5, "confirmation_needed")
        assert "user eve (admin)" in said.json["error"]["message"]
        assert "eve" not in world.deployctl("user", "list").out
        assert world.deployctl("ledger", "restore", str(file), typed="y\n").code == 0
        assert "eve" in world.deployctl("user", "list").out


@pytest.mark.parametrize("spoil", [add_admin, lambda _home, file: forge(file, "drop table copy_sum")], ids=["forged", "no sum"])
def test_rebuild_begins_with_no_copy_that_cannot_be_checked_unless_forced(
    tmp_path: Path, spoil: Callable[[Path, Path], None]
) -> None:
    with shop(tmp_path, "v1") as world:
        for ledger in world.ledgers:
            ledger.close()
        for one in copies(world.settings.ledger):
            spoil(tmp_path, one.path)
        world.settings.ledger.unlink()
        said = world.deployctl("ledger", "rebuild", "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (5, "unchecked_copy")
        assert said.json["error"]["remedy"][0].startswith("deployctl ledger rebuild --force")
        assert not world.settings.ledger.exists()
        assert world.deployctl("ledger", "rebuild", "--force").code == 0


def test_rebuild_of_a_ledger_with_a_foreign_trigger_begins_with_nothing_less(tmp_path: Path) -> None:
    with shop(tmp_path, "v1") as world:
        forge(world.settings.ledger, FOREIGN["a trigger"])
        said = world.deployctl("ledger", "rebuild", "--force", "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (7, "ledger_unusable")
