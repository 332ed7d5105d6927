"""What a service mounts: volumes, config files, folders of this server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.compose.model import MountedPath, PathKind
from deployctl.domain.compose.naming import fitting
from deployctl.domain.host.allowance import covers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.service import Part, Service, Surroundings

LARGEST = 2**20  # bytes of a folder that becomes config files
MOST_FILES = 50
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_KERNELS = ("/proc", "/sys", "/dev")
_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")  # a missing path that ends like this was meant to be a file


@dataclass(slots=True)
class Storage:
    """What all parts together need."""

    app: str
    volumes: dict[str, dict[str, Any]]  # tables [volumes.NAME], by name
    files: dict[str, bytes]  # contents by path below config/

    def keep(self, part: Part, place: str, content: bytes) -> str:
        """Return where below config/ the content will be; the same content has one place."""
        name = re.sub(r"[^A-Za-z0-9_.@+-]+", "-", place.strip("/").rpartition("/")[2]) or "file"
        for path in (f"{self.app}/{name}", *(f"{self.app}/{part.name}-{n}-{name}" for n in range(1, 1000))):
            if self.files.get(path, content) == content:
                self.files[path] = content
                return path
        raise AssertionError(place)


def mounts_of(service: Service, services: Mapping[str, Service]) -> Iterator[Mapping[str, Any]]:
    """Yield its mounts, with those of the services in volumes_from, which it mounts at the same places."""
    own = [*(service.raw.get("volumes") or ())]
    places = {one["target"] for one in own}
    yield from own
    for word in service.raw.get("volumes_from") or ():
        name, _, mode = str(word).partition(":")
        for one in (services[name].raw.get("volumes") or ()) if name in services else ():
            if one["target"] not in places:
                yield {**one, "read_only": True} if mode == "ro" else one


def written_volumes(service: Service, services: Mapping[str, Service]) -> set[str]:
    """Return the volumes of the project that it may write to."""
    return {one["source"] for one in mounts_of(service, services)
            if one["type"] == "volume" and one.get("source") and not one.get("read_only")}


def set_mounts(part: Part, services: Mapping[str, Service], project: Mapping[str, Any], storage: Storage,
               around: Surroundings) -> None:
    """Write its keys `mounts`, `files` and `tmpfs`."""
    mounts: list[str] = []
    files: dict[str, Any] = {}
    memory = [str(one) for one in part.service.raw.get("tmpfs") or ()]
    for one in mounts_of(part.service, services):
        if one["type"] == "volume":
            mounts.append(_volume(part, one, project.get("volumes") or {}, storage, around))
        elif one["type"] == "bind":
            _bind(part, one, mounts, files, storage, around)
        elif one["type"] == "tmpfs":
            size = (one.get("tmpfs") or {}).get("size")
            memory.append(f"{one['target']}:size={size}" if size else one["target"])
        else:
            part.miss(GapCode.KEY, "volumes", f"a mount of type {one['type']} at {one['target']} has no equal", blocks=True)
    _configs(part, project, files, storage)
    for key, value in (("mounts", mounts), ("tmpfs", memory), ("files", files)):
        if value:
            part.table[key] = value


def _volume(part: Part, one: Mapping[str, Any], declared: Mapping[str, Any], storage: Storage, around: Surroundings) -> str:
    source = one.get("source")
    name = source if source else f"{part.name}-{one['target'].strip('/').rpartition('/')[2] or 'data'}"
    name = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9_-]+", "_", name)).strip("-_") or fitting(name)
    table = storage.volumes.setdefault(name, {})
    _say_of_volume(part, source, declared.get(source) or {} if source else {}, table, around)
    options = [word for word, on in (("ro", one.get("read_only")), ("nocopy", (one.get("volume") or {}).get("nocopy"))) if on]
    if (one.get("volume") or {}).get("subpath"):
        part.miss(GapCode.VOLUME_OPTIONS, "volumes.subpath", f"a part of the volume {name} cannot be mounted alone",
                  blocks=True)
    return ":".join([name, one["target"], *([",".join(options)] if options else [])])


def _say_of_volume(part: Part, source: str | None, told: Mapping[str, Any], table: dict[str, Any],
                   around: Surroundings) -> None:
    if told.get("external") or told.get("name") in around.volumes:
        table["external"] = told["name"]
        return
    driver, options = told.get("driver", "local"), told.get("driver_opts")
    if options:
        part.miss(GapCode.VOLUME_OPTIONS, "volumes", f"the volume {source} has driver options, and deployctl sets none",
                  f"docker volume create … {told['name']}", f'external = "{told["name"]}" in [volumes.{source}]', blocks=True)
        table["external"] = told["name"]
    elif driver != "local":
        table["driver"] = driver


def is_folder(source: str, found: MountedPath) -> bool:
    """Return whether it is a folder, or is missing and was meant to be one."""
    return found.kind is PathKind.FOLDER or (found.kind is PathKind.MISSING and not _FILE.search(source))


# -- paths of this server ----------------------------------------------------------------------------------------------
def _bind(part: Part, one: Mapping[str, Any], mounts: list[str], files: dict[str, Any], storage: Storage,
          around: Surroundings) -> None:
    source, target = one["source"], one["target"]
    if options := sorted(key for key, value in (one.get("bind") or {}).items() if value and key != "create_host_path"):
        part.miss(GapCode.KEY, "volumes.bind", f"{', '.join(options)} of {source} is left out")
    found = around.paths.get(source, MountedPath(PathKind.MISSING))
    read_only = bool(one.get("read_only"))
    if source in _SOCKETS:
        mounts.append(_as_it_is(one))
        part.miss(GapCode.DOCKER_SOCKET, "volumes", f"{source} makes it root on this server, read-only the same",
                  f"[allow.{storage.app}] in config/server.toml", "docker_socket = true",
                  blocks=not around.allowed.docker_socket)
    elif found.kind is PathKind.FILE and found.whole:
        files[target] = storage.keep(part, source, found.files[""])
        if not read_only:
            part.miss(GapCode.FILE_READ_ONLY, "volumes", f"{source} is copied for each release, and read-only inside")
    elif found.kind is PathKind.FOLDER and read_only and found.whole and 0 < len(found.files) <= MOST_FILES:
        for name, content in found.files.items():
            files[f"{target.rstrip('/')}/{name}"] = storage.keep(part, name, content)
    elif found.kind is PathKind.MISSING and _FILE.search(source):
        part.miss(GapCode.FILE_MISSING, "volumes", f"{source} does not exist", "create it, and import again", blocks=True)
    elif source.startswith(_KERNELS) or source == "/" or not is_folder(source, found) or (read_only and found.files):
        _as_bind(part, one, mounts, storage, around)
    else:
        _folder(part, one, found, mounts, storage, around)


def _folder(part: Part, one: Mapping[str, Any], found: MountedPath, mounts: list[str], storage: Storage,
            around: Surroundings) -> None:
    """Take a folder as it is where config/server.toml lists it, else as a volume."""
    source = one["source"]
    listed = covers(around.allowed.binds, source)
    if listed or (around.keeps_folders and found.kind is PathKind.FOLDER):
        _as_bind(part, one, mounts, storage, around)
        return
    name = re.sub(r"[^A-Za-z0-9]+", "-", source.rpartition("/")[2]).strip("-") or "data"
    name = name if name not in storage.volumes else f"{part.name}-{name}"
    storage.volumes.setdefault(name, {})
    mounts.append(":".join([name, one["target"], *(["ro"] if one.get("read_only") else [])]))
    as_bind = (f"or keep the folder: mounts = [{_as_it_is(one)!r}]".replace("'", '"'),
               f"with binds = [\"{source}\"] in [allow.{storage.app}] of config/server.toml")
    if found.kind is PathKind.FOLDER and (found.size or not found.whole):
        part.miss(GapCode.BIND_DATA, "volumes", f"the folder {source} becomes the volume {name}, which begins without its data",
                  *as_bind, blocks=True)
    else:
        part.miss(GapCode.BIND_VOLUME, "volumes", f"the folder {source}, which is empty, becomes the volume {name}", *as_bind)


def _as_bind(part: Part, one: Mapping[str, Any], mounts: list[str], storage: Storage, around: Surroundings) -> None:
    source = one["source"]
    mounts.append(_as_it_is(one))
    listed = covers(around.allowed.binds, source)
    if not listed:
        part.miss(GapCode.BIND_ALLOWED, "volumes", f"{source} is a path of this server, which config/server.toml has to list",
                  f"[allow.{storage.app}] in config/server.toml", f'binds = ["{source}"]', blocks=True)


def _as_it_is(one: Mapping[str, Any]) -> str:
    return ":".join([one["source"], one["target"], *(["ro"] if one.get("read_only") else [])])


# -- configs -----------------------------------------------------------------------------------------------------------
def _configs(part: Part, project: Mapping[str, Any], files: dict[str, Any], storage: Storage) -> None:
    for one in part.service.raw.get("configs") or ():
        told = (project.get("configs") or {}).get(one["source"]) or {}
        target = one.get("target") or f"/{one['source']}"
        content = told.get("content")
        if content is None:
            part.miss(GapCode.CONFIG_MISSING, f"configs.{one['source']}", "its content is not in the project",
                      f"put it into a file below config/{storage.app}/ and name it in [files]", blocks=True)
            continue
        source = storage.keep(part, target, content.encode())
        user = one.get("uid")
        more = {"mode": str(one["mode"])[-4:].rjust(4, "0")} if one.get("mode") else {}
        owner = {"user": f"{user}:{one['gid']}" if one.get("gid") else str(user)} if user else {}
        files[target] = {"source": source, **more, **owner} if more or owner else source
