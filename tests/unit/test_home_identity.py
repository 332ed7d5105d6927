"""A home is known by its id and its secret, wherever it lies; what it made before it had an id goes on by its path."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database

from deployctl.config.settings import Settings
from deployctl.domain.host.home import HomeIdentity
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName
from deployctl.errors import CopiedHome, LedgerUnusable, Refused
from deployctl.execution import labels
from deployctl.ledger.file.schema import schema
from deployctl.ledger.file.vault import Vault
from deployctl.ledger.sqlite_ledger import SqliteLedger

NOW = "2026-01-01T00:00:00.000Z"
SHOP = AppName("shop")
NEW = HomeIdentity("/srv/b", "ab" * 8, b"s" * 32, ("/srv/a",))
FORMER = replace(NEW, marked_by="/srv/a")  # was there before homes had ids


def opened(home: Path) -> SqliteLedger:
    settings = Settings(home)
    settings.ensure_state()
    return SqliteLedger.open(settings.ledger, home, now=NOW)


def make(home: Path) -> HomeIdentity:
    with closing(opened(home)) as ledger:
        ledger.event("test", "was here", at=NOW, actor="test")
        return ledger.identity


def make_former(home: Path) -> str:
    """Make a home as 0.1.0 left it; return its secret."""
    settings, secret = Settings(home), "5e" * 32
    settings.ensure_state()
    with closing(sqlite3.connect(settings.ledger, isolation_level=None)) as db:
        schema.apply(Database(db, execute_plugins=False), stop_before="m007_home_id")
        db.execute("insert into identity(id, product, home, host, secret, created_at) values (1, 'deployctl', ?, ?, ?, ?)",
                   [str(home), socket.gethostname(), secret, NOW])
        db.execute("pragma user_version = 6")
    (home / "state/ledger.id").write_text(f"{NOW}\n")
    (home / "state/secret").write_text(f"{secret}\n")
    return secret


def beside(home: Path) -> list[str]:
    return (home / "state/secret").read_text().splitlines()


# -- names and seals ------------------------------------------------------------------------------------------------
def test_names_and_seals_stay_when_the_home_moves() -> None:
    moved = replace(NEW, path="/srv/c", earlier=("/srv/b", "/srv/a"))
    for made in (labels.network_name, labels.bridge_name, lambda home, app: labels.keep_tag(home, app, InstanceId(7)),
                 lambda home, app: labels.seal(home, app, InstanceId(7))):
        assert made(NEW, SHOP) == made(moved, SHOP)
        assert made(NEW, SHOP) != made(replace(NEW, id="cd" * 8), SHOP)


def test_what_was_made_before_homes_had_ids_is_known_by_its_path() -> None:
    mark = hashlib.sha256(b"/srv/a").hexdigest()[:6]
    assert labels.keep_tags(FORMER, SHOP, InstanceId(7)) == (f"deployctl/shop:r7-{'ab' * 3}", f"deployctl/shop:r7-{mark}")
    assert labels.kept_name(FORMER, f"deployctl/shop:r7-{mark}") == "deployctl/shop:r7"
    assert labels.kept_name(NEW, f"deployctl/shop:r7-{mark}") is None
    assert labels.app_of_network(FORMER, f"deployctl-shop-{mark}") == SHOP
    sealed = {"deployctl.app": "shop", "deployctl.release": "7",
              "deployctl.seal": hmac.new(FORMER.secret, b"/srv/a\0shop\x007", "sha256").hexdigest()}
    assert labels.is_sealed(FORMER, sealed)
    assert not labels.is_sealed(NEW, sealed)
    assert labels.is_sealed(NEW, {**sealed, "deployctl.seal": labels.seal(NEW, "shop", InstanceId(7))})


@pytest.mark.parametrize(("found", "ours"), [
    ({"deployctl.home": "/srv/b", "deployctl.home-id": NEW.id}, True),
    ({"deployctl.home": "/srv/a", "deployctl.home-id": NEW.id}, True),
    ({"deployctl.home": "/srv/a"}, True),  # made before homes had ids
    ({"deployctl.home": "/srv/b", "deployctl.home-id": "cd" * 8}, False),  # another home began where this one lay
    ({"deployctl.home": "/srv/c"}, False),
    ({}, False),
])
def test_a_home_owns_what_bears_its_id_and_what_was_made_at_its_places(found: dict[str, str], ours: bool) -> None:
    assert NEW.owns(found) is ours


def test_what_a_copy_made_elsewhere_is_told_from_what_was_made_here() -> None:
    assert NEW.elsewhere({"deployctl.home": "/srv/copy", "deployctl.home-id": NEW.id}) == "/srv/copy"
    assert NEW.elsewhere({"deployctl.home": "/srv/a", "deployctl.home-id": NEW.id}) is None
    assert NEW.elsewhere({"deployctl.home": "/srv/copy"}) is None


# -- a home that comes from 0.1.0 -------------------------------------------------------------------------------------
def test_a_home_of_before_gets_an_id_and_keeps_the_mark_of_its_path(tmp_path: Path) -> None:
    secret = make_former(tmp_path)
    found = make(tmp_path)
    assert (found.secret.hex(), found.marked_by, found.earlier) == (secret, str(tmp_path), ())
    *keys, copies = beside(tmp_path)
    assert keys == [secret, found.id, str(tmp_path)]
    assert copies.startswith("copies ")  # the key of their sums
    assert make(tmp_path) == found


def test_a_home_of_before_may_have_moved_before_it_got_its_id(tmp_path: Path) -> None:
    make_former(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    found = make(tmp_path / "b")
    assert (found.path, found.earlier, found.marked_by) == (str(tmp_path / "b"), (str(tmp_path / "a"),), str(tmp_path / "a"))


@pytest.mark.parametrize("lost", ["ledger.db", "ledger.db secret"])
def test_a_copy_from_before_the_id_goes_on_with_the_id_that_the_home_has(tmp_path: Path, lost: str) -> None:
    make_former(tmp_path)
    shutil.copy(tmp_path / "state/ledger.db", tmp_path / "copy.db")
    known = make(tmp_path)
    for name in lost.split():
        (tmp_path / "state" / name).unlink()
    vault = Vault(tmp_path / "state/ledger.db", tmp_path, now=NOW)
    with vault.from_file(tmp_path / "copy.db", force=True) as candidate:  # it has no sum yet
        vault.install(candidate, actor="test", verb="restore")
    assert (make(tmp_path).id == known.id) is (lost == "ledger.db")
    assert make(tmp_path).marked_by == str(tmp_path)


def test_a_ledger_that_is_made_anew_keeps_id_secret_and_mark(tmp_path: Path) -> None:
    make_former(tmp_path)
    known = make(tmp_path)
    for name in ("ledger.db", "ledger.id"):
        (tmp_path / "state" / name).unlink()
    shutil.rmtree(tmp_path / "state/backups")
    assert make(tmp_path) == known


# -- moves and copies -------------------------------------------------------------------------------------------------
def test_every_place_is_remembered_and_the_last_one_comes_first(tmp_path: Path) -> None:
    first = make(tmp_path / "a")
    for here, there in ("ab", "bc", "ca", "ad"):
        (tmp_path / here).rename(tmp_path / there)
        assert make(tmp_path / there).id == first.id
    assert make(tmp_path / "d").earlier == tuple(str(tmp_path / name) for name in "acb")


def test_a_link_that_was_left_behind_is_no_copy(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    assert make(tmp_path / "b").earlier == (str(tmp_path / "a"),)
    with pytest.raises(Refused, match="was moved to"):  # a process that was started before the move
        make(tmp_path / "a")


def test_another_home_that_began_at_the_former_place_is_no_copy(tmp_path: Path) -> None:
    first = make(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    other = make(tmp_path / "a")
    assert other.id != first.id
    assert make(tmp_path / "b").id == first.id
    assert make(tmp_path / "a").id == other.id


def test_the_copy_refuses_and_the_home_goes_on(tmp_path: Path) -> None:
    first = make(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(CopiedHome) as told:
        make(tmp_path / "b")
    assert str(tmp_path / "a") in told.value.message
    assert make(tmp_path / "a") == first


def test_a_home_that_comes_back_beside_the_copy_that_took_its_place_is_found_by_both(tmp_path: Path) -> None:
    make(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "aside")
    make(tmp_path / "b")
    (tmp_path / "aside").rename(tmp_path / "a")
    with pytest.raises(CopiedHome):
        make(tmp_path / "b")
    with closing(opened(tmp_path / "a")) as ledger, pytest.raises(CopiedHome):
        ledger.require_gone([str(tmp_path / "b")])  # which its containers tell


@pytest.mark.parametrize("spoil", [lambda home: (home / "state/secret").unlink(),
                                   lambda home: (home / "state/secret").write_text("0" * 64 + "\n")])
def test_a_ledger_without_the_keys_of_its_home_is_not_trusted_elsewhere(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    spoil(tmp_path / "b")
    with pytest.raises(LedgerUnusable, match="belongs to the home"):
        make(tmp_path / "b")


@pytest.mark.parametrize("living", [True, False])
def test_the_ledger_of_another_home_takes_its_place_or_begins_one_of_its_own(tmp_path: Path, living: bool) -> None:
    other, own = make(tmp_path / "a"), make(tmp_path / "b")
    shutil.copy(tmp_path / "a/state/ledger.db", tmp_path / "copy.db")
    if not living:
        shutil.rmtree(tmp_path / "a")
    vault = Vault(tmp_path / "b/state/ledger.db", tmp_path / "b", now=NOW)
    with vault.from_file(tmp_path / "copy.db", force=True) as candidate:
        vault.install(candidate, actor="test", verb="restore")
    found = make(tmp_path / "b")
    assert (found.id == other.id, found.secret == other.secret) == (not living, not living)
    assert found.id != own.id
    assert found.earlier == (() if living else (str(tmp_path / "a"),))
