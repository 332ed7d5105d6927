"""Turns the mistakes in a table of a file into sentences: the key, the value, and what to write instead.

All mistakes are reported at once. Keys and values come from outside, so both are escaped and shortened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from deployctl.config.fields import Wrong
from deployctl.dataclass import dataclass
from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid

MAX_MISTAKES_SHOWN = 50  # if it is not an app's file at all, the first ones are enough
T = TypeVar("T", bound=BaseModel)
Raw = Mapping[str, Any]
Rules = Callable[[Raw], Iterable[tuple[str, str, str]]]  # key, what is wrong with it, what to write


@dataclass(frozen=True, slots=True)
class Mistake:
    key: str
    sentence: str
    remedy: tuple[str, ...]  # the first is what to write, the rest is the grammar

    @property
    def line(self) -> str:
        return " ".join([self.sentence, *self.remedy[:1]])


def parse_table(model: type[T], raw: Raw, *, where: str, rules: Rules = lambda raw: ()) -> T:
    """Return the model, or raise Invalid with every mistake. `rules` finds incompatible keys."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        found = [_mistake(one, raw, model) for one in sorted(wrong, key=partial(_place, [*raw])) if _about_one_key(one)]
    found += [Mistake(key, f"{key} {why}", (remedy,)) for key, why, remedy in rules(raw)]
    raise invalid(where, found)


def _place(keys: Sequence[str], error: Mapping[str, Any]) -> int:
    """Return where in the file it is, by its top key; what is missing comes first."""
    return keys.index(error["loc"][0]) if error["loc"] and error["loc"][0] in keys else -1


def invalid(where: str, mistakes: Sequence[Mistake]) -> Invalid:
    """Return one error for all: a single mistake is its message, several are its details."""
    grammar = list(dict.fromkeys(line for one in mistakes for line in one.remedy[1:]))
    if len(mistakes) == 1:
        return Invalid(f"{where}: {mistakes[0].line}", remedy=grammar or [f"Edit {where}"])
    keys = ", ".join(one.key for one in mistakes[:5]) + (", and more" if len(mistakes) > 5 else "")
    error = Invalid(f"{where} has {len(mistakes)} errors: {keys}.", remedy=grammar or [f"Edit {where}"])
    error.details = [f"{where}: {one.line}" for one in mistakes[:MAX_MISTAKES_SHOWN]]
    return error


# -- one mistake ------------------------------------------------------------------------------------------------
def _about_one_key(error: Mapping[str, Any]) -> bool:
    own = _own_error(error)
    return own is None or own.about_one_key


def _own_error(error: Mapping[str, Any]) -> Wrong | None:
    """Return the message of one of our parsers; None if pydantic itself found the mistake."""
    cause = error.get("ctx", {}).get("error")
    return cause if isinstance(cause, Wrong) else None


def _mistake(error: Mapping[str, Any], raw: Raw, model: type[BaseModel]) -> Mistake:
    loc, own = error["loc"], _own_error(error)
    about_name = loc[-1:] == ("[key]",)  # of a table that accepts any name: the sentence shows the name itself
    key = written_key(loc[:-2] if about_name else loc, raw)
    if own:
        return Mistake(key, f"{key}{':' if about_name else ' ='} {own}", tuple(own.error.remedy))
    match error["type"]:
        case "missing":
            return Mistake(key, f"{key} is missing.", (f"Write {_example(model, key)}.",))
        case "extra_forbidden":
            return Mistake(key, f"{key} is not a known key.", (_nearest(key, known_keys(model)),))
        case "tuple_type":
            return Mistake(key, f"{key} = {shown(error['input'])} is not a list.", ("Write a list: [ ].",))
        case _:
            value = "***" if key == "env" else shown(error["input"])  # may contain secrets
            return Mistake(key, f"{key} = {value} is not a table.", (f"Write [{key}] on its own line.",))


def written_key(loc: Sequence[int | str], raw: Any) -> str:
    """Return `health.path` or `host[1]`; an index into a single value is left out."""
    key = ""
    for part in loc:
        if isinstance(part, str):
            name = part if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part) else shown(part)
            key += f".{name}" if key else name
            raw = raw.get(part) if isinstance(raw, Mapping) else None
        elif isinstance(raw, list):
            key += f"[{part}]"
            raw = raw[part]
    return key


def _example(model: type[BaseModel], key: str) -> str:
    """Return a valid line for the file; the model has one for each key without a default."""
    field = _field_of(model, key.split("."))
    examples = (field and field.examples) or [f"{key.rpartition('.')[2]} = …"]
    return str(examples[0])


def _field_of(model: type[BaseModel], path: Sequence[str]) -> FieldInfo | None:
    """Return the field of a key, which may stand in a table with a name of its own: ports.NAME.listen."""
    name, *rest = path
    field = model.model_fields.get(name)
    if field is None or not rest:
        return field
    named = get_args(field.annotation)  # of a dict
    table: Any = named[1] if named else field.annotation
    return _field_of(table, rest[1:] if named else rest) if rest[bool(named):] else None


# -- keys -------------------------------------------------------------------------------------------------------
def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return every key that a file of this model may have, tables first by name and then their keys."""
    keys = []
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        keys.append(key)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{key}.")
    return keys


def _nearest(key: str, known: Sequence[str]) -> str:
    """Suggest a similar key of the same table, else of any table, else list the table's keys."""
    from difflib import get_close_matches

    table, _, name = key.rpartition(".")
    siblings = [one.rpartition(".")[2] for one in known if one.rpartition(".")[0] == table]
    if close := get_close_matches(name, siblings, n=1):
        return f"Did you mean {table}.{close[0]}?" if table else f"Did you mean {close[0]}?"
    by_name = {one.rpartition(".")[2]: one for one in reversed(known)}
    if close := get_close_matches(name, by_name, n=1, cutoff=0.75):
        return f"Did you mean {by_name[close[0]]}?"
    return f"Known keys: {', '.join(siblings)}." if siblings else "Remove it."
