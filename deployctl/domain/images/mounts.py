"""What a container has of outside its image: volumes of the app, existing volumes, and paths of this server.

A named volume belongs to its app, never to a release: every release that mounts it sees the same data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Bundle

ONE_VERSION_AT_A_TIME = frozenset({"exclusive", "backing"})  # kinds of components; a job has ended when the next one runs


class MountKind(StrEnum):
    VOLUME = "volume"  # of the app: created with its first release, and kept
    EXTERNAL = "external"  # a Docker volume that someone else created
    BIND = "bind"  # a file or folder of this server


@dataclass(frozen=True, slots=True)
class Mount:
    """One place inside a container. `source` is the app's name of a volume, Docker's of an external one, or a path."""

    kind: MountKind
    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False  # a fresh volume is not filled from the image
    driver: str = ""  # of a volume; empty: Docker's own

    def __str__(self) -> str:
        """Return it in Compose's short form."""
        options = [word for word, told in (("ro", self.read_only), ("nocopy", self.no_copy)) if told]
        return ":".join([self.source, self.target, *([",".join(options)] if options else [])])

    @property
    def fills(self) -> bool:
        """Return whether a fresh volume gets what the image has at that place."""
        return self.kind is MountKind.VOLUME and not self.no_copy


def read_mounts(raw: Iterable[Mapping[str, Any]]) -> tuple[Mount, ...]:
    """Return what a release spec's text has of them: keys with their default are left out there."""
    return tuple([Mount(**{**one, "kind": MountKind(one["kind"])}) for one in raw])


# -- who uses a volume ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class AppVolume:
    """A volume of an app, and by which component's image it is filled when it is created: its first one that writes to
    it, else that reads it."""

    name: str
    driver: str
    owner: Component | None  # None: it begins empty
    target: str  # where its owner has it


def volumes_of(components: Sequence[Component]) -> tuple[AppVolume, ...]:
    """Return the app's volumes that these components mount, each once, in the order of their appearance."""
    found: dict[str, AppVolume] = {}
    writers_first = sorted(_uses(components), key=lambda use: use[1].read_only)
    for one, mount in writers_first:
        known = found.get(mount.source)
        if known is None or (known.owner is None and mount.fills):
            found[mount.source] = AppVolume(mount.source, mount.driver, one if mount.fills else None, mount.target)
    return tuple(found[name] for name in dict.fromkeys(mount.source for _, mount in _uses(components)))


def _uses(components: Iterable[Component]) -> Iterator[tuple[Component, Mount]]:
    for one in components:
        yield from ((one, mount) for mount in one.bundle.mounts if mount.kind is MountKind.VOLUME)


def external_volumes(components: Iterable[Component]) -> tuple[str, ...]:
    """Return the names of the existing volumes that these components mount."""
    found = (mount.source for one in components for mount in one.bundle.mounts if mount.kind is MountKind.EXTERNAL)
    return tuple(dict.fromkeys(found))


# -- two versions at once ---------------------------------------------------------------------------------------------
def may_meet_itself(kind: str, *, worker: bool, overlap: bool) -> bool:
    """Return whether two versions of such a component may run at the same time: then each volume that it writes to has to
    be one that both may write to at once (`shared = true`)."""
    return kind not in {*ONE_VERSION_AT_A_TIME, "job"} and (overlap or not worker)


# -- an image's own volumes -------------------------------------------------------------------------------------------
def with_image_volumes(component: Component, declared: Iterable[str]) -> tuple[Mount, ...]:
    """Return the component's mounts, with a named volume for each VOLUME of its image where only one version runs at a
    time: an anonymous one would be lost with the container. Of others, each container gets its own, as Docker does."""
    mounts, covered = component.bundle.mounts, targets(component.bundle)
    if component.kind not in ONE_VERSION_AT_A_TIME:
        return mounts
    more = (Mount(MountKind.VOLUME, image_volume_name(component.name, path), path) for path in sorted(declared)
            if path not in covered)
    return (*mounts, *more)


def image_volume_name(component: str, path: str) -> str:
    """Return the app's name for the volume of that path; the dot keeps it apart from names that files can have."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.strip("/"))
    same = f"/{plain.replace('-', '/')}" == path
    return f"{component}.{plain}" + ("" if same else f".{sha256(path.encode()).hexdigest()[:6]}")


def targets(bundle: Bundle) -> frozenset[str]:
    """Return the places inside that do not come from the image."""
    return frozenset(mount.target for mount in bundle.mounts)


# -- config files ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of the person's that a release has at `target`. Its bytes are kept with the release, so that a rollback brings
    back the very same ones, whatever became of `source` since."""

    target: str
    source: str  # below config/
    mode: int = 0o444
    user: str = ""  # numbers, uid or uid:gid; empty: the user who runs deployctl
    sha256: str = ""  # of mode, owner and bytes; empty until an upgrade has read it

    def __str__(self) -> str:
        owner = f", owner {self.user}" if self.user else ""
        return f"{self.source}, {self.sha256[:12] or 'not read'}, mode {self.mode:04o}{owner}"

    @property
    def owner(self) -> tuple[int, int]:
        """Return uid and gid; -1 stays as it is."""
        uid, _, gid = self.user.partition(":")
        return int(uid or -1), int(gid or uid or -1)


def file_hash(file: ConfigFile, content: bytes) -> str:
    """Return 64 hex characters that two files share only if a container could not tell them apart."""
    return sha256(f"{file.mode:o} {file.user}\n".encode() + content).hexdigest()


def read_files(raw: Iterable[Mapping[str, Any]]) -> tuple[ConfigFile, ...]:
    """Return what a release spec's text has of them."""
    return tuple([ConfigFile(**one) for one in raw])


def needed_files(components: Iterable[Component]) -> tuple[ConfigFile, ...]:
    """Return the kept files that these components have."""
    return tuple(file for one in components for file in one.bundle.files)
