"""An imported app file that a person has edited since, and is imported again: what the project changed is taken over, what the
person changed stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.items import Table

from deployctl.dataclass import dataclass

KeyPath = tuple[str, ...]
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Merged:
    text: str
    changes: tuple[str, ...] = ()  # one line for each key that the project changed
    kept: tuple[str, ...] = ()  # one line for each key that both changed: the person's stays


def merge(current: str, base: str, new: str) -> Merged:
    """Return the file. `base` is what the last import wrote, `new` what this one would write. All three are valid TOML."""
    document, fresh = tomlkit.parse(current), tomlkit.parse(new)
    was, mine, theirs = (dict(_leaves(tomlkit.parse(text))) for text in (base, current, new))
    changes, kept = [], []
    for place in dict.fromkeys([*was, *theirs]):
        before, after, now = was.get(place, _NOTHING), theirs.get(place, _NOTHING), mine.get(place, _NOTHING)
        if after in (before, now):
            continue
        if now is not before and now != before:
            kept.append(f"{'.'.join(place)}: {_shown(now)} stays; the project has {_shown(after)}")
            continue
        changes.append(f"{'.'.join(place)}: {_shown(now)} → {_shown(after)}")
        if after is _NOTHING:
            _remove(document, place)
        else:
            _set(document, fresh, place)
    return Merged(tomlkit.dumps(document), tuple(changes), tuple(kept))


def _leaves(table: Mapping[str, Any], place: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every key of the file that is no table, with its plain value."""
    for name, value in table.items():
        if isinstance(value, Table):
            yield from _leaves(value, (*place, name))
        else:
            yield (*place, name), value.unwrap() if hasattr(value, "unwrap") else value


def _shown(value: object) -> str:
    if value is _NOTHING:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _set(document: tomlkit.TOMLDocument, fresh: tomlkit.TOMLDocument, place: KeyPath) -> None:
    """Copy one key, with the tables that it is in if they are missing."""
    target: MutableMapping[str, Any] = document
    source: Mapping[str, Any] = fresh
    for name in place[:-1]:
        source = source[name]
        if name not in target:
            target[name] = tomlkit.table(is_super_table=isinstance(source, Table) and source.is_super_table())
        target = target[name]
    target[place[-1]] = source[place[-1]]


def _remove(document: tomlkit.TOMLDocument, place: KeyPath) -> None:
    """Remove one key, and the tables that are empty then."""
    tables: list[MutableMapping[str, Any]] = [document]
    for name in place[:-1]:
        tables.append(tables[-1][name])
    for table, name in zip(reversed(tables), reversed(place), strict=True):
        if (name == place[-1] and table is tables[-1]) or not table[name]:
            del table[name]
