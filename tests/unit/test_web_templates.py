"""Templates as they are compiled here show what Jinja's own compiler would, and rows of the list are made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from markupsafe import Markup

from deployctl.domain.host.access import Role, given
from deployctl.usecases.access.tokens import create_token
from deployctl_web.pages.parts import app_rows
from deployctl_web.pages.parts.page_templates import PageEnvironment, shown, visible
from tests.unit.web_world import HERE, site

TEMPLATES = {
    "parts": "{% macro b(text, more='') %}<b class='{{ more }}'>{{ text }}</b>{% endmacro %}",
    "piece": "{% from 'parts' import b %}{% for one in many %}{{ b(one, more=loop.index) }}{{ one|upper }}{% endfor %}",
    "base": "<title>{% block title %}none{% endblock %}</title>{% include 'piece' %}{% block main %}{% endblock %}",
    "page": "{% extends 'base' %}{% set x = '<i>'|safe %}{% block title %}{{ super() }}, {{ x }}{% endblock %}"
            "{% block main %}{{ many|length }} {{ nothing }} {{ none }} {{ '<u>' }}{% include 'piece' %}{% endblock %}",
}
TEXTS = ("", "v1", "a b", "sha256:0f", "<script>", "a & b", "it's", 'say "so"', "é", "\u202eevil", "\x1b[31m", "tab\there",
         "日本")


@pytest.mark.parametrize("value", [*TEXTS, 7, 1.5, None, True, Markup("<b>ours</b>"), Markup("\u202e<b>"), ["<"]])
def test_a_value_is_shown_as_jinja_would_show_it(value: object) -> None:
    jinja = Environment(autoescape=True, finalize=visible)
    assert shown(value) == jinja.from_string("{{ value }}").render(value=value)


def test_a_subclass_of_text_is_no_plain_text() -> None:
    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "<LOUD>"

    assert shown(Loud("quiet")) == "&lt;LOUD&gt;"


def test_whole_pages_are_as_jinja_makes_them() -> None:
    what: dict[str, Any] = {"many": TEXTS}
    loader = DictLoader(TEMPLATES)
    jinja = Environment(autoescape=True, loader=loader, finalize=visible)
    ours = PageEnvironment(_app(), autoescape=True, loader=loader, finalize=visible)
    assert ours.get_template("page").render(what) == jinja.get_template("page").render(what)


def test_a_row_is_made_once_for_what_it_shows(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2") as shop:
        admin = shop.signed_in("mara")
        app_rows._drawn.cache_clear()
        first = admin.get("/").text
        assert admin.get("/").text.partition("<tbody>")[2] == first.partition("<tbody>")[2]
        assert (app_rows._drawn.cache_info().misses, app_rows._drawn.cache_info().hits) == (1, 1)
        shop.w.rollback()
        assert '<span class="v"><span class="dot b" aria-hidden="true"></span>v1</span>' in admin.get("/").text
        assert app_rows._drawn.cache_info().misses == 2


def test_a_program_that_reads_a_page_is_given_no_session(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as shop:
        secret = create_token("looks", given(Role.VIEWER, []), shop.w.s).secret
        answer = shop.app.test_client().get("/apps/shop", headers={"Authorization": f"Bearer {secret}", "Host": HERE})
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (200, False)
        assert 'name="csrf-token" content=""' in answer.text


def _app() -> Any:
    from flask import Flask

    return Flask("page")
