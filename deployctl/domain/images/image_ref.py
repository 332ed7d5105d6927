"""Docker's reference grammar, strictly: what is not a plain name never reaches an engine or a registry.

Whether a container was created from the image that its release names is decided here, too, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.grammar import Grammar, match, refused, shown
from deployctl.errors import Invalid, NotPermitted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle

DOCKER_HUB = "docker.io"

HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REGISTRY = Grammar(
    "a registry",
    rf"(?=.{{1,253}}\Z){HOST_LABEL}(?:\.{HOST_LABEL})*(?::(?P<port>[1-9][0-9]{{0,4}}))?",
    "A registry is a host name or an IPv4 address, with a port if needed: registry.example.com:5000.",
)
PATH_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
# What Docker recognises as a registry: it contains a dot or a port, or is `localhost`.
REGISTRY_PART = r"localhost(?::[0-9]+)?|[a-z0-9-]*\.[a-z0-9.-]*(?::[0-9]+)?|[a-z0-9-]+:[0-9]+"
IMAGE = Grammar(
    "an image reference",
    rf"(?=.{{1,456}}\Z)(?P<name>(?:(?P<first>{REGISTRY_PART})/)?{PATH_PART}(?:/{PATH_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    "An image reference is [registry/]name[:tag][@sha256:64 hex digits], in lower case except for the tag.",
)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A parsed reference. Names on Docker Hub are stored in full and written short, as Docker does."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Return the name as Docker shows it: `nginx`, `acme/shop`, `registry.example.com/acme/shop`."""
        if self.registry == DOCKER_HUB:
            return self.repository.removeprefix("library/")
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.name + tag + (f"@{self.digest}" if self.digest else "")


def parse_image(text: object, *, field: str = "image") -> ImageRef:
    """Return the parts of a reference that has a name; a bare id is rejected."""
    found = match(text, IMAGE, field, guess=_without_scheme)
    registry, repository = _split(found["name"], found["first"], field)
    if len(found["name"]) > 255:
        raise refused(field, text, "has a name of more than 255 characters", IMAGE.sentence)
    if re.fullmatch(r"library/(?:sha256|[0-9a-f]{64})", repository):
        raise refused(field, text, "is an image id, not a name", IMAGE.sentence)
    return ImageRef(registry, repository, found["tag"], found["digest"])


def _without_scheme(text: str) -> str:
    return re.sub(r"^[a-z]+://", "", text.strip().lower())


def _split(name: str, first: str | None, field: str) -> tuple[str, str]:
    """Return registry and repository; a name without a registry is on Docker Hub."""
    if first is None:
        return DOCKER_HUB, as_on_hub(name)
    repository = name.removeprefix(f"{first}/")
    registry = parse_registry(first, field=field)
    if registry not in {DOCKER_HUB, f"index.{DOCKER_HUB}"}:
        return registry, repository
    return DOCKER_HUB, as_on_hub(repository)


def as_on_hub(name: str) -> str:
    """Return the repository that a name without a registry means: Docker Hub's official ones are written short."""
    return name if "/" in name else f"library/{name}"


def parse_registry(text: object, *, field: str = "registry") -> str:
    found = match(text, _REGISTRY, field, guess=_without_scheme)
    if found["port"] and int(found["port"]) > 65535:
        raise refused(field, text, "has a port above 65535", _REGISTRY.sentence)
    return found[0]


def allowed_registry(ref: ImageRef, app_images: Iterable[str], extra: Iterable[str]) -> bool:
    """Return whether the reference stays with Docker Hub, a registry of the app's own file, or a listed one."""
    return ref.registry in {DOCKER_HUB, *(parse_image(image).registry for image in app_images), *extra}


def require_allowed_registry(ref: ImageRef, app_images: Iterable[str], extra: Iterable[str]) -> None:
    """Raises before any connection: an image reference must not make this server connect to an address of the client's
    choice."""
    if not allowed_registry(ref, app_images, extra):
        raise Invalid(
            f"image {shown(str(ref))} is from a registry that this server does not allow.",
            remedy=[f'Allow it in config/server.toml: registries = ["{ref.registry}"]'],
            code="registry_not_allowed",
        )


def require_own_repository(ref: ImageRef, app_images: Iterable[str], app: str) -> None:
    """Raises unless the image is in a repository that the app's file names: a deployer of one app must not run another
    app's image with this one's variables. Tag and digest are free; `acme/shop` is `docker.io/acme/shop`."""
    if (ref.registry, ref.repository) not in {(own.registry, own.repository) for own in map(parse_image, app_images)}:
        raise NotPermitted(
            f"{app} may not run images of {shown(ref.name)}: config/{app}.toml does not list it. Nothing was changed.",
            remedy=[f'list it in config/{app}.toml: images = ["{ref.name}"]',
                    f"or on the server: deployctl upgrade {app} VERSION --image {ref}"],
            code="image_not_allowed")


def version_of(ref: ImageRef) -> str:
    """Return what people call the image: its tag, else the start of its digest."""
    return ref.tag or short_digest(ref.digest) or "latest"


# -- which image ---------------------------------------------------------------------------------------------------
def is_made_of(image: str, bundle: Bundle) -> bool:
    """Return whether a container with the image id `image`, as the engine reports it, runs that spec's image."""
    return image == bundle.digest


def short_digest(digest: str | None) -> str:
    """Return the 12 characters by which people tell image ids or digests apart; nothing for none."""
    return (digest or "").removeprefix("sha256:")[:12]
