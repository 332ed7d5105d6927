"""The demo's application as an image: the running Python below, webapp.py above, nothing downloaded."""

from __future__ import annotations

from pathlib import Path

from deployctl.demo import webapp
from deployctl.demo.image_tar import TarImage, file_layer
from deployctl.demo.python_layer import ENTRYPOINT, python_layer


def webapp_image(tag: str, *, version: str, color: str, fault: str = "", cache: Path) -> TarImage:
    """Return the image of one version. `fault` "1/12" adds a defect; `cache` stores the layer below."""
    env = {"VERSION": version, "COLOR": color, "FAULT": fault}
    return TarImage(
        layers=(python_layer(cache), file_layer({"/app/webapp.py": Path(webapp.__file__).read_bytes()})),
        tags=(tag,),
        entrypoint=ENTRYPOINT,
        command=("/app/webapp.py",),
        env={name: value for name, value in env.items() if value},
        ports=(8080,),
        working_dir="/app",
    )
