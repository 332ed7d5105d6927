"""Write a small app file from an image's metadata. Pulls nothing unless asked, starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deployctl.config.new_app_file import app_file_text, find_health_path, find_port
from deployctl.config.new_server_file import SERVER_TEMPLATE
from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import parse_image
from deployctl.domain.inputs.addresses import overlap, parse_listen_text
from deployctl.domain.inputs.names import parse_host, parse_path
from deployctl.domain.inputs.quantities import parse_port
from deployctl.errors import DeployctlError, Invalid, Refused
from deployctl.usecases.results import Done
from deployctl.usecases.steps.find_image import find_news_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.config.settings import Settings
    from deployctl.domain.images.image_source import ImageNews
    from deployctl.domain.images.release import App
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Engine, Guard, Image

FIRST_LISTEN, LAST_LISTEN = 8000, 8999


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What the user specified; None: taken from the image, or the first free address."""

    image: str
    port: int | None = None  # inside the container
    health: str | None = None  # path
    listen: str | None = None
    host: str | None = None
    force: bool = False
    pull: Callable[[str], None] | None = None  # reports progress: the image may be pulled if it is not on this server


def init(app: AppName, options: InitOptions, settings: Settings, *, engine: Engine, guard: Guard,
         taken: frozenset[int], apps: Sequence[App] = (), check: Callable[[str], None] = lambda text: None) -> Done:
    """Write config/<app>.toml, and config/server.toml if there is none. `taken`: ports that other apps ask for; `apps`:
    those that are deployed; `check` raises if a file of that text conflicts with another one.

    Raises Refused if the file exists or its address is taken, Invalid if neither the image nor the user specifies a
    port. A file that would conflict with another app is never written.
    """
    path = settings.app_file(app)
    if path.exists() and not options.force:
        raise Refused(f"{path} already exists; nothing was written", remedy=[f"edit {path}", "or use --force"])
    _require_free(app, options, guard, apps)
    image = _look(options, engine)
    text = _text(app, options, image, guard, taken)
    check(text)
    settings.config_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if not settings.server_file.exists():
        settings.server_file.write_text(SERVER_TEMPLATE)
    version = parse_image(options.image).tag or "VERSION"
    return Done("Init", app, f"{path} was written", (text, f"Next: deployctl upgrade {app} {version}"),
                extra={"path": str(path)}, image=_news(options, image, engine))


def _require_free(app: AppName, options: InitOptions, guard: Guard, apps: Sequence[App]) -> None:
    """Raises Refused if the address or name that was asked for is taken."""
    listen = parse_listen_text(options.listen, field="--listen") if options.listen else None
    own = any(one.name == app and one.listen == listen for one in apps)
    for other in apps:
        shared = listen and other.listen and overlap(listen, other.listen)
        if other.name != app and (shared or options.host in other.hosts):
            raise _taken(options.listen if shared else options.host, f"belongs to the app {other.name}")
    if listen and not guard.has_address(listen[0]):
        raise _taken(options.listen, "is not an address of this server")
    if listen and not own and guard.port_taken(*listen):
        raise _taken(options.listen, "is taken by another program")


def _taken(what: str | None, why: str) -> Refused:
    return Refused(f"{what} {why}; nothing was written", code="address_taken",
                   remedy=["omit --listen to use a free port", "deployctl app list"])


def _text(app: AppName, options: InitOptions, image: Image | None, guard: Guard, taken: frozenset[int]) -> str:
    reference = parse_image(options.image)
    port = parse_port(options.port, field="--port") if options.port is not None else _exposed(image, options)
    health = parse_path(options.health) if options.health else image and find_health_path(image, port=port)
    listen: tuple[str, int] | None = parse_listen_text(options.listen, field="--listen") if options.listen else None
    if listen is None and options.host is None:
        listen = ("127.0.0.1", _free_port(guard, taken))
    return app_file_text(app, reference, port=port, listen=listen, host=parse_host(options.host) if options.host else None,
                         health_path=health or None, healthcheck=bool(image and image.healthcheck))


def needs_image(options: InitOptions, engine: Engine) -> bool:
    """Return whether the image's metadata is needed for what was not specified, and it is not on this server."""
    return options.port is None and engine.find_image(options.image) is None


def _look(options: InitOptions, engine: Engine) -> Image | None:
    try:
        found = engine.find_image(options.image)
    except DeployctlError:
        return None  # no engine: what the user gave must do
    return engine.pull_image(options.image, progress=options.pull) if found is None and options.pull else found


def _news(options: InitOptions, image: Image | None, engine: Engine) -> ImageNews | None:
    """Return that the tag now means an image other than the one that was read here."""
    try:
        return find_news_of(image, parse_image(options.image), engine) if image else None
    except DeployctlError:
        return None


def _exposed(image: Image | None, options: InitOptions) -> int:
    found = find_port(image) if image else None
    if found is not None:
        return found
    why = "is not on this server" if image is None else "does not declare which port it listens on"
    if image and image.ports:
        why = "exposes " + ", ".join(map(str, image.ports))
    pull = [f"docker pull {options.image}"] if image is None else []
    raise Invalid(f"the image {options.image} {why}", remedy=["use --port 8080, the port inside the container", *pull])


def _free_port(guard: Guard, taken: frozenset[int]) -> int:
    for port in range(FIRST_LISTEN, LAST_LISTEN + 1):
        if port not in taken and not guard.port_taken("127.0.0.1", port):
            return port
    raise Refused(f"no free port in {FIRST_LISTEN}–{LAST_LISTEN}", remedy=["use --listen ADDRESS:PORT or --host NAME"])
