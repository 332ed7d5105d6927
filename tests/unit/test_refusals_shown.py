"""Command line, page and API show the same answers of HAProxy's own, and text from outside stays text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployctl.domain.proxy.rejections import Cause, Rejection
from tests.unit.cli_world import World
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP

XSS = "/<script>alert(1)</script>"
REFUSALS = (
    Rejection("2026-11-23T14:00:00.000Z", SHOP, None, 400, Cause.BAD_REQUEST, "192.0.2.7:4711",
            detail="HAProxy stopped at byte 6 of “GET /k\\xC3\\xBCche”"),
    Rejection("2026-11-23T14:00:01.000Z", SHOP, 2, 502, Cause.NO_ANSWER, "192.0.2.8:4711", "GET", XSS),
)


def refuse(world: World | Site) -> None:
    traffic = world.w.traffic if isinstance(world, Site) else world.traffic
    for one in REFUSALS:
        traffic.refuse_visitor(one)


# -- command line ---------------------------------------------------------------------------------------------------
def test_the_command_line_prints_a_line_each(two: World) -> None:
    refuse(two)
    said = two.deployctl("logs", "shop", "--proxy")
    assert said.code == 0
    first, second = said.out.splitlines()
    assert first.startswith("2026-11-23T14:00:00Z 400 bad_request")
    assert r"“GET /k\xC3\xBCche”" in first
    assert second.startswith("2026-11-23T14:00:01Z 502 no_answer  GET /<script>")


def test_programs_get_one_object_or_a_line_each(two: World) -> None:
    refuse(two)
    told = two.deployctl("logs", "shop", "--proxy", "-o", "json").json
    assert (told["schema"], told["kind"], told["app"]) == ("deployctl/v1", "Refusals", "shop")
    assert [(one["cause"], one["status"], one["release"], one["path"]) for one in told["lines"]] == [
        ("bad_request", 400, None, ""), ("no_answer", 502, 2, XSS)]
    lines = two.deployctl("logs", "shop", "--proxy", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["cause"] for line in lines] == ["bad_request", "no_answer"]
    assert len(two.deployctl("logs", "shop", "--proxy", "-o", "tsv").out.splitlines()) == 2


def test_they_can_be_searched_and_nothing_refused_is_said(two: World) -> None:
    said = two.deployctl("logs", "shop", "--proxy")
    assert (said.code, said.out) == (0, "")
    assert "No recent error responses from HAProxy for shop" in said.err
    refuse(two)
    assert two.deployctl("logs", "shop", "--proxy", "--grep", "no_answer").out.count("\n") == 1
    assert two.deployctl("logs", "shop", "--proxy", "-n", "1").out.count("\n") == 1


@pytest.mark.parametrize("words", [("-f",), ("v1",)])
def test_what_does_not_go_with_it_is_refused(two: World, words: tuple[str, ...]) -> None:
    assert two.deployctl("logs", "shop", "--proxy", *words).code == 2


# -- page and API ---------------------------------------------------------------------------------------------------
def test_the_page_shows_the_last_one_first_and_reads_nothing_as_markup(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        refuse(made)
        mara = made.signed_in("mara")
        page = mara.get("/apps/shop/logs/proxy").text
        assert "<script>alert" not in page
        assert page.index("no_answer") < page.index("bad_request")
        assert "deployctl logs shop --proxy" in page
        assert "/apps/shop/logs/proxy" in mara.get("/apps/shop/logs").text
        told = mara.get("/api/v1/apps/shop/refusals").get_json()
        assert (told["kind"], [one["cause"] for one in told["lines"]]) == ("Refusals", ["bad_request", "no_answer"])
