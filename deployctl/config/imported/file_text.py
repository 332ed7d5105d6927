"""The text of config/<app>.toml for an imported project, in the order a person would write it, and with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.items import Array, InlineTable, Table

from deployctl.domain.images.component import WEB, ComponentKind

if TYPE_CHECKING:
    from deployctl.domain.compose.draft import Draft
    from deployctl.domain.compose.service import Part

LONGEST = 118  # characters of a line, before a list gets one line for each word
_ORDER = ("image", "name", "port", "kind", "listen", "host", "pull", "aliases", "preset", "needs", "replicas", "entrypoint",
          "command", "user", "working_dir", "init", "stop_signal", "stop_grace", "shm_size", "networks", "mounts", "secrets",
          "tmpfs", "ulimits", "extra_hosts", "dns", "group_add", "cap_drop", "cap_add", "sysctls", "devices", "gpus",
          "security_opt", "privileged", "pid", "ipc")
_TABLES = ("health", "resources", "log", "env", "files")


def imported_text(draft: Draft) -> str:
    """Return the file's text."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"Imported from the Compose project {draft.project}. This file is what counts from now on:"))
    document.add(tomlkit.comment("a change of the Compose file does nothing until it is imported again."))
    document.add(tomlkit.nl())
    if draft.main is not None:
        document.add(tomlkit.comment(_reason(draft.main)))
        _put(document, _main_keys(draft, draft.main))
        for name in _TABLES:
            if draft.main.table.get(name):
                document.add(name, _table(draft.main.table[name]))
    others = [part for part in draft.kept if part is not draft.main]
    if others:
        components = tomlkit.table(is_super_table=True)
        for part in others:
            components.add(part.name, _component(draft, part))
        document.add("components", components)
    for key, tables in (("ports", draft.ports), ("volumes", {name: one for name, one in draft.volumes.items() if one})):
        if tables:
            group = tomlkit.table(is_super_table=True)
            for name, told in tables.items():
                group.add(name, _table(told))
            document.add(key, group)
    return tomlkit.dumps(document)


def _reason(part: Part) -> str:
    return f"{part.kind}: {part.why}"


def _main_keys(draft: Draft, part: Part) -> dict[str, Any]:
    hosts: Any = draft.hosts[0] if len(draft.hosts) == 1 else list(draft.hosts)
    return {"image": part.service.image, "name": None if part.name == WEB else part.name, "port": part.port,
            "kind": None if part.kind is ComponentKind.SIDE_BY_SIDE else str(part.kind),
            "listen": _listen(draft.listen) if draft.listen else None, "host": hosts or None, "pull": draft.pull,
            **part.table}


def _listen(text: str) -> int | str:
    host, _, port = text.rpartition(":")
    return int(port) if host == "127.0.0.1" else text


def _component(draft: Draft, part: Part) -> Table:
    table = tomlkit.table()
    table.comment(_reason(part))
    kind = None if part.kind is ComponentKind.SIDE_BY_SIDE else str(part.kind)
    _put(table, {"image": component_image(draft, part), "port": part.port, "kind": kind, **part.table})
    for name in _TABLES:
        if part.table.get(name):
            table.add(name, _table(part.table[name]))
    return table


def component_image(draft: Draft, part: Part) -> str:
    """Return the image with its tag; without one where it is the app's, so that it follows the app's version."""
    own, main = part.service, draft.main.service if draft.main and not part.is_backing else None
    if own.digest:
        return f"{own.image}@{own.digest}"
    if main and ((own.image, own.tag) == (main.image, main.tag) or (own.is_built and main.is_built)):
        return own.image  # built together, or one and the same: they have one version
    return f"{own.image}:{own.tag or own.follows}"


def _put(table: Table | tomlkit.TOMLDocument, told: Mapping[str, Any]) -> None:
    for name in _ORDER:
        if told.get(name) is not None and (told[name] != [] or name == "command"):  # [] is no command, not even the image's
            table.add(name, _value(told[name], len(name)))


def _table(told: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for name, value in told.items():
        table.add(name, _value(value, len(name)))
    return table


def _value(value: Any, before: int = 0) -> Any:
    if isinstance(value, str):
        return tomlkit.string(value, multiline="\n" in value) if _fits_multiline(value) else value
    if isinstance(value, Mapping):
        return _inline(value)
    return _array(value, before) if isinstance(value, list) else value


def _fits_multiline(text: str) -> bool:
    return "\n" in text and '"""' not in text and all(char in "\n\t" or char.isprintable() for char in text)


def _inline(told: Mapping[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    for name, value in told.items():
        table.add(name, value)
    return table


def _array(values: list[Any], before: int) -> Array:
    array = tomlkit.array()
    for value in values:
        array.append(_inline(value) if isinstance(value, Mapping) else value)
    return array.multiline(len(array.as_string()) + before + 3 > LONGEST and len(values) > 1)

