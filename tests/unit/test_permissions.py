"""What a file says is believed only where nobody but root and us can have written it."""

from __future__ import annotations

import os
import pwd
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from deployctl.config.cache import load_judged_app, load_judged_server
from deployctl.config.settings import Settings
from deployctl.config.trusted_files import find_home_faults, require_believed_home
from deployctl.domain.host.permissions import FaultCode, PathFacts, find_fault, trusted_uids
from deployctl.effects.linux.file_trust import find_program, parse_acl, read_facts, require_program, walk
from deployctl.errors import NotPermitted, Untrusted
from tests.unit.cli_world import shop

US, MARA, ROOT = 1000, 1001, 0
STRANGER = 65534
FILE, FOLDER, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


# -- the decision ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("found", "code"), [
    (PathFacts("p", US, FILE | 0o644), None),
    (PathFacts("p", ROOT, FILE | 0o600), None),
    (PathFacts("p", US, FILE | 0o664, (US,)), None),  # a group of one's own, as git makes them under umask 002
    (PathFacts("p", US, FILE | 0o664, ()), None),
    (PathFacts("p", US, FILE | 0o664, (ROOT,)), None),
    (PathFacts("p", US, FILE | 0o664, (US, MARA)), FaultCode.WRITABLE),
    (PathFacts("p", US, FILE | 0o646), FaultCode.WRITABLE),
    (PathFacts("p", MARA, FILE | 0o600), FaultCode.OWNER),
    (PathFacts("p", ROOT, FOLDER | 0o1777, (MARA,)), None),  # /tmp: nobody takes away what is another's
    (PathFacts("p", US, FOLDER | 0o1777), FaultCode.WRITABLE),  # its owner may
    (PathFacts("p", MARA, FOLDER | 0o1777), FaultCode.OWNER),
    (PathFacts("p", ROOT, FILE | 0o1666), FaultCode.WRITABLE),  # on a file the bit says nothing
    (PathFacts("p", US, LINK | 0o777), None),
    (PathFacts("p", MARA, LINK | 0o777), FaultCode.OWNER),
])
def test_a_path_is_believed_only_where_nobody_else_may_write(found: PathFacts, code: FaultCode | None) -> None:
    fault = find_fault(found, (US, ROOT))
    assert (fault and fault.code) == code


def test_a_folder_above_may_belong_to_another_who_does_not_let_others_write() -> None:
    assert find_fault(PathFacts("/home/mara", MARA, FOLDER | 0o755), (US, ROOT), owned=False) is None
    assert find_fault(PathFacts("/srv", MARA, FOLDER | 0o777), (US, ROOT), owned=False) is not None


@pytest.mark.parametrize(("found", "remedy"), [
    (PathFacts("/h/config", US, FOLDER | 0o777), "chmod go-w /h/config"),
    (PathFacts("/h/config", US, FOLDER | 0o757), "chmod o-w /h/config"),
    (PathFacts("/h/config", ROOT, FOLDER | 0o777), "sudo chmod go-w /h/config"),
    (PathFacts("/h/config", MARA, FOLDER | 0o700), "sudo chown 1000 /h/config"),
])
def test_the_remedy_is_what_to_type(found: PathFacts, remedy: str) -> None:
    fault = find_fault(found, (US, ROOT))
    assert fault is not None
    assert fault.remedy == remedy


def test_whoever_let_root_run_by_sudo_is_believed_and_nobody_by_a_variable_alone() -> None:
    assert trusted_uids(ROOT, {"SUDO_UID": "1000"}) == (ROOT, 1000)
    assert trusted_uids(ROOT, {"SUDO_UID": "x"}) == (ROOT,)
    assert trusted_uids(US, {"SUDO_UID": "1001"}) == (US, ROOT)


# -- what the system tells ------------------------------------------------------------------------------------------
def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(("entries", "writers"), [
    ([(0x02, 6, MARA), (0x04, 4, 0), (0x10, 6, 0)], ({MARA}, set())),
    ([(0x02, 6, MARA), (0x04, 6, 0), (0x10, 4, 0)], (set(), set())),  # the mask lets nobody write
    ([(0x04, 6, 0), (0x08, 6, 77), (0x08, 4, 78), (0x10, 6, 0)], (set(), {50, 77})),
    ([(0x01, 7, 0), (0x20, 7, 0)], (set(), set())),  # owner and everybody stand in the mode
])
def test_an_access_list_names_whom_the_group_bits_let_write(entries: list[tuple[int, int, int]], writers: object) -> None:
    assert parse_acl(acl(*entries), 50) == writers


