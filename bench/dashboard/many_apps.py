"""How long pages take when there are many apps with many versions each, over HTTP through the real web server."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.table import Row
from deployctl.domain.host.access import Role, given
from deployctl.domain.inputs.names import AppName, Version
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.change.upgrade import upgrade
from tests.unit.web_wire import served_site
from tests.unit.web_world import Site
from tests.unit.world import runnable

VERSIONS = 10
APART = 0.25  # seconds between two looks: some meet a kept reading, some have it taken anew


def measure_pages(*, apps: int, looks: int) -> list[Row]:
    with _many(apps) as site:
        secret = create_token("bench", given(Role.VIEWER, []), site.w.s).secret
        middle = f"/apps/app-{apps // 2}"
        cold = [_look(site, secret, path) for path in ("/", middle)]
        home = [_look(site, secret, "/") for _ in range(looks)]
        one = [_look(site, secret, middle) for _ in range(looks)]
    size = f"{apps} apps × {VERSIONS} versions"
    return [
        Row(f"list of apps, {size}", "ms", home, "median < 150", "median", 150),
        Row(f"page of one app, {size}", "ms", one, "median < 150", "median", 150),
        Row("the two when nothing was read before", "ms", cold),
    ]


@contextmanager
def site_of(apps: int) -> Iterator[dict[str, Any]]:
    """Yield where the pages of so many apps are answered and the secret of a token that may look, as JSON has them."""
    with _many(apps) as site:
        secret = create_token("bench", given(Role.VIEWER, []), site.w.s).secret
        yield {"address": site.web_state.place.listen, "secret": secret}


@contextmanager
def _many(apps: int) -> Iterator[Site]:
    """Yield a site whose ledger has so many apps, each with an active, a warm and eight older versions."""
    with tempfile.TemporaryDirectory() as folder, served_site(Path(folder)) as site:
        w = site.w
        w.files.clear()
        for number in range(apps):
            name = AppName(f"app-{number}")
            w.add_file(name)
            w.engine.images.add(f"acme/{name}:v{VERSIONS}", image=runnable(f"acme/{name}:v{VERSIONS}"))
            for version in range(1, VERSIONS + 1):
                upgrade(name, Version(f"v{version}"), w.s)
        yield site


def _look(site: Site, secret: str, path: str) -> float:
    time.sleep(APART)
    with closing(HTTPConnection(*site.web_state.place.listen, timeout=60)) as connection:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        body = answer.read()
        ms = 1000 * (time.perf_counter() - began)
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}: {body[:300]!r}")
    return ms
