"""Write a small app file from what an image says of itself. Asks nothing of the network, starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployctl.domain.image_ref import parse_image
from deployctl.domain.names import AppName
from deployctl.errors import DeployctlError, Invalid, Refused
from deployctl.ports import Engine, Guard, Image
from deployctl.usecases.results import Done

FIRST_LISTEN = 8000
LAST_LISTEN = 8999


@dataclass(frozen=True, slots=True)
class InitWish:
    image: str
    port: int | None = None  # inside the container; None: from EXPOSE
    health: str | None = None  # path; None: HEALTHCHECK where there is one, else /
    listen: str | None = None  # None: the first free port from 8000 on, unless hosts are given
    host: str | None = None
    force: bool = False


def init(app: AppName, wish: InitWish, *, folder: Path, engine: Engine, guard: Guard, taken: frozenset[int],
         write_app: Callable[..., str], server_text: str) -> Done:
    """Write config/<app>.toml (and config/server.toml where there is none).

    `taken` are ports that other apps ask for. Raises Refused when the file is there already and Invalid when
    the image does not say its port and nobody else does.
    """
    path = folder / f"{app}.toml"
    if path.exists() and not wish.force:
        raise Refused(f"{path} is there already; nothing was written", remedy=[f"edit {path}", "or give --force"])
    reference = parse_image(wish.image)
    image = _look(wish.image, engine)
    port = wish.port or _exposed(image, wish)
    listen = wish.listen if wish.listen or wish.host else str(_free_port(guard, taken))
    text = write_app(image=reference.name, port=port, listen=listen, host=wish.host, health=wish.health,
                     healthcheck=bool(image and image.healthcheck))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    server = folder / "server.toml"
    if not server.exists():
        server.write_text(server_text)
    version = reference.tag or "VERSION"
    return Done("Init", app, f"{path} is written", (text, f"Next: deployctl upgrade {app} {version}"),
                extra={"path": str(path)})


def _look(reference: str, engine: Engine) -> Image | None:
    try:
        return engine.find_image(reference)
    except DeployctlError:
        return None  # no engine: what the person gave must do


def _exposed(image: Image | None, wish: InitWish) -> int:
    if image and len(image.ports) == 1:
        return image.ports[0]
    why = "exposes " + ", ".join(map(str, image.ports)) if image and image.ports else "does not say its port"
    raise Invalid(f"the image {wish.image} {why if image else 'is not on this server'}: which port does the app listen on?",
                  remedy=["give --port 8080"])


def _free_port(guard: Guard, taken: frozenset[int]) -> int:
    for port in range(FIRST_LISTEN, LAST_LISTEN + 1):
        if port not in taken and not guard.port_taken("127.0.0.1", port):
            return port
    raise Refused(f"no port is free in {FIRST_LISTEN}–{LAST_LISTEN}", remedy=["give --listen ADDRESS:PORT or --host NAME"])
