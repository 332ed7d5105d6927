"""What containers have of outside their images: volumes of the app, and copies of config files.

Volumes are created before the containers, filled from the image of the component that owns them, and never removed with a
release. A volume that releases have used and that is gone has taken data with it: nothing that runs by itself replaces it
by an empty one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from deployctl.domain.change.plan import PlanKind
from deployctl.domain.host.allowance import covers, crossing, missing_keys
from deployctl.domain.images.mounts import Mount, MountKind, external_volumes, needed_files, volumes_of
from deployctl.domain.inputs.names import AppName, owner_of
from deployctl.errors import EngineRefused, NotFound, NotPermitted
from deployctl.execution.containers import ensure_image, release_of
from deployctl.execution.labels import common_labels, volume_name
from deployctl.ports import ContainerMount, VolumeSpec
from deployctl.ports.host_files import FileFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deployctl.domain.change.plan import Step
    from deployctl.domain.host.server import Allowance
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.mounts import AppVolume, ConfigFile
    from deployctl.domain.images.release import Bundle, Release
    from deployctl.execution.runner import Walk
    from deployctl.ports import Services, VolumeFacts

VOLUME_LABEL = "deployctl.volume"  # the app's name of it
MAY_BEGIN_EMPTY = frozenset({PlanKind.UPGRADE, PlanKind.START})  # a person asked for it, with the app's file


def ensure_volumes(walk: Walk, step: Step) -> str:
    """Create the volumes that the release mounts and that are missing. Raises NotFound for one that someone else has to
    create, or that had data."""
    s, release = walk.services, release_of(walk, step)
    there = {one.name: one for one in s.engine.volumes()}
    for name in external_volumes(release.components):
        require_external(name, release.app, there.get(name), s)
    made = [volume.name for volume in volumes_of(release.components) if _ensure(walk, release, volume, there)]
    return f"created {', '.join(made)}" if made else ""


def _ensure(walk: Walk, release: Release, volume: AppVolume, there: Mapping[str, VolumeFacts]) -> bool:
    """Return whether it was created. One that no container has yet may be what a killed process left unfilled."""
    s, name = walk.services, volume_name(walk.services.ledger.identity, release.app, volume.name)
    found = there.get(name)
    if found is None:
        _require_never_used(walk, release, volume)
        labels = {**common_labels(s, owner_of(release.app)), VOLUME_LABEL: volume.name}
        s.engine.ensure_volume(VolumeSpec(name, labels, volume.driver))
    elif not s.ledger.identity.owns(found.labels):
        raise EngineRefused(f"a volume {name} already exists and is not ours", remedy=[f"docker volume inspect {name}"])
    if volume.owner is not None:
        ensure_image(release, volume.owner.bundle, s)
        s.engine.fill_volume(name, volume.owner.bundle.digest, volume.target)
    return found is None


def _require_never_used(walk: Walk, release: Release, volume: AppVolume) -> None:
    """Raise NotFound if a release that passed its health check had it, unless a person asked for this release."""
    used = [one for one in walk.facts.releases.values() if one.proven_at and mounts_volume(one, volume.name)]
    if not used:
        return
    lost = f"the volume {volume.name} of {release.app} is gone, and the data in it"
    if walk.plan.kind not in MAY_BEGIN_EMPTY:
        raise NotFound(f"{lost}. Nothing was put in its place", code="volume_missing",
                       remedy=[f"restore it as {volume_name(walk.services.ledger.identity, release.app, volume.name)}",
                               f"deployctl upgrade {release.app} {release.version}   # begins with an empty one"])
    walk.warn(f"{lost}: an empty one was created")


def missing_volumes(release: Release, there: Collection[str], s: Services) -> tuple[str, ...]:
    """Return what the release mounts and the engine, which has the volumes `there`, has not."""
    home = s.ledger.identity
    own = [one.name for one in volumes_of(release.components) if volume_name(home, release.app, one.name) not in there]
    return (*own, *(name for name in external_volumes(release.components) if name not in there))


def mounts_volume(release: Release, name: str) -> bool:
    return any(mount.kind is MountKind.VOLUME and mount.source == name
               for one in release.components for mount in one.bundle.mounts)


def require_external(name: str, app: AppName, found: VolumeFacts | None, s: Services) -> None:
    """Raise unless that existing volume may be mounted: NotFound if it is missing, NotPermitted if it is an app's of a
    deployctl, or stands for a path of this server that the app may not have."""
    if found is None:
        raise NotFound(f"the volume {name}, which config/{app}.toml says exists, is not on this server. Nothing was changed.",
                       remedy=[f"docker volume create {name}"], code="volume_missing")
    if found.labels.get("deployctl.managed"):
        raise NotPermitted(f"the volume {name} belongs to an app of deployctl and cannot be mounted by its Docker name. "
                           "Nothing was changed.", remedy=[f"use a volume of {app}'s own"])
    if found.device:
        _require_path(Mount(MountKind.BIND, found.device, "/"), app, s.spec.allowance(app), s)


def find_volumes(app: AppName, s: Services) -> dict[str, str]:
    """Return the app's volumes on the engine: the app's names of them, and Docker's."""
    home = s.ledger.identity
    mine = (one for one in s.engine.volumes() if home.owns(one.labels) and one.labels.get("deployctl.app") == app)
    return dict(sorted((one.labels.get(VOLUME_LABEL, one.name), one.name) for one in mine))


