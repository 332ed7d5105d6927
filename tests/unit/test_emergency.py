"""What an emergency flip makes of HAProxy's maps, and the notes that it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.emergency import FlipNote, find_flippable, version_of
from deployctl.effects.haproxy.home import HaproxyHome, add_note, forget_notes, notes_file, read_notes
from deployctl.errors import NotFound
from tests.guards.test_start import loaded_by

SHOP = AppName("shop")
KNOWN = {"shop.v1": "4", "shop.v2": "5:held", "shop.v2.1": "7", "shop-api.v9": "8"}
VERSIONS = {"shop.3": "v1", "shop.4": "v1", "shop.5": "v2", "shop.7": "v2.1", "shop.6": "v3", "shop-api.8": "v9"}


def find(version: str, app: AppName = SHOP, known: dict[str, str] = KNOWN) -> tuple[int, bool]:
    found = find_flippable(app, Version(version), known=known, versions=VERSIONS)
    return found.number, found.held


def test_a_version_means_its_newest_proven_release_and_tells_a_hold() -> None:
    assert [find("v1"), find("v2"), find("v2.1")] == [(4, False), (5, True), (7, False)]


def test_one_release_of_a_version_can_be_named() -> None:
    found = find_flippable(SHOP, Version("v1"), known=KNOWN, versions=VERSIONS, release=3)
    assert (found.number, found.held) == (3, False)
    with pytest.raises(NotFound, match="no running shop v1@5"):
        find_flippable(SHOP, Version("v1"), known=KNOWN, versions=VERSIONS, release=5)


def test_where_one_map_is_lost_the_other_one_leads_to_the_newest_release() -> None:
    assert find("v1", known={}) == (4, False)
    assert find("v3") == (6, False)


def test_an_unknown_version_is_refused_with_those_of_that_app_only() -> None:
    with pytest.raises(NotFound, match=r"no running shop v9; it has v1, v2, v2\.1, v3\. Nothing was changed"):
        find("v9")
    with pytest.raises(NotFound, match='no app "shopp"; it has shop, shop-api'):
        find("v1", AppName("shopp"))


def test_a_release_that_the_maps_do_not_name_keeps_its_number() -> None:
    assert [version_of(SHOP, n, VERSIONS) for n in (5, 77, None)] == ["v2", "release 77", None]


def test_the_command_loads_neither_ledger_nor_engine_nor_configuration() -> None:
    loaded = loaded_by("-c", "import deployctl.cli.main, deployctl.cli.commands.emergency")
    assert "deployctl" in loaded
    assert not loaded & {"sqlite3", "_sqlite3", "sqlite_utils", "docker", "requests", "pydantic", "tomllib"}


# -- notes ------------------------------------------------------------------------------------------------------------
def note(number: int, app: str = "shop") -> FlipNote:
    return FlipNote("2026-01-01T00:00:00.000Z", AppName(app), 1, number, f"v{number}", "jo (emergency)", "“why”\nnot")


def test_notes_come_back_as_they_were_and_go_one_by_one(tmp_path: Path) -> None:
    home = HaproxyHome(tmp_path)
    assert read_notes(home) == []
    for number in (2, 3):
        add_note(home, note(number))
    assert read_notes(home) == [note(2), note(3)]
    assert notes_file(home).stat().st_mode & 0o777 == 0o600
    forget_notes(home, [note(2)])
    assert read_notes(home) == [note(3)]
    forget_notes(home, [note(3)])
    assert not notes_file(home).exists()


def test_a_torn_or_foreign_line_harms_no_other_note(tmp_path: Path) -> None:
    home = HaproxyHome(tmp_path)
    add_note(home, note(2))
    with notes_file(home).open("a") as file:
        file.write('[1]\n{"at": 1}\nnull\n\xff\n{"at": "2026')
    add_note(home, note(3))
    assert read_notes(home) == [note(2), note(3)]


def test_a_link_in_the_place_of_the_notes_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    notes_file(HaproxyHome(tmp_path)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        add_note(HaproxyHome(tmp_path), note(2))
