"""What an app's file says of volumes and paths of this server, in Compose's short form: `uploads:/app/uploads:ro`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Annotated, Any

from deployctl.config.fields import ConfigTable, by
from deployctl.domain.images.component import WEB, ComponentKind
from deployctl.domain.images.mounts import ConfigFile, Mount, MountKind, may_meet_itself
from deployctl.domain.inputs.grammar import Grammar, match, refused, shown
from deployctl.domain.inputs.names import parse_directory
from deployctl.domain.inputs.quantities import parse_flag

_VOLUME = Grammar(
    "a volume's name",
    r"[A-Za-z0-9](?:[A-Za-z0-9_]|-(?!-)){0,62}",
    "A volume's name has letters, digits, _ and single hyphens, at most 63; it starts with a letter or a digit.",
)
_DOCKERS = Grammar(
    "a Docker volume",
    r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}",
    "A volume has letters, digits, _, . and -, as `docker volume ls` shows it.",
)
_DRIVER = Grammar("a volume driver", r"[a-z0-9][a-z0-9_./:-]{0,127}", "A driver is named as `docker volume ls` shows it.")
_SOURCE = Grammar(
    "a file below config/",
    r"(?!.*(?:^|/)\.\.?(?:/|\Z))[A-Za-z0-9_.@+-]{1,128}(?:/[A-Za-z0-9_.@+-]{1,128}){0,8}",
    'A config file is named as it lies below config/: "shop/puma.rb".',
)
_MODE = Grammar("a file mode", r"0?[0-7]{3}", 'A mode has three octal digits: "0444".')
_OWNER = Grammar("an owner", r"(?:0|[1-9][0-9]{0,8})(?::(?:0|[1-9][0-9]{0,8}))?",
                 'An owner is a number or two, because the server does not know the names in the image: "1000" or "1000:1000".')
_FORM = 'Write "uploads:/app/uploads" or "/srv/media:/media:ro".'
_OPTIONS = frozenset({"ro", "rw", "nocopy"})
_NO_EFFECT = frozenset({"cached", "delegated", "consistent"})
_KERNELS = ("/proc", "/sys")  # nothing can be mounted there


class VolumeTable(ConfigTable):
    """One table [volumes.NAME]."""

    shared: Annotated[bool, by(parse_flag)] = False
    external: Annotated[str | None, by(lambda value, field: match(value, _DOCKERS, field)[0])] = None
    driver: Annotated[str, by(lambda value, field: match(value, _DRIVER, field)[0])] = ""


def parse_volume(value: object, *, field: str = "volume") -> str:
    return match(value, _VOLUME, field)[0]


def parse_mounts(value: object, *, field: str) -> tuple[str, ...]:
    """Return the mounts as they are written; each is valid, and no two have the same target."""
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", 'Write a list: ["uploads:/app/uploads"].')
    found = [_split(one, field) for one in value]
    double = [target for number, (_, target, _) in enumerate(found) if target in [other[1] for other in found[:number]]]
    if double:
        raise refused(field, double[0], "is the target of two mounts", "Remove one of them.")
    return tuple(str(one) for one in value)


def mounts_of(written: Sequence[str], volumes: Mapping[str, VolumeTable]) -> tuple[Mount, ...]:
    """Return the mounts of a component, with what the tables [volumes.NAME] say of them."""
    return tuple(_mount(*_split(one, "mounts"), volumes) for one in written)


def _mount(source: str, target: str, options: frozenset[str], volumes: Mapping[str, VolumeTable]) -> Mount:
    read_only, no_copy = "ro" in options, "nocopy" in options
    if source.startswith("/"):
        return Mount(MountKind.BIND, source, target, read_only)
    spec = volumes.get(source, VolumeTable())
    if spec.external is not None:
        return Mount(MountKind.EXTERNAL, spec.external, target, read_only)
    return Mount(MountKind.VOLUME, source, target, read_only, no_copy, spec.driver)


def _split(value: object, field: str) -> tuple[str, str, frozenset[str]]:
    """Return source, target and options of one mount. Raises Invalid."""
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) not in {2, 3}:
        why = "has no source: it would be lost with its container" if len(parts) == 1 else "is not a mount"
        raise refused(field, value, why, _FORM)
    source, target, options = parts[0], parts[1], frozenset(parts[2].split(",")) if parts[2:] else frozenset[str]()
    if source[:1] in {".", "~"}:
        raise refused(field, value, "has a relative path", "Write the whole path, or use [files] for what is below config/.")
    if source.startswith("/"):
        parse_directory(source, field=field)
    else:
        parse_volume(source, field=field)
    return source, parse_target(target, field=field), _options(options, value, field, bind=source.startswith("/"))


def parse_target(value: object, *, field: str) -> str:
    """Return the place inside a container where something is mounted."""
    target = parse_directory(value, field=field)
    if target == "/" or any(target == place or target.startswith(f"{place}/") for place in _KERNELS):
        raise refused(field, target, "is no place to mount anything", "Choose a folder of the app's.")
    return target


def _options(options: frozenset[str], value: object, field: str, *, bind: bool) -> frozenset[str]:
    if wrong := sorted(options - _OPTIONS):
        why = "has no effect on Linux" if wrong[0] in _NO_EFFECT else "is not an option of a mount"
        raise refused(field, wrong[0], why, "Options: ro, rw, nocopy.")
    if options >= {"ro", "rw"}:
        raise refused(field, value, "is both ro and rw", "Remove one of them.")
    if bind and "nocopy" in options:
        raise refused(field, value, "is a path of this server: nothing is copied there anyway", "Remove nocopy.")
    return options


# -- config files -----------------------------------------------------------------------------------------------------
def parse_file(value: object, *, field: str) -> tuple[str, int, str]:
    """Return source, mode and owner of a config file: "shop/puma.rb", or a table that says more."""
    if not isinstance(value, Mapping):
        return _source(value, field), 0o444, ""
    if unknown := sorted(map(str, value.keys() - {"source", "mode", "user"})):
        raise refused(field, unknown[0], "is not a key of a config file", "Keys: source, mode, user.")
    if "source" not in value:
        raise refused(field, dict(value), "has no source", 'Write { source = "shop/puma.rb" }.')
    mode = int(match(value.get("mode", "0444"), _MODE, field)[0], 8)
    return _source(value["source"], field), mode, match(value["user"], _OWNER, field)[0] if "user" in value else ""


def _source(value: object, field: str) -> str:
    source = match(value, _SOURCE, field)[0]
    if "/" not in source and source.endswith(".toml"):
        raise refused(field, source, "is a file of deployctl's own", "Put the app's files into a folder: shop/puma.rb.")
    return source


def files_of(written: Mapping[str, tuple[str, int, str]]) -> tuple[ConfigFile, ...]:
    """Return the config files of a component, not yet read."""
    return tuple(ConfigFile(target, *told) for target, told in sorted(written.items()))


# -- combinations of keys ---------------------------------------------------------------------------------------------
def target_contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each config file at a place where the same component mounts something else."""
    components = raw.get("components", {})
    tables = {"": raw, **({f"components.{name}.": one for name, one in components.items()} if isinstance(components, Mapping)
                          else {})}
    for key, table in tables.items():
        if not isinstance(table, Mapping):
            continue
        mounted = {str(one).split(":")[1] for one in _listed(table.get("mounts")) if ":" in str(one)}
        for target in sorted(mounted & {*map(str, table.get("files", ()))}) if isinstance(table.get("files"), Mapping) else ():
            yield f"{key}files", f"has {shown(target)}, where mounts has something else.", "Remove one of them."


