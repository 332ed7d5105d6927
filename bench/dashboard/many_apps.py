"""How long pages take when there are many apps with many versions each, over HTTP through the real web server."""

from __future__ import annotations

import time
from contextlib import closing
from http.client import HTTPConnection

from bench.dashboard.many_site import VERSIONS, many
from bench.table import Row
from tests.unit.web_world import Site

APART = 0.25  # seconds between two requests: some get a cached reading, some a fresh one


def measure_pages(*, apps: int, looks: int) -> list[Row]:
    with many(apps) as (site, secret):
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
