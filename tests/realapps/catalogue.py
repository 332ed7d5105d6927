"""The applications: which packages each build is made of, how it is run, and where it tells its own version.

datasette is an ASGI server over a SQLite file that lies in the image. httpbin is a WSGI app below gunicorn.
Each also has a build that really is broken, as one gets it by building the same version again on a later day.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deployctl.demo.image_tar import Layer, file_layer
from deployctl.demo.python_layer import PYTHON
from tests.realapps.wheels import Pins

Keys = Mapping[str, Any]
Own = tuple[str | int, ...]  # the version, and what else of its bundle an app tells
Ask = Callable[[str], Any]  # path → the JSON that the app gives

_PYTHON = (PYTHON, "-s", "-m")


@dataclass(frozen=True)
class Build:
    """One image. `own`: what the app says of itself; `keys`: what its app file says beyond the common."""

    version: str
    own: Own
    packages: tuple[Pins, ...]
    keys: Keys


@dataclass(frozen=True)
class Broken:
    """A build that never gets healthy. `says` is in the message, `evidence` in what the ledger keeps."""

    build: Build
    says: tuple[str, ...]
    evidence: str


@dataclass(frozen=True)
class RealApp:
    name: str
    command: tuple[str, ...]  # the image's
    health: str
    page: str  # what visitors ask for
    own: Callable[[Ask], Own]
    first: Build
    second: Build
    broken: Broken
    data: Callable[[], Layer] | None = None

    @property
    def builds(self) -> tuple[Build, ...]:
        return self.first, self.second, self.broken.build


# -- datasette ------------------------------------------------------------------------------------------------------
ROWS = 100
_DATASETTE = (
    "aiofiles==25.1.0", "anyio==4.11.0", "asgi-csrf==0.11", "asgiref==3.10.0", "certifi==2025.10.5", "click==8.3.0",
    "click-default-group==1.2.4", "flexcache==0.3", "flexparser==0.4", "h11==0.16.0", "httpcore==1.0.9",
    "httpx==0.28.1", "hupper==1.12.1", "idna==3.11", "itsdangerous==2.2.0", "janus==2.0.0", "jinja2==3.1.6",
    "markupsafe==3.0.3", "mergedeep==1.3.4", "platformdirs==4.5.0", "pluggy==1.6.0", "python-multipart==0.0.20",
    "pyyaml==6.0.3", "sniffio==1.3.1", "typing-extensions==4.15.0", "uvicorn==0.38.0",
)  # fmt: skip


def _datasette(*words: str) -> tuple[str, ...]:
    return (*_PYTHON, "datasette", "serve", "/data/shop.db", "--host=0.0.0.0", "--port=8080", *words)


def _datasette_0_64(version: str, *, setuptools: str) -> Build:
    packages = (_DATASETTE, (f"setuptools=={setuptools}",), ("datasette==0.64.8", "pint==0.25"))
    keys = {"command": _datasette("--setting", "max_returned_rows", "640"), "resources": {"memory": "192m"}}
    return Build(version, ("0.64.8", 640), packages, keys)


def _shop_database() -> Layer:
    with TemporaryDirectory() as folder:
        path = Path(folder, "shop.db")
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("create table items (id integer primary key, name text not null)")
            db.executemany("insert into items (name) values (?)", [(f"item {n}",) for n in range(ROWS)])
        return file_layer({"/data/shop.db": path.read_bytes()})


DATASETTE = RealApp(
    name="datasette",
    command=_datasette(),
    health="/-/versions.json",
    page="/shop/items.json?_shape=array&_size=5",
    own=lambda ask: (ask("/-/versions.json")["datasette"]["version"], ask("/-/settings.json")["max_returned_rows"]),
    first=_datasette_0_64("0.64.8", setuptools="80.9.0"),
    second=Build("0.65.2", ("0.65.2", 652), (_DATASETTE, ("datasette==0.65.2",)), {
        "command": _datasette("--setting", "max_returned_rows", "652"), "resources": {"memory": "256m"}}),
    # setuptools 82 and later are without pkg_resources, and this datasette asks for any setuptools
    broken=Broken(_datasette_0_64("0.64.8-built-again", setuptools="82.0.0"),
                  says=("exited with code 1", "No module named 'pkg_resources'"), evidence="datasette/app.py"),
    data=_shop_database,
)  # fmt: skip


# -- httpbin --------------------------------------------------------------------------------------------------------
_HTTPBIN = (
    "attrs==25.4.0", "brotlicffi==1.2.0.0", "cffi==2.0.0", "click==8.3.0", "decorator==5.2.1", "flasgger==0.9.5",
    "gunicorn==23.0.0", "itsdangerous==2.2.0", "jinja2==3.1.6", "jsonschema==4.25.1",
    "jsonschema-specifications==2025.9.1", "markupsafe==3.0.3", "mistune==3.1.4", "packaging==25.0", "pycparser==2.23",
    "pyyaml==6.0.3", "referencing==0.37.0", "rpds-py==0.27.1", "six==1.17.0", "typing-extensions==4.15.0",
)  # fmt: skip
_FLASK_2 = ("flask==2.2.5", "werkzeug==2.3.8")
_FLASK_3 = ("blinker==1.9.0", "flask==3.1.2", "werkzeug==3.1.3")


def _gunicorn(threads: int) -> Keys:
    return {"env": {"GUNICORN_CMD_ARGS": f"--threads {threads} --keep-alive 5"}}


HTTPBIN = RealApp(
    name="httpbin",
    command=(*_PYTHON, "gunicorn", "--bind=0.0.0.0:8080", "httpbin:app"),
    health="/status/200",
    page="/get?from=visitors",
    own=lambda ask: (ask("/spec.json")["info"]["version"],),
    first=Build("0.10.2", ("0.10.2",), (_HTTPBIN, _FLASK_2, ("httpbin==0.10.2",)), _gunicorn(4)),
    second=Build("0.10.4", ("0.10.4",), (_HTTPBIN, _FLASK_2, ("httpbin==0.10.4",)), _gunicorn(6)),
    # Flask 3.1 satisfies what httpbin asks for; the newest flasgger that comes as a wheel wants Flask's former Markup
    broken=Broken(Build("0.10.2-flask-3.1", ("0.10.2",), (_HTTPBIN, _FLASK_3, ("httpbin==0.10.2",)), _gunicorn(4)),
                  says=("exited with code 3", "cannot import name 'Markup' from 'flask'"),
                  evidence="Worker failed to boot"),
)  # fmt: skip

APPS = (DATASETTE, HTTPBIN)
