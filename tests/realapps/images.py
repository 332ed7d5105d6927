"""The builds of the catalogue as images in the engine, under names of one test run's own, and away again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from deployctl.demo.image_tar import TarImage
from deployctl.demo.load_image import load_images
from deployctl.demo.python_layer import python_layer
from tests import support
from tests.images import CACHE
from tests.realapps.catalogue import APPS, Build, RealApp
from tests.realapps.wheels import PACKAGES, host_layer, package_layers

Ids = dict[tuple[str, str], str]


class Shelf:
    """The images of this run: `name` is what an app file says, `ids` what the engine must then run."""

    def __init__(self, prefix: str, ids: Ids) -> None:
        self._prefix, self.ids = prefix, ids

    def name(self, app: RealApp) -> str:
        return f"{self._prefix}/{app.name}"


@contextmanager
def shelf(url: str) -> Iterator[Shelf]:
    """Put every build into the engine; with the block they go. Raises Unobtainable."""
    prefix = f"{support.IMAGES}real-{secrets.token_hex(4)}"
    images = _images(prefix)
    tags = [image.tags[0] for image in images.values()]
    try:
        ids = load_images(url, *images.values(), timeout=120)
        yield Shelf(prefix, dict(zip(images, ids, strict=True)))
    finally:
        with support.engine(url) as api:
            for tag in tags:
                support.remove_image(api, tag)


def _images(prefix: str) -> dict[tuple[str, str], TarImage]:
    builds = [(app, build) for app in APPS for build in app.builds]
    packages = package_layers((pins for _, build in builds for pins in build.packages), CACHE)
    below = (python_layer(CACHE), host_layer())

    def image(app: RealApp, build: Build) -> TarImage:
        data = (app.data(),) if app.data else ()
        return TarImage(
            layers=(*below, *(packages[pins] for pins in build.packages), *data),
            tags=(f"{prefix}/{app.name}:{build.version}",),
            command=app.command,
            env={"PYTHONPATH": PACKAGES, "PYTHONUNBUFFERED": "1"},
            ports=(8080,),
        )

    return {(app.name, build.version): image(app, build) for app, build in builds}
