"""What a container is created with from outside its image, as the engine names it."""

from __future__ import annotations

from deployctl.domain.images.mounts import MountKind, needed_files
from deployctl.errors import NotFound
from deployctl.execution.labels import volume_name
from deployctl.ports import ContainerMount
from deployctl.ports.host_files import FileFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.mounts import ConfigFile, Mount
    from deployctl.domain.images.release import Bundle, Release
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def container_mounts(bundle: Bundle, app: AppName, s: Services) -> tuple[ContainerMount, ...]:
    kept = [ContainerMount(s.files().path(file), file.target, read_only=True) for file in bundle.files]
    return (*(_container_mount(one, app, s) for one in bundle.mounts), *kept)


def _container_mount(mount: Mount, app: AppName, s: Services) -> ContainerMount:
    source = volume_name(s.ledger.identity, app, mount.source) if mount.kind is MountKind.VOLUME else mount.source
    return ContainerMount(source, mount.target, mount.read_only, mount.no_copy)


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
