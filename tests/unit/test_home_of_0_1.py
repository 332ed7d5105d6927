"""A home that 0.1.0 left goes on under this build: its files are believed, its ledger is read whole, nobody is locked out."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deployctl.bootstrap import services
from deployctl.config.settings import Settings
from deployctl.domain.host.access import Role
from deployctl.domain.inputs.names import AppName, Version
from deployctl.ports import Services
from deployctl.testing.silent_reporter import SilentReporter
from deployctl.usecases.view.history import history

HOME = Path(__file__).parents[1] / "data" / "home-of-0.1.0.tar.gz"
SHOP, BLOG = AppName("shop"), AppName("blog")
NOW = "2027-01-01T12:00:00.000Z"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Return the home at another place than it was made at: it was moved, as a server's home is with its disk."""
    folder = tmp_path / "home"
    with tarfile.open(HOME) as archive:
        archive.extractall(folder, filter="data")
    (folder / "state").chmod(0o700)
    return Settings(folder.resolve())


@pytest.fixture
def s(home: Settings) -> Iterator[Services]:
    with closing(services(home, reporter=SilentReporter(), actor="test")) as found:
        yield found


def test_its_files_say_what_they_said(s: Services) -> None:
    assert (s.spec.pool, s.spec.ports, s.spec.web.listen) == ("172.29.0.0/16", (28000, 28099), ("127.0.0.1", 8950))
    shop, blog = s.app_file(SHOP), s.app_file(BLOG)
    assert (shop.listen, blog.listen) == (("127.0.0.1", 8100), ("127.0.0.1", 8101))
    assert (shop.template.env, shop.policy.keep_warm) == ((("GREETING", "hello"),), 1)


def test_its_ledger_knows_apps_releases_and_who_is_live(s: Services) -> None:
    assert {app.name: app.active for app in s.ledger.apps()} == {SHOP: 2, BLOG: 1}
    releases = {release.number: release for release in s.ledger.releases(SHOP, limit=10)}
    assert {number: release.version for number, release in releases.items()} == {1: "v1", 2: "v2", 3: "v3"}
    assert all(release.proven_at for release in releases.values())
    assert {number for number, release in releases.items() if release.hold} == {3}
    assert [change.kind for change in s.ledger.changes(SHOP, limit=10)] == [
        "rollback", "undo", "rollback", "upgrade", "upgrade", "upgrade"]
    assert s.ledger.find_open(SHOP) is None
    assert s.ledger.find_lease(SHOP) is None


def test_its_history_is_told_whole(s: Services) -> None:
    told = history(SHOP, s)
    assert [line.target for line in told.lines][:3] == ["v2", "v3", "v2"]


def test_its_containers_are_known_by_their_names_and_addresses(s: Services) -> None:
    known = {one.release: one for one in s.ledger.instances(SHOP)}
    assert {2, 3} <= set(known)
    assert all(one.address.startswith("172.29.") for one in known.values())


def test_nobody_is_locked_out(s: Services) -> None:
    user, [token] = s.ledger.find_user("mara"), s.ledger.tokens()
    assert user is not None
    assert list(user.roles.values()) == [Role.ADMIN]
    assert (token.name, dict(token.roles)) == ("ci", {"shop": Role.DEPLOYER})


def test_its_ledger_is_whole_after_it_was_brought_up_to_date(home: Settings, s: Services) -> None:
    live = s.ledger.find_release(SHOP, 2)
    assert s.ledger.find_faults() == []
    s.close()
    assert list(home.state_dir.rglob("*-migration.db")), "the ledger as it was is kept beside it"
    with closing(services(home, reporter=SilentReporter(), actor="test")) as again:
        assert again.ledger.find_faults() == []
        assert again.ledger.find_release(SHOP, 2) == live


def test_it_is_written_to_as_any_other(s: Services) -> None:
    assert isinstance(s.ledger.take_lease(SHOP, holder="test", verb="unhold", at=NOW), int)
    assert s.ledger.set_hold(SHOP, Version("v3"), None, None) == 1
    assert s.ledger.find_faults() == []
