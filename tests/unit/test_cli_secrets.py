"""`deployctl secret` as people type it: a value comes by standard input, a file or unseen, and is never shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.inputs.names import AppName
from deployctl.verbs.table import VERBS, routes
from tests.unit.cli_world import World, world

SHOP = AppName("shop")
CANARY = "canary-cli-40fe"
FILE = 'image = "acme/shop"\nport = 8080\nlisten = 8000\nsecrets = ["TOKEN"]\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as found:
        (found.home / "config").mkdir(exist_ok=True)
        (found.home / "config/shop.toml").write_text(FILE)
        yield found


def value(home: World, name: str = "TOKEN") -> bytes:
    """Return the current value, as a fake keeps it."""
    return home.secrets._values[SHOP, name][home.secrets.current(SHOP)[name]]


def test_a_value_that_is_typed_is_asked_for_twice_and_not_shown(home: World) -> None:
    said = home.deployctl("secret", "set", "shop", "TOKEN", typed=f"{CANARY}\n{CANARY}\n")
    assert said.code == 0
    assert value(home) == CANARY.encode()
    assert CANARY not in said.out + said.err
    said = home.deployctl("secret", "set", "shop", "TOKEN", typed=f"{CANARY}\nanother\n")
    assert said.code == 2
    assert "the values do not match. Nothing was changed." in said.err


def test_a_file_is_taken_byte_for_byte(home: World, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"\x00line\n\xff\n")
    assert home.deployctl("secret", "set", "shop", "TOKEN", "--file", str(tmp_path / "key.pem")).code == 0
    assert value(home) == b"\x00line\n\xff\n"
    said = home.deployctl("secret", "set", "shop", "TOKEN", "--file", str(tmp_path / "missing"))
    assert (said.code, "cannot be read" in said.err) == (2, True)


def test_an_empty_value_is_none(home: World) -> None:
    assert home.deployctl("secret", "set", "shop", "TOKEN").code == 2
    assert home.secrets.current(SHOP) == {}


def test_an_app_that_there_is_not_is_no_place_for_a_secret(home: World) -> None:
    said = home.deployctl("secret", "set", "shpo", "TOKEN", typed=f"{CANARY}\n{CANARY}\n")
    assert said.code == 3
    assert "Did you mean shop?" in said.err


def test_a_value_behind_the_name_is_refused_and_not_repeated(home: World) -> None:
    for words in (("TOKEN", CANARY), (f"TOKEN={CANARY}",)):
        said = home.deployctl("secret", "set", "shop", *words)
        assert said.code == 2
        assert f"={CANARY}" not in said.out + said.err
    assert home.secrets.current(SHOP) == {}


def test_the_list_shows_names_and_the_removal_asks(home: World) -> None:
    assert "No secrets yet" in home.deployctl("secret", "list").out
    home.deployctl("secret", "set", "shop", "TOKEN", typed=f"{CANARY}\n{CANARY}\n")
    listed = home.deployctl("secret", "list", "shop", "-o", "json")
    assert [(one["name"], one["current"], one["used_by"]) for one in listed.json["secrets"]] == [("TOKEN", True, [])]
    assert CANARY not in listed.out + home.deployctl("secret", "list").out
    assert home.deployctl("secret", "remove", "shop", "TOKEN").code == 5
    assert home.deployctl("secret", "remove", "shop", "TOKEN", "--yes").code == 0
    assert home.deployctl("secret", "remove", "shop", "TOKEN", "--yes").code == 3


def test_the_history_names_who_set_what_and_no_value(home: World) -> None:
    home.deployctl("secret", "set", "shop", "TOKEN", typed=f"{CANARY}\n{CANARY}\n")
    home.deployctl("secret", "remove", "shop", "TOKEN", "--yes")
    said = home.deployctl("audit", "-o", "json")
    assert [one["what"] for one in said.json["entries"]] == ["secret_removed", "secret_set"]
    assert CANARY not in said.out


def test_no_argument_and_no_field_of_a_verb_takes_a_value() -> None:
    assert not [name for name in routes() if name.startswith("secret")]
    taken = {verb: {param.name for param in VERBS[verb].params} for verb in VERBS if verb.startswith("secret ")}
    assert taken == {"secret set": {"app", "name", "file"}, "secret list": {"app"}, "secret remove": {"app", "name"}}
    assert "secret" not in json.dumps([str(verb.route and verb.route.body) for verb in VERBS.values()]).lower()
