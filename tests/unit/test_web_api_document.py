"""The document and its page: examples fit the models, grammars are those of the parsers, and nothing comes from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployctl.domain.host.access import Role
from deployctl.domain.inputs.grammar import Grammar
from deployctl.domain.inputs.names import APP, VERSION, parse_app, parse_version
from deployctl.errors import Invalid
from deployctl_web import problems
from deployctl_web.api import request_fields, request_models
from deployctl_web.api.answer_schemas import answer_model
from deployctl_web.api.endpoint import calls_of
from deployctl_web.api.examples import EXAMPLES
from deployctl_web.api.request_models import BODIES
from deployctl_web.api.routes_read import Operation
from tests.unit.api_world import Json, Program, problem
from tests.unit.web_world import Site


@pytest.fixture
def document(shop: Site) -> Json:
    told: Json = Program(shop).get("openapi.json").get_json()
    return told


def test_everybody_who_is_signed_in_reads_it_and_nobody_else(shop: Site, document: Json) -> None:
    assert Program(shop, "v", Role.VIEWER, "blog").get("openapi.json").get_json() == document
    assert document["openapi"] == "3.1.0"
    answer = shop.app.test_client().get("/api/v1/openapi.json", environ_overrides={"HTTP_HOST": "127.0.0.1:8900"})
    problem(answer, 401, "not_signed_in")


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        yield from ((path, method, one) for method, one in methods.items())


def test_every_call_says_what_it_does_who_may_and_how_it_is_refused(document: Json) -> None:
    for path, method, one in operations(document):
        where = f"{method} {path}"
        assert one["summary"], where
        assert one["x-for"] in one["description"], where
        assert {"200", "401", "500"} <= one["responses"].keys(), where
        named = re.findall(r"{(\w+)}", path)
        assert [p["name"] for p in one["parameters"] if p["in"] == "path"] == sorted(named), where
        csrf = [*one["security"][1]]
        assert csrf == (["session"] if method == "get" else ["session", "csrf"]), where
        assert ("403" in one["responses"]) >= (method != "get"), where
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(document: Json) -> None:
    for found in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        here: Any = document
        for part in found.split("/"):
            here = here[part]
    answered = {int(status) for status in document["components"]["responses"]}
    assert answered == {412, *problems.STATUS.values()} == problems.STATUS_MEANINGS.keys()


def test_a_query_says_what_it_requires(document: Json) -> None:
    asked = document["paths"]["/api/v1/apps/{app}/diff"]["get"]["parameters"]
    assert {one["name"]: one["required"] for one in asked} == {"app": True, "from": True, "to": False}


def test_examples_of_answers_are_as_the_models_say(shop: Site) -> None:
    gives = {one.gives for one in calls_of(shop.app).values() if one.gives is not None} | {Operation}
    models = {model.__name__: model for model in map(answer_model, gives)}
    assert models.keys() - EXAMPLES.keys() == {"Shown"}
    for name, example in EXAMPLES.items():
        models[name].model_validate(json.loads(json.dumps(example)))


def test_examples_of_bodies_can_be_sent() -> None:
    bodies: list[Any] = [*(one for name, one in vars(request_models).items() if name.endswith("Body")), *BODIES.values()]
    for one in bodies:
        for example in one.model_config.get("json_schema_extra", {}).get("examples", []):
            one.model_validate(example)
    assert len(bodies) > 10


# -- the grammars -------------------------------------------------------------------------------------------------------
def reads(parse: Callable[..., object], text: str) -> bool:
    try:
        parse(text, field="it")
    except Invalid:
        return False
    return True


GRAMMARS: dict[str, tuple[Grammar, Callable[..., object], frozenset[str]]] = {
    "app": (APP, parse_app, frozenset({"server", "example"})),
    "version": (VERSION, parse_version, frozenset({"hold", "maint"})),
    "image": (request_fields.IMAGE_TEXT, request_fields.parse_image_text, frozenset()),
    "span": (request_fields.SPAN_GRAMMAR, request_fields.parse_span, frozenset()),
}


LIKELY = r"(?:[a-z0-9.-]{1,70}(?::[0-9]{1,6})?/)?[a-z0-9._-]{1,64}(?::[A-Za-z0-9_.-]{1,5})?(?:@sha256:[0-9a-f]{64})?"


@pytest.mark.parametrize("name", GRAMMARS)
def test_the_document_promises_what_the_parser_takes(name: str) -> None:
    grammar, parse, but = GRAMMARS[name]
    told = re.compile(request_fields.ecma(grammar.pattern).removesuffix("$") + r"\Z")
    likely = st.from_regex(LIKELY, fullmatch=True) if name == "image" else st.from_regex(grammar.pattern, fullmatch=True)

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(likely | st.text(max_size=12) | st.text("av01.:/@_-", max_size=14))
    def agree(text: str) -> None:
        assert reads(parse, text) is (bool(told.match(text)) and text not in but), text

    agree()


# -- the page -----------------------------------------------------------------------------------------------------------
def test_the_page_shows_every_call_with_a_line_to_copy(shop: Site, document: Json) -> None:
    answer = shop.signed_in("mara").get("/api/docs")
    assert answer.status_code == 200
    for path, method, one in operations(document):
        assert f'id="{one["operationId"]}"' in answer.text
        assert f'{method.upper()}</span> <span class="mono">{path}' in " ".join(answer.text.split())
    assert answer.text.count("Authorization: Bearer $TOKEN") == len(list(operations(document)))
    for code in problems.STATUS:
        assert f'<tr id="{code}">' in answer.text


def test_the_page_asks_nobody_else_and_is_for_people_who_are_signed_in(shop: Site) -> None:
    page = shop.signed_in("mara").get("/api/docs").text
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)
    assert "<style" not in page
    assert "style=" not in page
    assert shop.browser().get("/api/docs").status_code == 401


def test_the_lines_of_the_page_can_be_run(shop: Site) -> None:
    """A shell reads them as the words that were meant."""
    import html
    import shlex

    page = shop.signed_in("mara").get("/api/docs").text
    lines = [html.unescape(line) for line in re.findall(r">(curl [^<]+)<", page)]
    assert len(lines) > 25
    for line in lines:
        words = shlex.split(line)
        assert words[:3] == ["curl", "-H", "Authorization: Bearer $TOKEN"]
        assert words[-1].startswith("http://127.0.0.1:8900/api/v1/")
        if "-d" in words:
            assert isinstance(json.loads(words[words.index("-d") + 1]), dict)
