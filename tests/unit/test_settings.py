"""Which home it is, and that its state belongs to us alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deployctl.config.settings import Settings, find_home
from deployctl.errors import Invalid, NotPermitted

STRANGER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def mark(home: Path, marker: str = "config/server.toml") -> Path:
    (home / marker).parent.mkdir(parents=True, exist_ok=True)
    (home / marker).touch()
    return home


# -- which home -------------------------------------------------------------------------------------------------
def test_the_flag_wins_then_the_environment_then_the_folder_around_then_the_users_own(tmp: Path) -> None:
    around = mark(tmp / "around")
    inside = around / "a" / "b"
    inside.mkdir(parents=True)
    environ = {"DEPLOYCTL_HOME": str(tmp / "named"), "XDG_DATA_HOME": str(tmp / "data")}
    assert find_home(str(tmp / "flag"), environ, inside) == tmp / "flag"
    assert find_home(None, environ, inside) == tmp / "named"
    del environ["DEPLOYCTL_HOME"]
    assert find_home(None, environ, inside) == around
    assert find_home(None, environ, tmp) == tmp / "data" / "deployctl"


@pytest.mark.parametrize("marker", ["config/server.toml", "state/ledger.db"])
def test_either_marker_makes_a_home_and_the_nearest_counts(tmp: Path, marker: str) -> None:
    mark(tmp)
    nearer = mark(tmp / "a", marker)
    (nearer / "b").mkdir()
    assert find_home(None, {"HOME": "/root"}, nearer / "b") == nearer


def test_a_home_is_absolute_and_has_no_links_in_it(tmp: Path) -> None:
    (tmp / "real").mkdir()
    (tmp / "link").symlink_to(tmp / "real")
    assert find_home("link/../real/x/..", {}, tmp) == tmp / "real"
    assert find_home("link", {}, tmp) == tmp / "real"
    with pytest.raises(Invalid):
        Settings(Path("relative"))


@pytest.mark.parametrize("named", ["", "a\nb", "a\0b", "a\x1bb", "a\udcff"])
def test_a_home_named_by_nothing_or_by_control_characters_is_refused(tmp: Path, named: str) -> None:
    for flag, environ in ((named, {}), (None, {"DEPLOYCTL_HOME": named})):
        with pytest.raises(Invalid) as refused:
            find_home(flag, environ, tmp)
        assert refused.value.message.isprintable()


def test_a_home_that_is_a_file_is_refused(tmp: Path) -> None:
    (tmp / "file").touch()
    with pytest.raises(Invalid, match="is not a directory"):
        find_home("file", {}, tmp)


def test_a_relative_data_folder_is_ignored_as_the_standard_says(tmp: Path) -> None:
    environ = {"XDG_DATA_HOME": "data", "HOME": str(tmp)}
    assert find_home(None, environ, tmp) == tmp / ".local" / "share" / "deployctl"


def test_without_any_home_the_error_says_how_to_name_one(tmp: Path) -> None:
    with pytest.raises(Invalid) as refused:
        find_home(None, {}, tmp)
    assert "--home" in refused.value.remedy[0]


@needs_root
@pytest.mark.parametrize("owned", ["config/server.toml", "config", "."])
def test_a_home_around_us_that_a_stranger_made_is_refused_and_only_naming_it_trusts_it(tmp: Path, owned: str) -> None:
    os.chown(mark(tmp) / owned, STRANGER, STRANGER)
    with pytest.raises(NotPermitted, match=f"uid {STRANGER}"):
        find_home(None, {"HOME": "/root"}, tmp)
    assert find_home(str(tmp), {}, tmp) == tmp


@needs_root
def test_a_link_of_a_stranger_is_a_strangers_whatever_it_leads_to(tmp: Path) -> None:
    mark(tmp / "ours")
    (tmp / "config").symlink_to(tmp / "ours" / "config")
    os.lchown(tmp / "config", STRANGER, STRANGER)
    with pytest.raises(NotPermitted):
        find_home(None, {"HOME": "/root"}, tmp)


@needs_root
def test_with_sudo_the_home_may_belong_to_who_called_it(tmp: Path) -> None:
    mark(tmp)
    for owned in (tmp, tmp / "config", tmp / "config" / "server.toml"):
        os.chown(owned, 1000, 1000)
    assert find_home(None, {"SUDO_UID": "1000"}, tmp) == tmp
    with pytest.raises(NotPermitted):
        find_home(None, {"SUDO_UID": "1001"}, tmp)


# -- what lies where --------------------------------------------------------------------------------------------
def test_everything_lies_below_the_home() -> None:
    here = Settings(Path("/srv/x"))
    assert here.app_file("shop") == Path("/srv/x/config/shop.toml")
    assert here.server_file == Path("/srv/x/config/server.toml")
    assert here.ledger == Path("/srv/x/state/ledger.db")
    assert here.haproxy_dir == Path("/srv/x/state/haproxy")


# -- state ------------------------------------------------------------------------------------------------------
def test_state_is_made_for_us_alone_and_may_be_made_again(tmp: Path) -> None:
    here = Settings(tmp / "home")
    for _ in range(2):
        here.ensure_state()
    for folder in (here.state_dir, here.haproxy_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_state_folder_of_ours_that_others_could_read_is_closed(tmp: Path) -> None:
    (tmp / "state").mkdir()
    (tmp / "state").chmod(0o775)
    Settings(tmp).ensure_state()
    assert stat.S_IMODE((tmp / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("folder", ["state", "state/haproxy"])
def test_a_state_folder_that_is_a_link_is_refused_and_what_it_leads_to_is_untouched(tmp: Path, folder: str) -> None:
    elsewhere = tmp / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (tmp / folder).parent.mkdir(exist_ok=True)
    (tmp / folder).symlink_to(elsewhere)
    with pytest.raises(NotPermitted, match="is a symbolic link"):
        Settings(tmp).ensure_state()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755
    assert list(elsewhere.iterdir()) == []


def test_a_link_that_leads_nowhere_and_a_file_are_refused_too(tmp: Path) -> None:
    (tmp / "a").mkdir()
    (tmp / "a" / "state").symlink_to(tmp / "nowhere")
    (tmp / "b").mkdir()
    (tmp / "b" / "state").touch()
    for home in (tmp / "a", tmp / "b"):
        with pytest.raises(NotPermitted):
            Settings(home).ensure_state()


@needs_root
def test_a_state_folder_of_another_user_is_refused_and_stays_his(tmp: Path) -> None:
    (tmp / "state").mkdir(mode=0o755)
    os.chown(tmp / "state", STRANGER, STRANGER)
    with pytest.raises(NotPermitted, match=f"uid {STRANGER}"):
        Settings(tmp).ensure_state()
    assert (tmp / "state").stat().st_uid == STRANGER


def test_a_state_folder_that_everybody_may_write_to_is_refused(tmp: Path) -> None:
    (tmp / "state").mkdir()
    (tmp / "state").chmod(0o777)
    with pytest.raises(NotPermitted, match="is world-writable"):
        Settings(tmp).ensure_state()
