"""Rules of an app's file that no single parser can check: keys that contradict each other, and values of this file
only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from deployctl.config.fields import Wrong
from deployctl.config.mount_rules import sharing_contradictions, target_contradictions, volume_contradictions
from deployctl.config.port_rules import port_contradictions, replica_contradictions
from deployctl.config.secret_keys import secret_contradictions
from deployctl.domain.images.component import WEB, ComponentKind, Condition
from deployctl.domain.inputs.grammar import Grammar, match, refused, shown
from deployctl.domain.inputs.names import parse_image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STATUS = 'Write 200, "200-399" or a list of those; statuses are 100 to 599.'
_NETWORK = Grammar(
    "a Docker network",
    r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}",
    "A network has letters, digits, _, . and -, as `docker network ls` shows it.",
)
_ALIAS = Grammar("a host name", r"[a-z0-9][a-z0-9_.-]{0,62}", "An alias has a-z, 0-9, _, . and -.")
_NOT_JOINED = frozenset({"host", "none", "bridge", "default"})  # they would break the isolation, or are Docker's own
_NOT_OF_A_BACKING_ONE = frozenset({"needs", "overlap", "replicas"})
_NOT_OF_A_JOB = frozenset({"port", "health", "overlap", "restart", "replicas", "aliases"})
_ONLY_HTTP = ("path", "host", "status", "body")


# -- values -----------------------------------------------------------------------------------------------------
def image_name(value: object, *, field: str) -> str:
    """Return the image as the file gives it: only a name, because the version is its tag."""
    ref = parse_image(value, field=field)
    if ref.tag or ref.digest:
        raise refused(field, value, "has a tag or a digest", f'Write "{ref.name}": the version is the tag.')
    return ref.name


def component_image(value: object, *, field: str) -> str:
    """Return the image of a component: with a tag or a digest it is always that one, else the app's version is its tag."""
    return str(parse_image(value, field=field))


def image_names(value: object, *, field: str) -> tuple[str, ...]:
    """Return the images that may be deployed instead of the app's own, without tags or duplicates."""
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", 'Write a list: ["registry.example.com/acme/shop-debug"].')
    names = tuple(image_name(one, field=field) for one in value)
    if len(set(names)) < len(names):
        raise refused(field, value, "names an image twice", "Remove one of them.")
    return names


def one_or_list(value: object) -> object:
    """Return a list of host names without duplicates, from one name or a list."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise Wrong(refused("", value, "is not a host name or a list of them", 'Write "shop.example.com".'))
    if len(set(map(str, names))) < len(names):
        raise Wrong(refused("", value, "names a host twice", "Remove one of them."))
    return names


def parse_aliases(value: object, *, field: str) -> tuple[str, ...]:
    """Return further host names of a component: lower case, as Docker's links need them; Compose allows _."""
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", 'Write a list: ["my_db"].')
    return tuple(match(one, _ALIAS, field)[0] for one in value)


def parse_statuses(value: object, *, field: str) -> tuple[tuple[int, int], ...]:
    """Return inclusive ranges."""
    if isinstance(value, list) and value:
        return tuple(_status_range(one, field) for one in value)
    return (_status_range(value, field),)


def _status_range(value: object, field: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-5][0-9]{2})-([1-5][0-9]{2})", value) if isinstance(value, str) else None
    if found and int(found[1]) <= int(found[2]):
        return int(found[1]), int(found[2])
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value, value
    raise refused(field, value, "is not a status or a range of them", _STATUS)


