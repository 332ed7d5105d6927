"""Answers and their schemas are made of the same types: each row of the table names a class and what it has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import pytest
from pydantic import ValidationError

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.names import AppName
from deployctl.domain.inputs.units import At, Ms
from deployctl.usecases import listings, results, views
from deployctl.usecases.change import reconcile
from deployctl.usecases.views import as_json, object_of
from deployctl_web.api.answer_schemas import answer_model, keys_of
from tests.guards import tree
from tests.guards.test_house import types_of

COMMAND_LINE_ONLY: tuple[type, ...] = (results.Preview, reconcile.Reconciled, listings.Findings)


def schema(kind: type) -> dict[str, Any]:
    return answer_model(kind).model_json_schema(mode="serialization")


def test_every_row_is_about_a_class_of_ours() -> None:
    known = {name for path in tree.python_files("deployctl", "web") for name in types_of(path)}
    assert views._OBJECTS.keys() - known == set()


@pytest.mark.parametrize("kind", COMMAND_LINE_ONLY)
def test_answers_of_the_command_line_alone_have_all_that_their_rows_name(kind: type) -> None:
    assert list(keys_of(kind)) == [key.name for key in object_of(kind).keys]


# -- how annotations become schemas -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Inner:
    at: At
    ms: Ms | None


@dataclass(frozen=True, slots=True)
class Outer:
    """All of it."""

    app: Annotated[str, AppName]
    state: Annotated[Annotated[str, Literal["on", "off"]] | None, "null: not read."]
    inner: Annotated[Inner | None, "The rest."]
    pairs: tuple[tuple[str, int], ...] = ()
    names: Iterable[str] | None = None


def test_an_annotation_says_description_format_and_values() -> None:
    told = schema(Outer)
    assert (told["description"], told["additionalProperties"]) == ("All of it.", False)
    assert told["required"] == ["app", "state", "inner", "pairs", "names"]
    assert told["properties"]["app"]["pattern"].startswith("^(?:")
    assert told["properties"]["state"]["description"] == "null: not read."
    assert told["properties"]["state"]["anyOf"][0]["enum"] == ["on", "off"]
    assert told["$defs"]["Inner"]["properties"]["at"]["format"] == "date-time"
    pair = told["properties"]["pairs"]["items"]
    assert (pair["minItems"], pair["maxItems"]) == (2, 2)


def test_what_is_written_is_what_the_schema_says() -> None:
    written = as_json(Outer("shop", None, Inner("2026-01-01T12:00:00.000Z", 1.5), (("a", 1),)))
    assert written == {"app": "shop", "state": None, "inner": {"at": "2026-01-01T12:00:00.000Z", "ms": 1.5},
                       "pairs": [["a", 1]], "names": None}
    answer_model(Outer).model_validate_json(json.dumps(written))
    with pytest.raises(ValidationError):
        answer_model(Outer).model_validate_json(json.dumps({**written, "more": 1}))


def test_keys_may_have_other_names_than_fields_and_always_one_value() -> None:
    diff = results.DiffView("shop", results.Side("v1", 1), results.Side("v2", 2), ())
    assert as_json(diff) == {"schema": "deployctl/v1", "kind": "Diff", "app": "shop", "from": {"version": "v1", "release": 1},
                             "to": {"version": "v2", "release": 2}, "differences": []}
    told = schema(results.DiffView)
    assert (told["title"], told["properties"]["kind"]["const"]) == ("Diff", "Diff")


def test_only_an_answer_with_further_keys_allows_them() -> None:
    assert schema(results.Done)["additionalProperties"] is True
    assert schema(results.Moved)["additionalProperties"] is False
    assert as_json(results.Done("Hold", "shop", "held", extra={"release": 3}))["release"] == 3
