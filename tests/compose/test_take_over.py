"""A Compose project that really runs, with data in a volume and in a folder, is taken over by an app and given back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from deployctl.effects.compose.program import find_program
from tests import support
from tests.compose.test_projects import Project
from tests.e2e.cli import home_of_a_person, wait_until

NAME = "ledgers"
FILE = """\
services:
  web:
    image: example/ledgers:1
    ports: ["127.0.0.1:{port}:8080"]
    restart: always
    volumes: ["./uploads:/uploads", "books:/books"]
    depends_on: [db]
  db:
    image: redis:7
    expose: ["6379"]
    restart: unless-stopped
    volumes: ["data:/data"]
volumes:
  data:
  books:
"""


class Composed(Project):
    """A project whose containers Compose itself made."""

    def compose(self, *words: str) -> None:
        environ = {**os.environ, "DOCKER_HOST": self.engine_url}
        subprocess.run([*find_program(os.environ), *words], cwd=self.folder, env=environ, check=True, capture_output=True,
                       timeout=120)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what Docker says of the project's own containers, by service."""
        found = self.cli.api.containers(all=True, filters={"label": f"com.docker.compose.project={NAME}"})
        return {one["Labels"]["com.docker.compose.service"]: dict(self.cli.api.inspect_container(one["Id"])) for one in found}

    def states(self) -> dict[str, tuple[bool, str]]:
        return {name: (one["State"]["Running"], one["HostConfig"]["RestartPolicy"]["Name"])
                for name, one in self.containers().items()}


@pytest.fixture
def project(tmp_path: Path, engine_url: str) -> Iterator[Composed]:
    folder = tmp_path / NAME
    (folder / "uploads").mkdir(parents=True)
    (folder / "uploads/photo").write_text("of the folder")
    (folder / "compose.yaml").write_text(FILE.replace("{port}", str(support.free_port())))
    with home_of_a_person(engine_url) as cli:
        made = Composed(NAME, folder, cli, engine_url)
        with (cli.home / "config/server.toml").open("a") as file:
            file.write(f'\n[allow.{NAME}]\nbinds = ["{folder}/uploads"]\n')
        made.report = made.run("import", "compose", "--check").told
        made.load_named({"web": 8080, "db": 6379})
        made.compose("up", "-d")
        try:
            yield made
        finally:
            made.run("app", "remove", NAME, "--volumes", "--yes")
            with suppress(subprocess.SubprocessError):
                made.compose("down", "--volumes", "--timeout", "2")
            for tag in made.loaded:
                with suppress(APIError):
                    cli.api.remove_image(tag, force=True)


def told(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran
    return dict(json.loads(ran.out))


def answers(project: Composed) -> bool:
    """Return whether it does: Docker accepts connections before the program in the container listens."""
    with suppress(OSError, HTTPException):
        return bool(project.ask("/"))
    return False


def test_its_data_comes_along_and_goes_back(project: Composed) -> None:
    wait_until(lambda: all(running for running, _ in project.states().values()), what="the project")
    before = project.states()
    refused = project.run("import", "compose", "--take-over")
    assert (refused.code, project.states()) == (5, before), refused
    done = told(project.run("import", "compose", "--take-over", "--yes"))
    assert sorted(done["take_over"]["stopped"]) == sorted(one["Name"].lstrip("/") for one in project.containers().values())
    assert done["take_over"]["gap_ms"] > 0
    assert project.states() == {"web": (False, "no"), "db": (False, "no")}
    assert project.ask("/read/uploads/photo")["text"] == "of the folder"
    project.ask("/write/books")
    mounts = {mount["Destination"]: mount.get("Name") or mount["Source"] for one in ("web", "db")
              for mount in project.container(one)["Mounts"]}
    assert mounts["/books"] == f"{NAME}_books"
    assert mounts["/data"] == f"{NAME}_data"
    assert mounts["/uploads"] == str(project.folder / "uploads")
    project.compose("start", "db")
    busy = project.run("upgrade", f"{NAME}/db", "7", "--yes")
    assert (busy.code, busy.told["error"]["code"]) == (5, "volume_in_use"), busy
    project.compose("stop", "db")
    told(project.run("abort", NAME))
    assert project.states() == before
    assert project.cli.containers(NAME) == []
    volumes = {one["Name"] for one in project.cli.api.volumes()["Volumes"]}
    assert {f"{NAME}_books", f"{NAME}_data"} <= volumes
    wait_until(lambda: answers(project), what="an answer of the project")
    assert project.ask("/read/books/stand-in")["text"] == "web", "what the app wrote is the project's"


def test_confirmed_it_stays_and_nothing_is_removed(project: Composed) -> None:
    told(project.run("import", "compose", "--take-over", "--yes"))
    told(project.run("confirm", NAME))
    assert project.states() == {"web": (False, "no"), "db": (False, "no")}
    assert project.ask("/")["service"] == "web"
    assert project.run("confirm", NAME).code == 3
