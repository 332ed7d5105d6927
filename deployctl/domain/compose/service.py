"""A service as Compose's model has it, and the part of the app file that it becomes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.domain.compose.gaps import GapCode, ImportGap
from deployctl.domain.host.server import NOTHING
from deployctl.domain.images.component import ComponentKind
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.model import DeclaredImage, MountedPath
    from deployctl.domain.host.server import Allowance

_IMAGE = re.compile(r"(?P<name>[^@]+?)(?::(?P<tag>[^:/@]+))?(?:@(?P<digest>.+))?$")


@dataclass(frozen=True, slots=True)
class Service:
    """`raw`: its object in Compose's JSON."""

    name: str
    raw: Mapping[str, Any]
    project: str

    @property
    def key(self) -> str:
        return f"services.{self.name}"

    @property
    def reference(self) -> str:
        """Return the image that Compose would run: of a build without a name the one that Compose gives it."""
        return self.raw.get("image") or f"{self.project}-{self.name}"

    @property
    def image(self) -> str:
        """Return its name without tag and digest."""
        return self._match()["name"]

    @property
    def tag(self) -> str | None:
        return self._match()["tag"]

    @property
    def digest(self) -> str | None:
        return self._match()["digest"]

    @property
    def follows(self) -> str:
        """Return what to write as its tag where it has none: a build has the version's."""
        return "v1" if self.is_built else "latest"

    @property
    def is_built(self) -> bool:
        """Return whether nobody can pull its image."""
        return "build" in self.raw and not self.raw.get("image")

    def _match(self) -> re.Match[str]:
        found = _IMAGE.match(self.reference)
        if found is None:
            raise Invalid(f"{self.key}.image is empty. Nothing was written.", remedy=["docker compose config"])
        return found

    @property
    def program(self) -> str:
        """Return the last part of the image's name, in lower case: postgres, traefik."""
        return self.image.rpartition("/")[2].lower()

    @property
    def env(self) -> Mapping[str, str | None]:
        found: Mapping[str, str | None] = self.raw.get("environment") or {}
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.raw.get("labels") or {}
        return found

    @property
    def ports(self) -> Sequence[Mapping[str, Any]]:
        return self.raw.get("ports") or ()

    @property
    def needs(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.raw.get("depends_on") or {}
        return found

    @property
    def restarts(self) -> str | None:
        """Return the restart policy by name: no, always, on-failure, unless-stopped; None if nothing is said."""
        condition = ((self.raw.get("deploy") or {}).get("restart_policy") or {}).get("condition")
        told = {"none": "no", "any": "always"}.get(condition, condition) if condition else self.raw.get("restart")
        return str(told).partition(":")[0] if told else None

    def texts(self) -> Iterator[str]:
        """Yield what it may name its siblings in: variables and words."""
        yield from (text for text in self.env.values() if text)
        yield from map(str, self.labels.values())
        yield from (str(word) for key in ("entrypoint", "command") for word in self.raw.get(key) or ())


@dataclass(slots=True)
class Part:
    """What a service becomes: a component, or nothing."""

    service: Service
    name: str  # of the component
    kind: ComponentKind | None = None  # None: it is left out
    why: str = ""  # the reason for the kind
    port: int | None = None  # inside the container
    table: dict[str, Any] = field(default_factory=dict)  # keys of its component, in the order a person would write them
    gaps: list[ImportGap] = field(default_factory=list)

    def miss(self, code: GapCode, key: str, why: str, *remedy: str, blocks: bool = False) -> None:
        """Add a gap, once."""
        gap = ImportGap(code, f"{self.service.key}.{key}" if key else self.service.key, why, remedy, blocks)
        if gap not in self.gaps:
            self.gaps.append(gap)

    @property
    def runs(self) -> bool:
        return not any(one.blocks for one in self.gaps)

    @property
    def is_backing(self) -> bool:
        return self.kind is ComponentKind.BACKING

    @property
    def is_job(self) -> bool:
        return self.kind is ComponentKind.JOB


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of this server: paths that the project mounts, images that are here, and what config/server.toml allows."""

    paths: Mapping[str, MountedPath] = field(default_factory=dict)
    images: Mapping[str, DeclaredImage] = field(default_factory=dict)
    allowed: Allowance = NOTHING
    secrets: frozenset[str] = frozenset()  # that have a value, in the project or here
    volumes: frozenset[str] = frozenset()  # Docker volumes that are taken over with their data
    keeps_folders: bool = False  # folders with data stay where they are

    def image_of(self, service: Service) -> DeclaredImage | None:
        """Return its image if it is here."""
        return self.images.get(service.reference) or self.images.get(f"{service.reference}:{service.follows}")
