"""An app's file without a component above the first table: each is a table, and has an image of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.errors import Invalid
from tests.unit.cli_world import World, shop
from tests.unit.world import SHOP, runnable

FILE = """
listen = 8000
drain = "1s"
[components.worker]
image = "acme/worker"
needs = { web = "started" }
[components.web]
image = "acme/shop"
port = 80
command = ["serve"]
env = { MODE = "shop" }
needs = { db = "healthy" }
[components.db]
kind = "backing"
image = "postgres:17.2"
port = 5432
"""


def spec(text: str) -> AppSpec:
    return parse_app_spec(tomllib.loads(text), where="config/shop.toml")


def test_the_component_with_a_port_is_the_one_that_clients_reach() -> None:
    found = spec(FILE)
    assert (found.name, found.image, found.port, found.drain) == ("web", "acme/shop", 80, 1.0)
    assert [one.name for one in found.templates()] == ["web", "worker"]
    worker = found.templates()[1]
    assert (worker.bundle.image, worker.bundle.env) == ("acme/worker", ()), "it inherits nothing"
    assert found.backing_names == {"db"}


def test_it_is_the_same_as_with_that_component_above_the_first_table() -> None:
    above = """
name = "web"
image = "acme/shop"
port = 80
listen = 8000
drain = "1s"
command = ["serve"]
needs = { db = "healthy" }
env = { MODE = "shop" }
[components.worker]
image = "acme/worker"
needs = { web = "started" }
[components.db]
kind = "backing"
image = "postgres:17.2"
port = 5432
"""
    assert spec(FILE) == spec(above)


def test_of_several_with_a_port_name_says_which() -> None:
    two = f'{FILE}\n[components.api]\nimage = "acme/api"\nport = 9000\n'
    with pytest.raises(Invalid) as undecided:
        spec(two)
    assert any("web, api take requests on a port, and clients reach one of them" in line for line in undecided.value.details)
    assert spec(f'name = "api"\n{two}').image == "acme/api"


@pytest.mark.parametrize(("text", "key"), [
    ('listen = 8000\n[components.worker]\nimage = "acme/worker"\n', "port"),
    ('listen = 8000\n[components.web]\nport = 80\n', "image"),
    (f'user = "1000"\n{FILE}', "image"),
    ('listen = 8000\n[components]\nweb = 3\n', "image"),
], ids=["nothing takes requests", "no image", "something above that belongs to none", "no table"])
def test_what_cannot_be_decided_is_asked_for(text: str, key: str) -> None:
    with pytest.raises(Invalid) as missing:
        spec(text)
    assert any(f": {key} is missing" in line for line in (*missing.value.details, str(missing.value)))


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with shop(tmp_path) as made:
        made.settings.app_file(SHOP).write_text(FILE)
        for name in ("acme/shop:v1", "acme/shop:v2", "acme/worker:v1", "acme/worker:v2", "postgres:17.2"):
            made.engine.images.add(name, image=runnable(name))
        yield made


def test_every_verb_knows_it(w: World) -> None:
    for version in ("v1", "v2"):
        said = w.deployctl("upgrade", "shop", version, "-o", "json")
        assert said.code == 0, said.json["error"]
    [app] = w.deployctl("status", "-o", "json").json["apps"]
    assert {one["name"]: one["version"] for one in app["components"]} == {"web": "v2", "worker": "v2", "db": "17.2"}
    assert app["active"]["version"] == "v2"
    w.settings.app_file(SHOP).write_text(FILE.replace('"shop" }', '"blog" }'))
    told = w.deployctl("upgrade", "shop", "v2", "--dry-run", "-o", "json")
    assert told.code == 0, told
    assert w.deployctl("upgrade", "shop", "v2").code == 0
    differs = w.deployctl("diff", "shop", "v1", "v2")
    assert "MODE" in differs.out, differs
    assert w.deployctl("rollback", "shop", "v1", "--yes").code == 0
    [app] = w.deployctl("status", "-o", "json").json["apps"]
    assert app["active"]["version"] == "v1"
