"""PostgreSQL in a Compose project: what it acknowledged is there after the project was taken over, and after it came back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.demo.load_image import load_images
from tests import support
from tests.compose.stand_ins import stand_ins
from tests.compose.test_take_over import NAME, Composed, told
from tests.e2e.cli import home_of_a_person, wait_until
from tests.realapps.stores import STORES, connected, loaded
from tests.realapps.wheels import Unobtainable

STORE = next(one for one in STORES if one.name == "postgres")
FILE = """\
services:
  web:
    image: example/ledgers:1
    ports: ["127.0.0.1:{port}:8080"]
    depends_on: [db]
  db:
    image: {store}:v1
    user: "1000"
    expose: ["5432"]
    stop_signal: SIGINT
    restart: always
    volumes: ["data:/data"]
    healthcheck: {{test: [CMD, /usr/lib/postgresql/15/bin/pg_isready, -q, -h, 127.0.0.1], interval: 1s, retries: 60}}
volumes:
  data:
"""


@pytest.fixture
def project(tmp_path: Path, engine_url: str) -> Iterator[Composed]:
    try:
        STORE.image()
    except Unobtainable as e:
        pytest.skip(f"Debian's packages of PostgreSQL cannot be had: {e}")
    folder = tmp_path / NAME
    folder.mkdir()
    with loaded(engine_url, STORE, "v1") as images, home_of_a_person(engine_url) as cli:
        (folder / "compose.yaml").write_text(FILE.format(port=support.free_port(), store=images["v1"][0]))
        made = Composed(NAME, folder, cli, engine_url)
        fronts = [one for one in stand_ins(made.model(), frozenset(), {"web": 8080}) if one.tags[0].startswith("example/")]
        load_images(engine_url, *fronts)
        made.compose("up", "-d", "--wait")
        try:
            yield made
        finally:
            made.run("app", "remove", NAME, "--volumes", "--yes")
            made.compose("down", "--volumes", "--timeout", "5")


def of_the_project(project: Composed) -> str:
    """Return the address of the project's own database."""
    networks = project.containers()["db"]["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def of_the_app(project: Composed) -> str:
    return str(project.cli.rows("select address from instances where app = ?", f"{NAME}/db")[0][0])


def test_no_acknowledged_row_is_lost_either_way(project: Composed) -> None:
    client = connected(STORE.connect, of_the_project(project))
    for number in range(50):
        client.put(number)
    client.close()
    told(project.run("import", "compose", "--take-over", "--yes"))
    client = connected(STORE.connect, of_the_app(project))
    assert sorted(client.numbers()) == [*range(50)]
    client.put(50)
    client.close()
    told(project.run("abort", NAME))
    wait_until(lambda: project.states()["db"] == (True, "always"), what="the project's database")
    client = connected(STORE.connect, of_the_project(project))
    assert sorted(client.numbers()) == [*range(51)]
    client.close()
