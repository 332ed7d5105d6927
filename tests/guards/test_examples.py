"""What we ship as an example works as it stands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.config.server_file import parse_server_spec
from tests.guards import tree

CONFIG = sorted((tree.ROOT / "config").glob("*.toml"))


def test_there_is_an_example() -> None:
    assert tree.ROOT / "config/example.toml" in CONFIG


@pytest.mark.parametrize("path", CONFIG, ids=lambda path: path.name)
def test_a_shipped_config_file_loads(path: Path) -> None:
    parse = parse_server_spec if path.stem == "server" else parse_app_spec
    assert parse(tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)
