"""HAProxy's own answers as values: causes, and whose trace they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.rejections import CAUSE_MEANINGS, Cause, Rejection, cause_of
from deployctl.effects.haproxy.trace import Capture, parse_line
from deployctl.errors import NotFound
from deployctl.usecases.view.rejections import refusals
from deployctl.usecases.views import as_json
from tests.unit.world import SHOP, World, world

BLOG = AppName("blog")
LINE = "1796029030843 192.0.2.7:4711 27009.3 shop shop.2 shop - 502 PH GET /pay"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made.upgraded("v1")


def refused(app: AppName | None = SHOP, *, at: str = "2026-01-01T00:00:00.000Z", cause: Cause = Cause.BAD_REQUEST,
            path: str = "/") -> Rejection:
    return Rejection(at, app, None, 400, cause, "192.0.2.7:4711", "GET", path)


# -- a line of the ring ---------------------------------------------------------------------------------------------
def test_a_line_is_read_as_what_it_tells() -> None:
    assert parse_line(LINE) == Rejection(
        "2026-11-30T08:57:10.843Z", SHOP, 2, 502, Cause.INVALID_ANSWER, "192.0.2.7:4711", "GET", "/pay")


@pytest.mark.parametrize(("line", "app", "gate"), [
    ("1796029030843 ::1:4711 1.1 shop - - - 400 PR <BADREQ> <BADREQ>", SHOP, False),
    ("1796029030843 ::1:4711 1.1 - - - - 400 PR <BADREQ> <BADREQ>", None, False),
    ("1796029030843 ::1:4711 1.1 - - blog - 503 LR GET /", BLOG, False),
    ("1796029030843 127.0.0.1:9 1.1 -gate shop.7 shop - 503 SC GET /", SHOP, True),
])  # fmt: skip
def test_a_line_belongs_to_the_app_of_its_release_its_host_or_its_address(
    line: str, app: AppName | None, *, gate: bool
) -> None:
    found = parse_line(line)
    assert found is not None
    assert (found.app, found.gate) == (app, gate)


@pytest.mark.parametrize("line", [
    "", "Unknown command.", LINE.replace(" 502 ", " -1 "), LINE.replace(" 502 ", " 200 "), LINE.replace("1796029030843", "x")])
def test_what_is_no_answer_of_haproxys_own_is_left_out(line: str) -> None:
    assert parse_line(line) is None


@given(st.text(st.characters(codec="latin-1"), max_size=80))
def test_no_text_from_outside_breaks_the_reader(text: str) -> None:
    found = parse_line(f"1796029030843 192.0.2.7:1 1.1 shop shop.2 shop - 502 PH GET /{text}")
    assert found is None or (found.app, found.status) == (SHOP, 502)
    parse_line(text)


@pytest.mark.parametrize(("status", "ending", "cause"), [
    (400, "PR", Cause.BAD_REQUEST), (408, "cR", Cause.SLOW_REQUEST), (404, "LR", Cause.UNKNOWN_HOST),
    (503, "LR", Cause.NO_RELEASE), (503, "SC", Cause.UNREACHABLE), (502, "SH", Cause.NO_ANSWER),
    (502, "PH", Cause.INVALID_ANSWER), (504, "sH", Cause.TIMEOUT), (403, "PR", Cause.DENIED), (500, "PR", Cause.OTHER),
    (502, "", Cause.NO_ANSWER), (431, "PR", Cause.BAD_REQUEST), (414, "PR", Cause.BAD_REQUEST),
])  # fmt: skip
def test_a_status_and_how_it_ended_have_one_cause(status: int, ending: str, cause: Cause) -> None:
    assert cause_of(status, ending) is cause


def test_every_cause_has_words_for_people() -> None:
    assert set(CAUSE_MEANINGS) == set(Cause)
    for cause in Cause:
        assert CAUSE_MEANINGS[cause] in refused(cause=cause).sentence


# -- whose they are -------------------------------------------------------------------------------------------------
def test_an_app_gets_its_own_and_with_host_names_those_of_nobody(w: World) -> None:
    for app in (SHOP, BLOG, None):
        w.traffic.refuse_visitor(refused(app))
    assert [one.app for one in refusals(SHOP, w.s)] == [SHOP]
    w.edit(host="shop.example.com")
    w.upgrade("v2")
    assert [one.app for one in refusals(SHOP, w.s)] == [SHOP, None]


def test_they_are_bounded_by_number_time_and_text(w: World) -> None:
    for number in range(5):
        w.traffic.refuse_visitor(refused(at=f"2020-01-01T00:00:0{number}.000Z", path=f"/{number}"))
    w.traffic.refuse_visitor(refused(at=w.clock.utc(), path="/now"))
    assert [one.path for one in refusals(SHOP, w.s, tail=2)] == ["/4", "/now"]
    assert [one.path for one in refusals(SHOP, w.s, since=60)] == ["/now"]
    assert [one.path for one in refusals(SHOP, w.s, grep="/3:")] == ["/3"]
    assert refusals(SHOP, w.s, tail=0) == []


def test_an_app_that_nobody_knows_has_none(w: World) -> None:
    with pytest.raises(NotFound):
        refusals(BLOG, w.s)


def test_programs_get_the_code_beside_the_text() -> None:
    told = json.loads(json.dumps(as_json(refused())))
    assert (told["cause"], told["status"], told["gate"]) == ("bad_request", 400, False)


# -- where HAProxy stopped --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("position", "said"), [
    (19, "HAProxy stopped in the header X A"),
    (30, "HAProxy stopped in its body"),
])  # fmt: skip
def test_what_stands_below_the_head_is_no_header(position: int, said: str) -> None:
    lines = ((0, r"HTTP/1.1 200 OK\r\n"), (17, r"X A: b\r\n"), (25, r"\r\n"), (27, r"ZZ\r\n"))
    assert Capture("response", "shop.2", "::1:4711", position, lines, 40).detail == said
