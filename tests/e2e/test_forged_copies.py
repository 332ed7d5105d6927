"""A modified backup of the ledger is not restored, and one restored without a check is not called intact."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.cli import Cli, home_of_a_person

FORGERIES = {
    "a trigger": "create trigger t after insert on events begin update users set roles = '{\"*\": \"admin\"}'; end",
    "a view": "create view v as select * from users",
    "another role": "update users set roles = '{\"*\": \"admin\"}' where name = 'jonas'",
    "another person": "insert into users(name, roles, created_at, created_by) "
                      "values ('eve', '{\"*\": \"admin\"}', 'x', 'x')",
    "a token": "insert into tokens(name, hash, roles, created_at, created_by) "
               "values ('ci', 'h', '{\"*\": \"admin\"}', 'x', 'x')",
}


@pytest.fixture
def backed_up(engine_url: str, tmp_path: Path) -> Iterator[tuple[Cli, Path]]:
    """A home with mara, its admin, and jonas, who looks, and a backup of its ledger."""
    with home_of_a_person(engine_url) as town:
        town.do("user", "add", "mara", "--role", "admin")
        town.do("user", "add", "jonas", "--role", "viewer")
        town.do("ledger", "backup", str(tmp_path / "copy.db"))
        yield town, tmp_path / "copy.db"


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_copy_that_was_changed_is_not_put_back(backed_up: tuple[Cli, Path], change: str) -> None:
    town, copy = backed_up
    with closing(sqlite3.connect(copy)) as db, db:
        db.execute(change)
    ran = town.run("ledger", "restore", str(copy), "-y")
    assert ran.told["ok"] is False, ran
    assert ran.code in {5, 7}
    assert {user["name"]: user["roles"] for user in town.do("user", "list")["users"]} == {
        "mara": {"*": "admin"}, "jonas": {"*": "viewer"}}
    assert town.do("ledger", "verify")["checked"] is True
    ran = town.run("ledger", "restore", str(copy), "-y", "--force")
    assert ran.code == (7 if change.startswith("create ") else 0), ran
    if ran.code == 0:
        assert town.do("ledger", "verify")["checked"] is False


def test_a_copy_as_it_was_made_is_put_back(backed_up: tuple[Cli, Path]) -> None:
    town, copy = backed_up
    assert town.do("ledger", "restore", str(copy))["check"] == "good"
    town.do("user", "remove", "jonas", "-y")
    told = town.refused(5, "ledger", "restore", str(copy)).told["error"]
    assert (told["code"], "user jonas (viewer)" in told["message"]) == ("confirmation_needed", True)
    assert town.do("ledger", "restore", str(copy), "-y")["brought_back"] == ["user jonas (viewer)"]


def test_another_machine_says_what_it_cannot_check(backed_up: tuple[Cli, Path], engine_url: str) -> None:
    _, copy = backed_up
    with home_of_a_person(engine_url) as other:
        told = other.refused(5, "ledger", "restore", str(copy), "-y").told["error"]
        assert "users, roles and tokens cannot be verified" in told["message"]
        assert told["remedy"] == [f"deployctl ledger restore {copy} --force"]
        assert other.do("ledger", "restore", str(copy), "-y", "--force")["check"] == "other_key"
