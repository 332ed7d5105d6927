"""What happens to an app in these tests, told once: upgrade, rollback and undo while visitors come all the time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deployctl.demo.visitor_count import Count
from deployctl.demo.visitors import Visitors
from tests.e2e.cli import Cli
from tests.realapps.catalogue import Build, Own, RealApp
from tests.realapps.images import Shelf

KEPT, FRESH = 25.0, 15.0  # visitors a second: on kept connections, and on one each
ASKED = 10  # times, of an app that shall tell what it is


@dataclass(frozen=True)
class Moment:
    """How it was after one command: what the app said itself, and what Docker and the ledger had of its container."""

    told: dict[str, Any]
    active: str | None
    own: set[Own]
    container: str
    made_of: dict[str, Any]
    bundle: dict[str, Any]


@dataclass
class Story:
    cli: Cli
    app: RealApp
    shelf: Shelf
    moments: dict[str, Moment] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)  # of the last visit, each kind apart

    def play(self) -> None:
        first, second = self.app.first, self.app.second
        self.upgrade("upgrade to the first", first)
        with self.visitors():
            self.upgrade("upgrade to the second", second)
            self.type("rollback", "rollback", self.app.name)
            self.type("undo", "undo", self.app.name)
            self.remove_container(first)
            self.type("rollback to a removed container", "rollback", self.app.name, "-y")

    @contextmanager
    def visitors(self) -> Iterator[None]:
        """Let visitors of both kinds come to a page that is worth something; they are counted when they leave."""
        url = self.cli.url(self.app.name).rstrip("/") + self.app.page
        kept, fresh = Visitors(url, KEPT), Visitors(url, FRESH, keep_alive=False)
        with kept, fresh:
            yield
        self.counts = [kept.count, fresh.count]

    def upgrade(self, moment: str, build: Build) -> None:
        self.write(build)
        self.type(moment, "upgrade", self.app.name, build.version)

    def write(self, build: Build) -> None:
        """Write the app file as it goes with that build."""
        health = {"path": self.app.health, "deadline": "30s"}
        self.cli.write(self.app.name, image=self.shelf.name(self.app), health=health, **build.keys)

    def type(self, moment: str, *words: str) -> None:
        """Run the command and remember how it was then."""
        told = self.cli.do(*words)
        active = self.cli.active(self.app.name)
        inspected, shown = self.cli.inspect(self.app.name, str(active)), self.cli.do("show", self.app.name, str(active))
        own = {self.own() for _ in range(ASKED)}
        self.moments[moment] = Moment(told, active, own, inspected["Id"], made_of(inspected), shown["bundle"])

    def own(self, port: int | None = None, **headers: str) -> Own:
        """Return what the app says of itself, at its public address or at another port."""

        def ask(path: str) -> Any:
            answer = self.cli.get(self.app.name, path, port=port, **headers)
            assert answer.status == 200, answer
            return json.loads(answer.body)

        return self.app.own(ask)

    def remove_container(self, build: Build) -> None:
        """Do what a careless person does: remove the standby behind our back."""
        container = self.cli.inspect(self.app.name, build.version)["Id"]
        self.cli.api.remove_container(container, force=True)


def made_of(inspected: dict[str, Any]) -> dict[str, Any]:
    """Return everything of a container that its release decides; what Docker adds by itself is left out."""
    config, limits = inspected["Config"], inspected["HostConfig"]
    networks = inspected["NetworkSettings"]["Networks"]
    return {
        "image": inspected["Image"],
        **{key: config[key] for key in ("Env", "Cmd", "Entrypoint", "User", "WorkingDir", "Hostname", "ExposedPorts")},
        **{key: limits[key] for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "PortBindings", "LogConfig")},
        "addresses": {name: network["IPAMConfig"] for name, network in networks.items()},
    }
