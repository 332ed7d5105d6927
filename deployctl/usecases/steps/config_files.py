"""What a candidate has outside its images: config files, read once before anything is changed, and what this server has to
allow or to be able to do."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.dataclass import replace
from deployctl.domain.images.mounts import ConfigFile, MountKind, external_volumes, file_hash, needed_files
from deployctl.errors import Invalid, NotPermitted, Refused
from deployctl.execution.mounts import require_external

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import Component
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import EngineInfo, Services

Contents = dict[ConfigFile, bytes]
READ_BY_ALL = 0o004


def with_files(components: Sequence[Component], engine: EngineInfo, s: Services) -> tuple[tuple[Component, ...], Contents]:
    """Return the components with the hashes of their config files, and what is in these. Raises NotFound, Invalid, or
    NotPermitted: a container could not read them."""
    if not needed_files(components):
        return tuple(components), {}
    _require_readable(needed_files(components), engine)
    files = s.files()
    contents = {source: files.read(source) for source in dict.fromkeys(one.source for one in needed_files(components))}

    def known(file: ConfigFile) -> ConfigFile:
        return replace(file, sha256=file_hash(file, contents[file.source]))

    found = tuple(replace(one, bundle=replace(one.bundle, files=tuple(map(known, one.bundle.files)))) for one in components)
    return found, {file: contents[file.source] for file in needed_files(found)}


def require_enforceable(components: Sequence[Component], app: AppName, engine: EngineInfo, s: Services) -> None:
    """Raise NotPermitted or NotFound for volumes that the app may not mount, Invalid for what the engine accepts and would
    silently not do."""
    external = external_volumes(components)
    there = {one.name: one for one in s.engine.volumes()} if external else {}
    for name in external:
        require_external(name, app, there.get(name), s)
    for name in sorted({mount.source for one in components if one.is_exclusive for mount in one.bundle.mounts
                        if mount.kind in {MountKind.EXTERNAL, MountKind.BIND} and not mount.read_only}):
        _require_unused(name, app, s)
    if any(mount.kind is MountKind.BIND for one in components for mount in one.bundle.mounts) and not engine.local:
        raise Invalid("paths can only be mounted with an engine on this server. Nothing was changed.", code="engine_elsewhere",
                      remedy=["use a volume"])
    for option in {text for one in components if one.bundle.keys for text in one.bundle.keys.security_opt}:
        word = option.partition("=")[0]
        if (needed := {"apparmor": "apparmor", "label": "selinux"}.get(word)) and needed not in engine.security:
            raise Invalid(f"security_opt {option} would have no effect: this engine has no {needed}. Nothing was changed.",
                          code="not_enforceable", remedy=["remove it from security_opt"])


def _require_unused(name: str, app: AppName, s: Services) -> None:
    """Raise Refused if a container that is not deployctl's writes to what only one version of the app may write to."""
    if users := s.foreign().users_of(name):
        raise Refused(f"{users[0].name}, which deployctl did not start, uses {name}, and {app} must be the only one. Nothing "
                      "was changed.", code="volume_in_use", remedy=[f"docker stop {one.name}" for one in users])


def _require_readable(files: Sequence[ConfigFile], engine: EngineInfo) -> None:
    if not engine.local:
        raise Invalid("[files] needs an engine on this server: a container has a config file as a mount. Nothing was changed.",
                      remedy=["put the file into the image"], code="engine_elsewhere")
    closed = [file for file in files if not file.mode & READ_BY_ALL]
    if closed and ("userns" in engine.security or engine.rootless):  # their users have other numbers on this server
        raise NotPermitted(f"containers could not read {closed[0].target}: they are other users of this server here. "
                           "Nothing was changed.", code="config_file_closed",
                           remedy=[f'give it mode = "0444" in [files], without user: {closed[0].source}'])