def _written(mounts: object) -> list[str]:
    """Return the volumes that those mounts write to."""
    parts = [str(mount).partition(":") for mount in _listed(mounts)]
    return [volume for volume, _, rest in parts if volume[:1] != "/" and "ro" not in rest.partition(":")[2].split(",")]


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def volume_contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each volume that has a table and that no component mounts, and tables that contradict themselves."""
    tables, components = raw.get("volumes", {}), raw.get("components", {})
    if not isinstance(tables, Mapping) or not isinstance(components, Mapping):
        return
    lists = [raw.get("mounts"), *(one.get("mounts") for one in components.values() if isinstance(one, Mapping))]
    used = {str(one).partition(":")[0] for written in lists for one in _listed(written)}
    for name, table in tables.items():
        if name not in used:
            yield f"volumes.{name}", "is mounted by no component.", f'Write mounts = ["{name}:/path"], or remove the table.'
        if isinstance(table, Mapping) and "external" in table and "driver" in table:
            yield f"volumes.{name}.driver", "is set when a volume is created, and an external one exists already.", (
                f"Remove volumes.{name}.driver.")


def sharing_contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each volume that two versions of a component, or two components, would write to at once without the file's
    saying so."""
    components = raw.get("components", {})
    tables = raw.get("volumes", {})
    shared = {name for name, one in tables.items() if isinstance(one, Mapping) and one.get("shared") is True} if isinstance(
        tables, Mapping) else set()
    main = raw.get("name", WEB)
    yield from _unshared("mounts", "above the first table", str(main), {"port": None, **raw}, raw.get("mounts"), shared)
    writers = dict.fromkeys(_written(raw.get("mounts")), str(main))
    for name, one in components.items() if isinstance(components, Mapping) else ():
        if isinstance(one, Mapping):
            mounts = one.get("mounts", None if "image" in one else raw.get("mounts"))
            yield from _unshared(f"components.{name}.mounts", f"in [components.{name}]", str(name), one, mounts, shared)
            for volume in _written(mounts) if one.get("kind") != ComponentKind.JOB else ():
                if (other := writers.setdefault(volume, str(name))) != name and volume not in shared:
                    yield (f"components.{name}.mounts", f"has the volume {shown(volume)}, which {other} writes to, too.",
                           f'Write shared = true in [volumes.{volume}] if they can do that, or mount it with "ro".')


def _unshared(key: str, where: str, name: str, table: Mapping[str, Any], mounts: object,
              shared: Set[str]) -> Iterator[tuple[str, str, str]]:
    kind, overlap = str(table.get("kind", ComponentKind.SIDE_BY_SIDE)), table.get("overlap") is not False
    several = table.get("replicas") is not None
    if not (several or may_meet_itself(kind, worker="port" not in table, overlap=overlap)):
        return
    who = f"the replicas of {name} would write to at once." if several else (
        f"two versions of {name} would write to at once: both run during an upgrade.")
    for volume in _written(mounts):
        if volume not in shared:
            yield (key, f"has the volume {shown(volume)}, which {who}",
                   f"Write shared = true in [volumes.{volume}] if the app can do that, or "
                   f'kind = "exclusive" {where}, and only one version runs at a time.')
