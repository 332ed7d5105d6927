"""Eight Compose projects, imported, started, upgraded under load and rolled back. What runs is compared with Compose's own
model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from deployctl.demo.load_image import load_images
from deployctl.demo.visitors import Visitors
from deployctl.effects.compose.program import ComposeProgram
from deployctl.paths import Path as HomePath
from deployctl.ports.compose import ComposeRequest
from tests import support
from tests.compose.stand_ins import stand_ins
from tests.e2e.cli import PATIENCE, PROGRAM, Cli, Ran, home_of_a_person

PROJECTS = Path(__file__).with_name("projects")
NAMES = sorted(path.name for path in PROJECTS.iterdir())
SHELL = {"TRACKER_TOKEN": "canary-of-the-shell"}
LATER = {"edge": {".env": "REQUIRED_KEY=here\n", "nowhere.env": "FROM_FILE=yes\n"}}  # what is missing at first
ALLOWED = {"monitor": 'keys = ["pid", "sysctls"]\ndocker_socket = true'}
NOT_OURS = frozenset({"HOSTNAME", "PATH", "HOME"})


@dataclass
class Project:
    """A copy of one project with free ports, and the home that it is imported into."""

    name: str
    folder: Path
    cli: Cli
    engine_url: str
    report: dict[str, Any] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)  # tags of stand-in images

    def run(self, *words: str) -> Ran:
        """Type a command in the project's folder."""
        environ = {name: text for name, text in os.environ.items() if not name.startswith(("DEPLOYCTL_", "COMPOSE_"))}
        done = subprocess.run([str(PROGRAM), "--home", str(self.cli.home), "-o", "json", *words], cwd=self.folder,
                              env={**environ, **SHELL}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        return Ran(words, done.returncode, done.stdout, done.stderr)

    def imported(self) -> dict[str, Any]:
        ran = self.run("import", "compose")
        assert ran.code == 0, ran
        self.report = ran.told
        return self.report

    def model(self) -> Mapping[str, Any]:
        found = ComposeProgram({**os.environ, **SHELL}).read(ComposeRequest(HomePath(str(self.folder))))
        return found.told

    @property
    def app(self) -> str:
        return str(self.report["app"])

    @property
    def version(self) -> str:
        return str(self.report["next"].split()[-1])

    def spec(self) -> dict[str, Any]:
        return tomllib.loads((self.cli.home / f"config/{self.app}.toml").read_text())

    def components(self) -> dict[str, dict[str, Any]]:
        spec = self.spec()
        return {spec.get("name", "web"): spec, **spec.get("components", {})}

    def load(self, version: str | None = None) -> None:
        jobs = frozenset(one["name"] for one in self.report["services"] if one["kind"] == "job")
        parts = self.components()
        ports = {one["name"]: parts[one["component"]].get("port") for one in self.report["services"] if one["component"]}
        self.load_named(ports, jobs=jobs, version=version)

    def load_named(self, ports: Mapping[str, int | None], *, jobs: frozenset[str] = frozenset(),
                   version: str | None = None) -> None:
        images = stand_ins(self.model(), jobs, ports, version)
        self.loaded |= {tag for image in images for tag in image.tags}
        load_images(self.engine_url, *images)

    def container(self, component: str) -> dict[str, Any]:
        """Return what Docker says of the newest container of that component."""
        found = [one for one in self.cli.containers() if one["Labels"].get("deployctl.component") == component]
        return dict(self.cli.api.inspect_container(max(found, key=lambda one: one["Created"])["Id"]))

    def ask(self, path: str) -> dict[str, Any]:
        spec = self.spec()
        with closing(HTTPConnection("127.0.0.1", self.door, timeout=10)) as connection:
            connection.request("GET", path, headers={"Host": (_first(spec.get("host")) or "localhost")})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return dict(json.loads(answer.read()))

    @property
    def door(self) -> int:
        listen = self.spec().get("listen")
        if listen is None:
            written = tomllib.loads((self.cli.home / "config/server.toml").read_text())
            listen = written["proxy"]["http"]
        return int(str(listen).rpartition(":")[2])


def _first(value: Any) -> str | None:
    return str(value[0] if isinstance(value, list) else value) if value else None


@pytest.fixture(params=NAMES)
def project(request: pytest.FixtureRequest, tmp_path: Path, engine_url: str) -> Iterator[Project]:
    folder = tmp_path / request.param
    shutil.copytree(PROJECTS / request.param, folder)
    file = folder / "compose.yaml"
    file.write_text(re.sub(r"\b181[0-9]{2}\b", lambda _: str(support.free_port()), file.read_text()))
    with home_of_a_person(engine_url) as cli:
        made = Project(request.param, folder, cli, engine_url)
        try:
            yield made
        finally:
            made.run("app", "remove", request.param, "--volumes", "--yes")
            for tag in made.loaded:
                with suppress(APIError):
                    cli.api.remove_image(tag, force=True)


def test_a_project_is_imported_runs_and_is_rolled_back(project: Project) -> None:
    before = project.run("import", "compose", "--check")
    assert before.code in {0, 10}, before
    assert not (project.cli.home / f"config/{project.name}.toml").exists()
    for name, text in LATER.get(project.name, {}).items():
        (project.folder / name).write_text(text)
    if allowed := ALLOWED.get(project.name):
        with (project.cli.home / "config/server.toml").open("a") as file:
            file.write(f"\n[allow.{project.name}]\n{allowed}\n")
    report = project.imported()
    assert {one["name"] for one in report["services"]} == {*project.model()["services"]}
    project.load()
    report = project.imported()  # with the images here, what they declare is known
    up = project.run("upgrade", project.app, project.version, "--yes")
    assert up.code == 0, up
    for service in report["services"]:
        if service["component"]:
            require_as_compose_has_it(project, service["name"], service["component"])
    require_siblings(project)
    require_rollback_under_load(project)


def require_as_compose_has_it(project: Project, service: str, component: str) -> None:
    """Compare the container with Compose's model of the service."""
    raw, seen = project.model()["services"][service], project.container(component)
    env = dict(one.split("=", 1) for one in seen["Config"]["Env"])
    wanted = {name: text for name, text in (raw.get("environment") or {}).items() if text is not None}
    assert {name: env.get(name) for name in wanted} == wanted
    if raw.get("command") is not None:
        assert seen["Args"][-len(raw["command"]):] == raw["command"] or seen["Config"]["Cmd"] == raw["command"]
    targets = {mount["Destination"] for mount in seen["Mounts"]} | set(seen["HostConfig"].get("Tmpfs") or ())
    for mount in raw.get("volumes") or ():
        assert any(target == mount["target"] or target.startswith(mount["target"]) for target in targets), mount
    for one in raw.get("secrets") or ():
        assert any(target in {"/run/secrets", one["target"], "/run/secrets/" + one["target"]} for target in targets), targets
    for name, limit in (raw.get("ulimits") or {}).items():
        told = {one["Name"]: (one["Soft"], one["Hard"]) for one in seen["HostConfig"]["Ulimits"]}
        assert told[name] == ((limit, limit) if isinstance(limit, int) else (limit["soft"], limit["hard"]))


def require_siblings(project: Project) -> None:
    """What clients reach finds every sibling that has a port by the name that the project knows it by."""
    parts = project.components()
    for one in project.report["services"]:
        port = parts[one["component"]].get("port") if one["component"] else None
        if port and one["kind"] != "job":
            assert project.ask(f"/reach/{one['name']}:{port}")["reached"], one["name"]
    if project.name == "edge":  # by its link, and by the container's name where a sibling asks for it
        assert project.ask("/reach/db:6379")["reached"]


def require_rollback_under_load(project: Project) -> None:
    project.load("v-next")
    host = _first(project.spec().get("host"))
    url = f"http://127.0.0.1:{project.door}/"
    with Visitors(url, 50, host=host) if host else Visitors(url, 50) as visitors:
        ran = project.run("upgrade", project.app, "v-next", "--yes")
        assert ran.code == 0, ran
        assert project.ask("/")["version"] == "v-next"
        ran = project.run("rollback", project.app, "--yes")
        assert ran.code == 0, ran
        assert project.ask("/")["version"] == project.version
    assert visitors.count.lost == 0
    assert visitors.count.ok > 10
