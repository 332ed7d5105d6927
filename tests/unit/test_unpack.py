"""The mirror is read from this machine's own apt sources, in both of their formats."""

from __future__ import annotations

from pathlib import Path

from tests.engines.unpack import Mirror, find_mirror


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


def test_a_stanza_names_the_mirror_and_its_keys(tmp_path: Path) -> None:
    text = ("Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n"
            "Components: main\nSigned-By: /usr/share/keyrings/archive.gpg\n\n"
            "Types: deb\nURIs: http://mirror.test/debian-security\nSuites: bookworm-security\nComponents: main\n")
    found = find_mirror(written(tmp_path, "sources.list.d/debian.sources", text))
    assert found == Mirror("http://mirror.test/debian", "/usr/share/keyrings/archive.gpg")


def test_a_line_names_the_mirror(tmp_path: Path) -> None:
    text = ("# deb http://no.test/debian sid main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian/ sid main contrib\n")
    assert find_mirror(written(tmp_path, "sources.list", text)) == Mirror("http://mirror.test/debian/", "/k.gpg")


def test_another_vendors_archive_is_no_mirror(tmp_path: Path) -> None:
    written(tmp_path, "sources.list", "deb http://cloud.test/apt sdk main\ndeb http://m.test/debian-security s main\n")
    assert find_mirror(tmp_path) is None