def parse_body(value: object, *, field: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 1000 or not value.isprintable():
        raise refused(field, value, "is not a text to search for", "Write 1 to 1,000 visible characters on one line.")
    return value


def joined_networks(value: object, *, field: str) -> tuple[str, ...]:
    """Return the existing Docker networks that an app joins, without duplicates."""
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", 'Write a list: ["backend"].')
    names = tuple(match(one, _NETWORK, field)[0] for one in value)
    for name in names:
        if name in _NOT_JOINED:
            raise refused(field, name, "is not a network that an app can join", "Name one that `docker network create` made.")
    if len(set(names)) < len(names):
        raise refused(field, value, "names a network twice", "Remove one of them.")
    return names


# -- combinations of keys ---------------------------------------------------------------------------------------
def contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the key, what is wrong with it and what to write, for each group of incompatible keys. Ignores wrong
    values."""
    if "listen" not in raw and "host" not in raw:
        yield "listen", "is missing: without listen or host the app cannot be reached.", "Write listen = 8000."
    if raw.get("proxy_protocol") is True and "listen" not in raw:
        yield ("proxy_protocol",
               "requires the app's own listen; host names are served on proxy.http.",
               "Write proxy_protocol = true in [proxy] of config/server.toml instead.")
    if raw.get("proxy_protocol") is True and raw.get("trusted_proxies") in ([], ()):
        yield ("proxy_protocol", "= true, and trusted_proxies = [] allows no one to use it.",
               'Write trusted_proxies = ["10.0.0.0/8"], with the networks of the upstream proxies.')
    yield from _health_contradictions(raw, "health")
    yield from secret_contradictions(raw)
    yield from _undecided(raw)
    yield from _component_contradictions(raw)
    yield from volume_contradictions(raw)
    yield from sharing_contradictions(raw)
    yield from target_contradictions(raw)


def _health_contradictions(raw: Mapping[str, Any], table: str, usual: str = "http") -> Iterator[tuple[str, str, str]]:
    health = raw.get("health", {})
    if not isinstance(health, Mapping):
        return
    kind = health.get("kind", usual)
    for key in _ONLY_HTTP:
        if key in health and kind in ("tcp", "exec", "docker", "process"):
            yield f"{table}.{key}", f'requires kind = "http", but kind is {shown(kind)}.', f"Remove {table}.{key}."
    if kind == "exec" and "command" not in health:
        yield f"{table}.command", 'is missing: kind = "exec" requires it.', f'Write command = ["/app/check"] in [{table}].'
    if kind in ("http", "tcp", "docker", "process") and "command" in health:
        why = f'requires kind = "exec", but kind is {shown(kind)}.'
        yield f"{table}.command", why, f'Write kind = "exec" in [{table}].'
    if "uptime" in health and kind in ("http", "tcp", "docker", "exec"):
        why = f'requires kind = "process", but kind is {shown(kind)}.'
        yield f"{table}.uptime", why, f'Write kind = "process" in [{table}].'


# -- components ---------------------------------------------------------------------------------------------------
def with_reached(raw: Mapping[str, Any], of_the_app: Collection[str]) -> Mapping[str, Any]:
    """Return a file's table with the component that clients reach as its own keys, where it has only [components.*]: that is
    the one of `name`, else the only one with a port that is neither a job nor a backing one.

    As it is where that cannot be decided, where something above the first table would belong to no component (everything
    but `of_the_app`), or where a component has no image, and so there has to be one that it inherits.
    """
    tables, named = raw.get("components"), raw.get("name")
    if not isinstance(tables, Mapping) or not raw.keys() <= {*of_the_app, "name", "components"}:
        return raw
    reached = _reached(tables)
    if named is None and len(reached) == 1:
        named = reached[0]
    if named not in reached or any("image" not in table for table in tables.values()):
        return raw
    others = {name: table for name, table in tables.items() if name != named}
    return {**raw, **tables[named], "name": named, "components": others}


def _reached(tables: Mapping[str, Any]) -> list[str]:
    """Return the components that clients may reach; none where a table is none."""
    if not all(isinstance(table, Mapping) for table in tables.values()):
        return []
    return [name for name, table in tables.items()
            if "port" in table and table.get("kind") not in {ComponentKind.JOB, ComponentKind.BACKING}]


def _undecided(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    tables = raw.get("components")
    several = _reached(tables) if isinstance(tables, Mapping) else []
    if several[1:] and not raw.keys() & {"image", "port", "name"}:
        yield "name", f"is missing: {', '.join(several)} take requests on a port, and clients reach one of them.", (
            f"Write name = \"{several[0]}\" above the first table.")


def _component_contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    tables = raw.get("components", {})
    if not isinstance(tables, Mapping):
        return
    found = {name: table for name, table in tables.items() if isinstance(table, Mapping)}
    main = raw.get("name", WEB)
    if not isinstance(main, str):  # reported for itself
        return
    if main in found:
        yield f"components.{main}", "is what the keys above the first table describe already.", f"Rename [components.{main}]."
    needs = {main: raw.get("needs", {}), **{name: table.get("needs", {}) for name, table in found.items()}}
    for name, table in found.items():
        yield from _one_component(f"components.{name}", table)
    jobs = {name for name, table in found.items() if table.get("kind") == ComponentKind.JOB}
    wanted = {name: of_one for name, of_one in needs.items() if isinstance(of_one, Mapping)}
    yield from port_contradictions(raw, {main, *found} - jobs)
    yield from replica_contradictions(raw, found)
    yield from _double_names({main: raw, **found}, main)
    yield from _needs(main, wanted)
    yield from _conditions(main, wanted, jobs)


def _double_names(tables: Mapping[str, Mapping[str, Any]], main: str) -> Iterator[tuple[str, str, str]]:
    """Yield each further name that another component has: its siblings would reach one or the other."""
    owners = {name: name for name in tables}
    for name, table in tables.items():
        listed = table.get("aliases")
        for alias in listed if isinstance(listed, list | tuple) else ():
            if owners.setdefault(str(alias), name) != name:
                key = "aliases" if name == main else f"components.{name}.aliases"
                yield key, f"has {shown(alias)}, which is a name of {owners[str(alias)]}, too.", "Remove one of them."


def _one_component(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield from secret_contradictions(table, f"{key}.secrets")
    if table.get("kind") == ComponentKind.JOB:
        for other in _NOT_OF_A_JOB & table.keys():
            yield f"{key}.{other}", "is not for a job, which runs once and ends.", f"Remove {key}.{other}."
        return
    if table.get("kind") == ComponentKind.BACKING:
        yield from _backing(key, table)
    if "timeout" in table:
        yield f"{key}.timeout", 'is for a job: how long it may run.', f'Remove it, or write kind = "job" in [{key}].'
    if "port" not in table:
        usual = "process"
        kind = table["health"].get("kind", usual) if isinstance(table.get("health"), Mapping) else usual
        if kind in ("http", "tcp"):
            yield f"{key}.health.kind", f"= {shown(kind)} asks a port, and {key} has none.", f"Write port = 8080 in [{key}]."
    else:
        usual = "tcp" if table.get("kind") == ComponentKind.BACKING else "http"
        if table.get("overlap") is False:
            yield f"{key}.overlap", "= false is for workers: what takes requests on a port is switched, not stopped.", (
                f"Remove {key}.overlap.")
    yield from _health_contradictions(table, f"{key}.health", usual)


def _backing(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "image" not in table:
        yield f"{key}.image", "is missing: a backing component has versions of its own.", 'Write image = "postgres:17.2".'
    for other in _NOT_OF_A_BACKING_ONE & table.keys():
        yield f"{key}.{other}", "is not for a backing component: it is one for all versions.", f"Remove {key}.{other}."


def _conditions(main: str, needs: Mapping[str, Mapping[str, Any]], jobs: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the needs that can never be met: a job ends, and nothing else does."""
    for name, wanted in needs.items():
        for other, condition in wanted.items():
            if other in needs and (condition == Condition.COMPLETED) != (other in jobs):
                right = '"completed"' if other in jobs else '"healthy" or "started"'
                what = "a job: it runs once and ends" if other in jobs else "not a job: it does not end"
                yield (f"{_needs_key(name, main)}.{other}", f"= {shown(condition)}, but {other} is {what}.",
                       f"Write {other} = {right}.")


def _needs_key(name: str, main: str) -> str:
    return "needs" if name == main else f"components.{name}.needs"


def _needs(main: str, needs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield what is needed and is not there, and the components that need each other in a ring."""
    for name, wanted in needs.items():
        for other in wanted:
            if other not in needs:
                yield _needs_key(name, main), f"names {shown(other)}, which is no component of this app.", (
                    f"Components: {', '.join(sorted(needs))}.")
    left = {name: {other for other in wanted if other in needs} for name, wanted in needs.items()}
    while free := [name for name, wanted in left.items() if not wanted]:
        left = {name: wanted - {*free} for name, wanted in left.items() if name not in free}
    if left:
        ring = ", ".join(sorted(left))
        yield (_needs_key(min(left), main), f"makes {ring} need each other: none of them could start first.",
               "Remove one of these needs.")
