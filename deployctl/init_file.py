"""What `init` writes: a small commented config/<app>.toml, filled with what the image itself tells. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deployctl.domain.names import AppName, ImageRef, parse_path
from deployctl.domain.release import Resources
from deployctl.errors import Invalid
from deployctl.ports import Image

USUAL_PORTS = (80, 3000, 5000, 8000, 8080)
_MEMORY = f"{Resources().memory // 2**20}m"


def find_port(image: Image) -> int | None:
    """Return the port that the image exposes; None when there is none, or a choice that a person must make."""
    usual = [port for port in image.ports if port in USUAL_PORTS]
    for candidates in (image.ports, usual):
        if len(candidates) == 1:
            return candidates[0]
    return None


def find_health_path(image: Image, *, port: int) -> str | None:
    """Return the path that the image's HEALTHCHECK asks on that port by HTTP; None when it does something else."""
    asked = re.search(
        r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\s\"'|;&<>)\\]*)?",
        " ".join(image.healthcheck or ()),
    )
    if asked is None or int(asked["port"] or 80) != port:
        return None
    try:
        return parse_path(asked["path"] or "/")
    except Invalid:
        return None


def app_file_text(
    app: AppName, ref: ImageRef, *, port: int, listen: int | None, host: str | None = None,
    health_path: str | None = None, healthcheck: bool = False,
) -> str:
    """Return the file's text. `healthcheck`: the image brings a check of its own, used when no path is known."""
    lines = [
        (f'image = "{ref.name}"', f"`deployctl upgrade {app} v2` runs …:v2"),
        (f"port = {port}", "inside the container"),
        *_address(listen, host),
        ("", ""),
        ("[health]", "also: interval, timeout, deadline, rise, fall, start_grace"),
        _probe(health_path, healthcheck=healthcheck),
        ("[resources]", "also: cpus, pids"),
        (f'memory = "{_MEMORY}"', "more is killed"),
        ("[env]", 'MODE = "shop"; text in quotes, no secrets'),
    ]
    return "".join(_lined_up(lines))


def _address(listen: int | None, host: str | None) -> list[tuple[str, str]]:
    by_name = [(f'host = "{host}"', "the name that visitors use")] if host else []
    if listen is None:
        return by_name
    how = f'the stable address: 127.0.0.1:{listen}; "0.0.0.0:{listen}" for the world'
    return [(f"listen = {listen}", how if host else f'{how}; or host = "{{name}}"'), *by_name]