@needs_root
def test_an_access_list_that_lets_another_write_is_seen_on_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text("")
    file.chmod(0o664)
    try:
        os.setxattr(file, "system.posix_acl_access", acl(
            (0x01, 6, 0xFFFFFFFF), (0x02, 6, STRANGER), (0x04, 4, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)))
    except OSError:
        pytest.skip("this file system has no access lists")
    assert STRANGER in read_facts(file).writers


def test_who_has_the_group_as_their_own_is_in_it_without_being_named(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    file.chmod(0o660)
    me = pwd.getpwuid(os.geteuid())
    os.chown(file, -1, me.pw_gid)
    assert os.geteuid() in read_facts(file).writers


def test_each_folder_and_each_link_on_the_way_is_looked_at(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "bin").mkdir(parents=True)
    (real / "bin/program").touch()
    (tmp_path / "link").symlink_to("real/../real")
    (tmp_path / "program").symlink_to(tmp_path / "link/bin/program")
    seen = [found.path for found in walk(tmp_path / "program")]
    for path in (tmp_path / "program", tmp_path / "link", real, real / "bin", real / "bin/program", Path("/")):
        assert str(path) in seen


def test_links_that_lead_round_and_round_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        list(walk(tmp_path / "a"))


# -- programs -------------------------------------------------------------------------------------------------------
@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "bin/haproxy"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_of_ours_may_be_started(program: Path) -> None:
    assert require_program(str(program)) == str(program)
    assert find_program("haproxy", f".:{program.parent}") == str(program)


def writable(program: Path) -> None:
    program.chmod(0o777)


def in_a_writable_folder(program: Path) -> None:
    program.parent.chmod(0o777)


def below_a_writable_folder(program: Path) -> None:
    program.parent.parent.chmod(0o777)


def behind_a_link_from_there(program: Path) -> None:
    elsewhere = program.parent.parent / "elsewhere"
    elsewhere.mkdir()
    program.rename(elsewhere / "haproxy")
    program.symlink_to(elsewhere / "haproxy")
    elsewhere.chmod(0o777)


@pytest.mark.parametrize("spoil", [writable, in_a_writable_folder, below_a_writable_folder, behind_a_link_from_there])
def test_a_program_that_others_may_change_is_never_started(program: Path, spoil: Callable[[Path], None]) -> None:
    spoil(program)
    with pytest.raises(Untrusted, match="was not started") as told:
        require_program(str(program))
    assert told.value.code == "writable_by_others"
    assert told.value.remedy[0].startswith("chmod ")
    assert find_program("haproxy", str(program.parent)) is None


@needs_root
def test_a_program_of_a_stranger_is_never_started_whoever_typed_sudo(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    os.chown(program, STRANGER, STRANGER)
    with pytest.raises(Untrusted) as told:
        require_program(str(program))
    assert (told.value.code, told.value.remedy) == ("belongs_to_another", [f"chown 0 {program}"])


def test_no_program_is_looked_for_where_we_stand(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(program.parent)
    assert find_program("haproxy", ".") is find_program("haproxy", ":") is find_program("haproxy", "bin") is None


# -- a home ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings((tmp_path / "above/home").resolve())
    settings.config_dir.mkdir(parents=True)
    settings.server_file.write_text('[proxy]\ntimeout = "30s"\n')
    settings.app_file("shop").write_text('image = "acme/shop"\nport = 80\n')
    return settings


PLACES = [".", "config", "config/server.toml", "config/shop.toml", ".."]


@pytest.mark.parametrize("place", PLACES)
def test_a_home_that_others_may_write_to_is_refused_with_the_chmod_to_type(home: Settings, place: str) -> None:
    assert find_home_faults(home, {}, apps=True) == []
    path = (home.home / place).resolve()
    path.chmod(path.stat().st_mode | 0o002)
    assert [fault.remedy for fault in find_home_faults(home, {}, apps=True)] == [f"chmod o-w {path}"]


@needs_root
@pytest.mark.parametrize("place", PLACES[:-1])
def test_a_home_of_a_stranger_is_refused_and_who_typed_sudo_is_none(home: Settings, place: str) -> None:
    os.chown(home.home / place, STRANGER, STRANGER)
    assert [fault.code for fault in find_home_faults(home, {}, apps=True)] == ["belongs_to_another"]
    assert find_home_faults(home, {"SUDO_UID": str(STRANGER)}, apps=True) == []


@needs_root
def test_a_config_folder_behind_a_link_is_judged_where_it_lies(home: Settings) -> None:
    elsewhere = home.home.with_name("elsewhere")
    home.config_dir.rename(elsewhere)
    home.config_dir.symlink_to(elsewhere)
    assert find_home_faults(home, {}) == []
    elsewhere.chmod(0o777)
    assert find_home_faults(home, {}) != []


@needs_root
def test_a_config_folder_behind_a_link_has_no_folder_above_it_that_others_may_write(home: Settings) -> None:
    elsewhere = home.home.with_name("elsewhere")
    elsewhere.mkdir()
    home.config_dir.rename(elsewhere / "config")
    home.config_dir.symlink_to(elsewhere / "config")
    assert find_home_faults(home, {}) == []
    elsewhere.chmod(0o777)
    assert [fault.path for fault in find_home_faults(home, {})] == [str(elsewhere)]


def test_in_a_state_folder_that_others_may_write_not_even_looking_goes_on(tmp_path: Path) -> None:
    with shop(tmp_path, "v1") as world:
        world.settings.state_dir.chmod(0o702)
        said = world.deployctl("status", "-o", "json")
        assert (said.code, said.json["error"]["code"]) == (8, "writable_by_others")
        assert f"chmod o-w {tmp_path.resolve()}/state" in said.json["error"]["remedy"]


def test_a_folder_of_roots_where_each_keeps_what_is_theirs_may_hold_homes(home: Settings) -> None:
    home.home.parent.chmod(0o1777)
    assert [fault.remedy for fault in find_home_faults(home, {})] == (
        [] if os.geteuid() == 0 else [f"chmod go-w {home.home.parent}"])


def test_what_server_toml_says_to_strangers_is_not_believed_what_it_said_before_is(home: Settings) -> None:
    home.ensure_state()
    believed = load_judged_server(home)
    assert (believed.client_timeout, believed.file_trusted) == (30.0, True)
    home.server_file.write_text('[proxy]\ntimeout = "5s"\n[haproxy]\nbinary = "/tmp/evil"\n')
    home.server_file.chmod(0o666)
    former = load_judged_server(home)
    assert (former.client_timeout, former.haproxy_binary, former.file_trusted) == (30.0, None, False)
    with pytest.raises(Untrusted):
        load_judged_app(home, "shop", former)  # type: ignore[arg-type]  # a name as it is typed


def test_a_file_that_was_never_believed_says_nothing(home: Settings) -> None:
    home.server_file.chmod(0o666)
    former = load_judged_server(home)
    assert (former.client_timeout, former.file_trusted) == (60.0, False)


def test_a_home_that_is_not_there_yet_has_no_fault(tmp_path: Path) -> None:
    require_believed_home(Settings(tmp_path / "none"), {})


def test_the_refusal_is_one_of_the_operating_system(home: Settings) -> None:
    home.config_dir.chmod(0o777)
    with pytest.raises(NotPermitted, match="is writable by everybody") as told:
        require_believed_home(home, {})
    assert (told.value.exit_code, told.value.code) == (8, "writable_by_others")
    assert told.value.remedy == [f"chmod go-w {home.config_dir}"]


# -- the command line -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", ["config", "config/shop.toml", "."])
def test_looking_and_going_back_go_on_with_a_warning_and_nothing_else_does(tmp_path: Path, place: str) -> None:
    with shop(tmp_path, "v1", "v2") as world:
        path = (tmp_path / place).resolve()
        path.chmod(path.stat().st_mode | 0o002)
        looks: list[tuple[str, ...]] = [("status",), ("rollback", "shop"), ("undo", "shop"), ("history", "shop")]
        for words in looks:
            said = world.deployctl(*words, "-o", "json")
            assert said.code == 0, said.both
            assert f"{path} is writable by everybody" in said.json["warnings"][-1]
            assert f"chmod o-w {path}" in said.err
        for words in (("upgrade", "shop", "v3"), ("start", "shop", "v3"), ("reconcile",), ("doctor",), ("user", "add", "mara"),
                      ("ledger", "rebuild", "--force")):
            said = world.deployctl(*words, "-o", "json")
            assert (said.code, said.json["error"]["code"]) == (8, "writable_by_others"), said.both
            assert said.json["error"]["remedy"] == [f"chmod o-w {path}"]
