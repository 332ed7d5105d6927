"""The differences between two versions: image, env, limits, command, health."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from deployctl.dataclass import asdict, replace
from deployctl.domain.images.capabilities import to_drop
from deployctl.domain.images.image_ref import short_digest
from deployctl.errors import NotFound
from deployctl.usecases.read_facts import observe, require_release
from deployctl.usecases.results import DiffLine, DiffView, Side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Bundle, Release
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import Services


def diff(app: AppName, before: Version, after: Version | None, s: Services, *, before_release: int | None = None,
         after_release: int | None = None) -> DiffView:
    """Return the differences from `before` to `after`, which is the active release if None. A number names one release
    of that version."""
    facts = observe(app, s, before, after, before_release, after_release)
    left = require_release(facts, before, before_release)
    if after is not None:
        right = require_release(facts, after, after_release)
    elif facts.app.active is not None and facts.app.active in facts.releases:
        right = facts.releases[facts.app.active]
    else:
        raise NotFound(f"{app} has no active release to compare {before} with",
                       remedy=[f"deployctl diff {app} {before} VERSION"])
    return DiffView(app, _side(left), _side(right), tuple(compare_releases(left, right)))


def _side(release: Release) -> Side:
    return Side(release.version, release.number)


def compare(before: Bundle, after: Bundle) -> list[DiffLine]:
    """Return one line for each difference; equal groups give none."""
    lines = []
    if (before.image, before.digest) != (after.image, after.digest):
        lines.append(DiffLine("image", "~", "image", f"{before.image} {short_digest(before.digest)}",
                              f"{after.image} {short_digest(after.digest)}"))
    lines += tables("env", dict(before.env), dict(after.env))
    for group, pick in _GROUPS.items():
        lines += tables(group, pick(before), pick(after))
    return lines


def compare_releases(before: Release, after: Release) -> list[DiffLine]:
    """Return the differences of what their containers are created from: the release specs, and capabilities not
    dropped."""
    main = [*compare(before.bundle, after.bundle), *tables("capabilities", _unasked(before), _unasked(after))]
    old, new = before.components[0], after.components[0]
    return [*main, *tables("replicas", _number(old), _number(new)), *tables("ports", dict(old.ports), dict(new.ports)),
            *_compare_siblings(before, after)]


def _number(one: Component) -> dict[str, object]:
    return {} if one.replicas is None else {"replicas": one.replicas}


def _compare_siblings(before: Release, after: Release) -> Iterator[DiffLine]:
    """Yield the differences of the components that clients do not reach, with their names in front of the groups."""
    old, new = ({one.name: one for one in release.components[1:]} for release in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            yield DiffLine("components", "-", name, old[name].bundle.image, None)
        elif name not in old:
            yield DiffLine("components", "+", name, None, new[name].bundle.image)
        else:
            for line in compare(old[name].bundle, new[name].bundle):
                yield replace(line, group=f"{name} {line.group}")
            needed: list[dict[str, object]] = [{other: str(condition) for other, condition in one[name].needs}
                                               for one in (old, new)]
            yield from tables(f"{name} needs", *needed)
            yield from tables(f"{name} replicas", _number(old[name]), _number(new[name]))
            yield from tables(f"{name} ports", dict(old[name].ports), dict(new[name].ports))


def _unasked(release: Release) -> dict[str, object]:
    return dict.fromkeys((name for name in to_drop(release.bundle.cap_add) if name not in release.cap_drop),
                         "as Docker sets it")


def _keys(bundle: Bundle) -> dict[str, object]:
    """Return what is handed through to the engine, as far as it is set."""
    return {name: value for name, value in asdict(bundle.keys).items() if value} if bundle.keys else {}


def changed_names(before: Bundle, after: Bundle) -> tuple[str, ...]:
    """Return the names of what differs in `after`: its image, then settings, then `without NAME`. It contains no
    values."""
    image = [f"image {after.image} ({short_digest(after.digest)})"] if before.digest != after.digest else []
    lines = _settings(before, after)
    gone = [f"without {_name(line)}" for line in lines if line.sign == "-"]
    return tuple(dict.fromkeys([*image, *(_name(line) for line in lines if line.sign != "-"), *gone]))


def changed_settings(before: Bundle, after: Bundle) -> tuple[str, ...]:
    """Return the names of variables and settings that differ; those of a group with several are prefixed with its
    name."""
    return tuple(dict.fromkeys(map(_name, _settings(before, after))))


def _settings(before: Bundle, after: Bundle) -> list[DiffLine]:
    return [line for line in compare(before, after) if line.group != "image"]


def _name(line: DiffLine) -> str:
    alone = line.group in {"env", "command", "stop"} or line.name == line.group
    return line.name if alone else f"{line.group} {line.name}"


def tables(group: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[DiffLine]:
    """Return one line for each name whose value differs, or that only one of them has."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(DiffLine(group, "+", name, None, _written(after[name])))
        elif name not in after:
            lines.append(DiffLine(group, "-", name, _written(before[name]), None))
        elif before[name] != after[name]:
            lines.append(DiffLine(group, "~", name, _written(before[name]), _written(after[name])))
    return lines


def _written(value: object) -> str:
    """Return a value as a file would have it; lists keep their boundaries."""
    if value is None:
        return "not set"
    if isinstance(value, bool | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


_GROUPS: Mapping[str, Callable[[Bundle], Mapping[str, object]]] = {
    "limits": lambda b: {**asdict(b.resources), "shm_size": b.shm_size or None,
                         **{f"log {name}": value for name, value in asdict(b.log).items()}},
    "command": lambda b: {"command": b.command, "entrypoint": b.entrypoint, "user": b.user,
                          "working_dir": b.working_dir, "init": b.init},
    "networks": lambda b: dict.fromkeys(b.networks, "joined"),
    "cap_add": lambda b: dict.fromkeys(b.cap_add, "given back"),
    "mounts": lambda b: {one.target: str(one) for one in b.mounts},
    "files": lambda b: {one.target: str(one) for one in b.files},
    "secrets": lambda b: {one.name: str(one).removeprefix(f"{one.name} ") for one in b.secrets},
    "keys": _keys,
    "ports": lambda b: {"port": b.port},
    "health": lambda b: asdict(b.probe),
    "stop": lambda b: {"stop_signal": b.stop_signal, "stop_grace": b.stop_grace},
}
