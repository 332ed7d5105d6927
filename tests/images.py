"""The catalogue of test images: `ensure_image("crash", "v2")` makes the engine hold `dctl-test/crash:v2`.

All share two layers, the running Python and one folder of files; an image is therefore a few hundred bytes of
config. The layers are kept in a folder under the system's temporary one, the images in the engine: a second run
makes nothing. `docker rmi $(docker images -q 'dctl-test/*')` removes them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deployctl.demo import webapp
from deployctl.demo.image_tar import Healthcheck, Layer, TarImage, file_layer, host_architecture
from deployctl.demo.load_image import load_images
from deployctl.demo.python_layer import ENTRYPOINT, python_layer
from tests import image_app

REPOSITORY = "dctl-test"
CACHE = Path(tempfile.gettempdir(), f"dctl-test-{os.getuid()}")
_PROGRAM = "/app/image_app.py"


@dataclass(frozen=True)
class Recipe:
    """How an image differs from plain `web`: 8080 exposed and served, root, no HEALTHCHECK."""

    behaviour: str = "web"
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    user: str = ""
    volumes: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ENTRYPOINT
    architecture: str = field(default_factory=host_architecture)


_ASK = Healthcheck((*ENTRYPOINT, _PROGRAM, "ask"))

RECIPES: dict[str, Recipe] = {
    # good ones
    "web": Recipe(),
    "telltale": Recipe("telltale", user="app"),  # prints its secrets; the user is one of /etc/passwd
    "graceful": Recipe("graceful"),  # finishes /slow on SIGTERM and refuses newcomers; web does, this name says so
    "slowstart": Recipe("slowstart", env={"START_SECONDS": "2"}),  # nobody listens before
    "volume": Recipe("volume", volumes=("/data",)),  # /facts tells how often it was started on that volume
    "nonroot": Recipe(user="10001"),
    "dockerhealth": Recipe(healthcheck=_ASK),
    "dockerlate": Recipe(healthcheck=Healthcheck((*ENTRYPOINT, _PROGRAM, "ask"), interval=600)),  # no result for ten minutes
    "laggy": Recipe("laggy", env={"LAG": "0.4"}),  # seconds, before every answer
    "needsenv": Recipe("needsenv"),  # good when DATABASE_URL is given, else a traceback and exit 1
    # never healthy
    "neverhealthy": Recipe("neverhealthy"),  # serves, but /healthz is 503
    "dockersick": Recipe("neverhealthy", healthcheck=_ASK),
    "redirect": Recipe("redirect"),  # /healthz leads to https
    "wrongport": Recipe(env={"PORT": "9090"}),  # and exposes 8080
    "loopback": Recipe(env={"HOST": "127.0.0.1"}),  # inside the container: nobody outside can reach it
    # healthy, and not for visitors: HAProxy hands none of it on
    "twice": Recipe("twice"),  # an answer with two Transfer-Encoding headers
    "mail": Recipe("mail"),
    "h2c": Recipe("h2c"),
    # do not start, or do not stay
    "exitone": Recipe("exitone"),  # a message, then exit 3
    "exitzero": Recipe("exitzero"),
    "badentry": Recipe(entrypoint=("/no/such/program",)),
    "wrongarch": Recipe(architecture="amd64" if host_architecture() == "arm64" else "arm64"),
    "crash": Recipe("crash"),  # exit 139, a quarter of a second after the first question about its health
    "memhog": Recipe("memhog"),  # process 1 grows until its limit kills it; by itself it stops at 1 GiB
    # unpleasant
    "flaky": Recipe("flaky"),  # every fifth answer is a 500
    "noterm": Recipe("noterm"),  # must be killed
    "spoof": Recipe(labels={"deployctl.managed": "1", "deployctl.app": "victim", "deployctl.release": "1"}),
}


def ensure_image(name: str, version: str = "v1", *, base_url: str | None = None) -> str:
    """Make the engine hold this image, and return its tag. Takes a few milliseconds when it does already."""
    return ensure_images((name, version), base_url=base_url)[0]


def ensure_images(*wanted: tuple[str, str], base_url: str | None = None) -> list[str]:
    """Do it for several (name, version) at once."""
    images = [image(name, version) for name, version in wanted]
    load_images(base_url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock", *images)
    return [image.tags[0] for image in images]


def image(name: str, version: str = "v1") -> TarImage:
    """Return the image that a recipe gives; no engine is asked."""
    recipe = RECIPES[name]
    return TarImage(
        layers=_layers(),
        tags=(f"{REPOSITORY}/{name}:{version}",),
        entrypoint=recipe.entrypoint,
        command=(_PROGRAM, recipe.behaviour),
        env={"VERSION": version, **recipe.env},
        ports=(8080,),
        labels=recipe.labels,
        healthcheck=recipe.healthcheck,
        user=recipe.user,
        volumes=recipe.volumes,
        architecture=recipe.architecture,
    )


@cache
def _layers() -> tuple[Layer, ...]:
    program = {
        "/app/deployctl/__init__.py": b"",
        "/app/deployctl/demo/__init__.py": b"",
        "/app/deployctl/demo/webapp.py": Path(webapp.__file__).read_bytes(),
        "/etc/passwd": b"root:x:0:0:root:/:\napp:x:4711:4712:app:/:\n",
        _PROGRAM: Path(image_app.__file__).read_bytes(),
    }
    return python_layer(CACHE), file_layer(program)