def container_mounts(release: Release, bundle: Bundle, s: Services) -> tuple[ContainerMount, ...]:
    """Return what a container with that spec of the release mounts. Raises NotFound if a kept file is not what it was."""
    require_files(release, s)
    require_allowed([release.component(one.name) for one in release.components if one.bundle == bundle], release.app, s)
    kept = [ContainerMount(s.files().path(file), file.target, read_only=True) for file in bundle.files]
    return (*(_container_mount(one, release.app, s) for one in bundle.mounts), *kept)


def _container_mount(mount: Mount, app: AppName, s: Services) -> ContainerMount:
    source = volume_name(s.ledger.identity, app, mount.source) if mount.kind is MountKind.VOLUME else mount.source
    if mount.kind is MountKind.BIND:
        source = s.files().look(mount.source).real  # the engine follows links again at each start
    return ContainerMount(source, mount.target, mount.read_only, mount.no_copy)


# -- what config/server.toml has to allow -----------------------------------------------------------------------------
def require_allowed(components: Sequence[Component], app: AppName, s: Services) -> None:
    """Raise NotPermitted for keys and paths that [allow.APP] does not list, NotFound for a path that does not exist."""
    allowed = s.spec.allowance(app)
    if missing := list(missing_keys(components, allowed)):
        raise NotPermitted(f"{app} may not have {', '.join(missing)}: config/server.toml does not list "
                           f"{'them' if missing[1:] else 'it'} for it. Nothing was changed.", code="not_allowed",
                           remedy=[f"[allow.{app}]", f"keys = {json.dumps(sorted({*allowed.keys, *missing}))}"])
    binds = [(one, mount) for one in components for mount in one.bundle.mounts if mount.kind is MountKind.BIND]
    for one, mount in binds:
        _require_path(mount, app, allowed, s)
        others = [*_elsewhere(binds, (one, mount), s), *_of_kept(s)]
        real = s.files().look(mount.source).real
        if other := crossing(real, read_only=mount.read_only, others=others):
            raise NotPermitted(f"{mount.source} and {other} cannot both be mounted: one lies inside the other, and a container "
                               "that may write there could put a link to anywhere on this server. Nothing was changed.",
                               code="not_allowed", remedy=["mount only one of them, or the outer one read-only"])


def _require_path(mount: Mount, app: AppName, allowed: Allowance, s: Services) -> None:
    files, path = s.files(), mount.source
    found = files.look(path)
    if not found.exists:
        raise NotFound(f"the path {path} does not exist on this server. Nothing was changed.", code="path_missing",
                       remedy=[f"ls -ld {path}"])
    if found.home:
        raise NotPermitted(f"{path} has deployctl's own files, which no app can have. Nothing was changed.", code="not_allowed")
    if found.engine and not allowed.docker_socket:
        raise NotPermitted(f"{path} makes an app root on this server, read-only the same, and config/server.toml does not let "
                           f"{app} have it. Nothing was changed.", code="not_allowed",
                           remedy=[f"[allow.{app}]", "docker_socket = true"])
    real = found.real
    listed = [files.look(one).real for one in allowed.binds]
    if not found.engine and not covers(listed, real):
        leads = "" if real == path else f", which leads to {real}"
        raise NotPermitted(f"{app} may not mount {path}{leads}: config/server.toml does not list it. Nothing was changed.",
                           code="not_allowed", remedy=[f"[allow.{app}]", f"binds = {json.dumps([*allowed.binds, real])}"])
    if found.loose:
        raise NotPermitted(f"{path} cannot be mounted: {found.loose}, who could put a link to anywhere on this server in its "
                           "place. Nothing was changed.", code="not_allowed", remedy=[f"ls -ld {path}"])


def _elsewhere(binds: Sequence[tuple[Component, Mount]], but: tuple[Component, Mount],
               s: Services) -> Iterator[tuple[str, bool]]:
    yield from ((s.files().look(mount.source).real, mount.read_only) for one, mount in binds if (one, mount) != but)


def _of_kept(s: Services) -> Iterator[tuple[str, bool]]:
    """Yield the paths that containers of any app have, or can have again by a rollback."""
    for release in s.ledger.kept_releases():
        for one in release.components:
            yield from ((s.files().look(mount.source).real, mount.read_only) for mount in one.bundle.mounts
                        if mount.kind is MountKind.BIND)


# -- config files ---------------------------------------------------------------------------------------------------
def lost_files(release: Release, s: Services) -> list[tuple[ConfigFile, FileFault]]:
    """Return the config files of the release whose kept copies are not what it was deployed with, and why."""
    needed = needed_files(release.components)
    found = ((file, s.files().find_fault(file)) for file in needed)
    return [(file, fault) for file, fault in found if fault is not None]


def require_files(release: Release, s: Services) -> None:
    """Raise NotFound unless containers of the release would see the very files that it was deployed with."""
    for file, fault in lost_files(release, s):
        message = (f"{file.target} of {release.version} is {fault}: the kept copy of config/{file.source} "
                   f"({file.sha256[:12]}) is not what it was deployed with")
        remedy = [f"deployctl upgrade {release.app} {release.version}   # with config/{file.source} as it is now"]
        if fault is FileFault.MISSING:
            raise NotFound(message, remedy=remedy, code="config_file_missing")
        raise NotFound(message, remedy=remedy, code="config_file_changed")


def tidy_files(app: AppName, s: Services) -> None:
    """Remove the copies that no kept release needs any more."""
    s.files().tidy(app, lambda: {file.sha256 for one in s.ledger.kept_releases() for file in needed_files(one.components)})
