"""Serve the pages of a home with many apps of ten versions each, whose Docker and HAProxy are in memory: run by either build.

Words: the folder of the build, how many apps. It prints where the pages are and the secret of a token that may look, as JSON,
and serves until its standard input is closed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployctl.domain.host.access import Role, given
from deployctl.domain.inputs.names import AppName, Version
from deployctl.testing.fake_images import FakeImages
from deployctl.testing.fake_prober import FakeProber
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.change.upgrade import upgrade
from tests.unit.web_wire import served_site
from tests.unit.web_world import Site
from tests.unit.world import World, runnable

VERSIONS = 10
FIRST_PORT = 8_000


@contextmanager
def many(apps: int) -> Iterator[tuple[Site, str]]:
    """Yield a site whose ledger has so many apps, each with an active, a warm and eight older versions, and a secret."""
    with tempfile.TemporaryDirectory() as folder, served_site(Path(folder)) as site:
        _fill(site.w, apps)
        yield site, create_token("bench", given(Role.VIEWER, []), site.w.s).secret


def _fill(w: World, apps: int) -> None:
    """Upgrade them all, each as if it were the only one: what an engine in memory spends on each of the others, and on
    comparing their files, is not what is measured here."""
    w.ledger.db.raw.execute("pragma synchronous = off")  # nothing of it has to outlast a power cut
    w.prober = FakeProber()
    engine: Any = w.engine
    files: dict[AppName, dict[str, Any]] = {}
    containers: dict[str, Any] = {}
    images: dict[str, Any] = {}
    for number in range(apps):
        w.files.clear()
        engine.images, engine._containers = FakeImages(), {}
        name = AppName(f"app-{number}")
        w.add_file(name, listen=FIRST_PORT + number)
        engine.images.add(f"acme/{name}:v{VERSIONS}", image=runnable(f"acme/{name}:v{VERSIONS}"))
        for version in range(1, VERSIONS + 1):
            upgrade(name, Version(f"v{version}"), w.s)
        files |= w.files
        containers |= engine._containers
        images |= engine.images._here
    w.files.update(files)
    engine._containers, engine.images._here = containers, images
    w.ledger.db.raw.execute("pragma synchronous = normal")


def listens(site: Any) -> tuple[str, int]:
    """Return where the site answers. 0.1.0 called what its pages share a desk."""
    address: tuple[str, int] = (site.web_state if hasattr(site, "web_state") else site.desk).place.listen
    return address


if __name__ == "__main__":
    with many(int(sys.argv[2])) as (made, secret):
        print(json.dumps({"address": listens(made), "secret": secret}), flush=True)
        sys.stdin.read()
