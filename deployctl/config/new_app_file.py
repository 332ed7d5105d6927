"""What `init` writes: a small commented config/<app>.toml, filled in from the image's metadata. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.domain.images.healthcheck import asked_path
from deployctl.domain.images.release import Resources
from deployctl.domain.inputs.addresses import write_address
from deployctl.domain.inputs.quantities import write_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName, ImageRef
    from deployctl.ports import Image

USUAL_PORTS = (80, 3000, 5000, 8000, 8080)


def find_port(image: Image) -> int | None:
    """Return the port that the image exposes; None if there is none, or several to choose from."""
    usual = [port for port in image.ports if port in USUAL_PORTS]
    candidates = usual if len(image.ports) > 1 else image.ports
    return candidates[0] if len(candidates) == 1 else None


def find_health_path(image: Image, *, port: int) -> str | None:
    """Return the path that the image's HEALTHCHECK requests on that port over HTTP; None if it does something else."""
    return asked_path(image.healthcheck or (), port)


def app_file_text(
    app: AppName,
    ref: ImageRef,
    *,
    port: int,
    listen: tuple[str, int] | None,
    host: str | None = None,
    health_path: str | None = None,
    healthcheck: bool = False,
) -> str:
    """Return the text of config/<app>.toml, reached by `listen`, by `host`, or by both.

    `healthcheck`: the image has a check of its own, which is used if no path is known.
    """
    example = f"…/{ref.name.rpartition('/')[2]}:v2" if "/" in ref.name else f"{ref.name}:v2"
    lines = [
        (f'image = "{ref.name}"', f"`deployctl upgrade {app} v2` runs {example}"),
        (f"port = {port}", "inside the container"),
        *_reached_by(listen, host),
        ("[health]", "also: interval, timeout, deadline, rise, fall, start_grace"),
        _probe(health_path, healthcheck=healthcheck),
        ("[resources]", "also: cpus, pids"),
        (f'memory = "{write_size(Resources().memory)}"', "its limit"),
        ("[env]", 'variables, in quotes: MODE = "shop"'),
    ]
    return "".join(f"{text:<31} # {comment}\n" for text, comment in lines)


def _reached_by(listen: tuple[str, int] | None, host: str | None) -> Iterator[tuple[str, str]]:
    if listen and listen[0] == "127.0.0.1":
        port = listen[1]
        yield f"listen = {port}", f'the public address: 127.0.0.1:{port}; "0.0.0.0:{port}" for all interfaces'
    elif listen:
        yield f'listen = "{write_address(*listen)}"', "the public address; a port alone means 127.0.0.1"
    if host:
        yield f'host = "{host}"', "the host name that clients use"


def _probe(path: str | None, *, healthcheck: bool) -> tuple[str, str]:
    if path is None and healthcheck:
        return 'kind = "docker"', "the image's own HEALTHCHECK; also: http, tcp, exec"
    return f'path = "{path or "/"}"', "must return 200-399; also: status, body, host"
