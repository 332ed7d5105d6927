"""What no honest program sends is refused with 400 and the path of what is wrong, and changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role
from tests.unit.api_world import Program, problem
from tests.unit.web_world import Site, site

UPGRADE, BACK = "apps/shop/upgrade", "apps/shop/rollback"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("home"), "v1", "v2") as made:
        made.web_state.changes.most = made.web_state.tries.most = sys.maxsize
        yield made


@pytest.fixture(scope="module")
def ci(shop: Site) -> Program:
    return Program(shop)


# -- bodies (faults.md 73) ----------------------------------------------------------------------------------------------
BODIES: list[tuple[bytes, str]] = [
    (b"{", "is not JSON"),
    (b"nothing", "is not JSON"),
    (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
    (b'{"to_version": "\xed\xa0\x80"}', "is not UTF-8"),
    (b"\xef\xbb\xbf{}", "is not JSON"),
    (b'{"to_version": "v1"} {}', "is not JSON"),
    (b"[]", "is not a JSON object"),
    (b'"v1"', "is not a JSON object"),
    (b"null", "is not a JSON object"),
    (b"[" * 100_000, "413"),
    (b"[" * 60_000, "is nested deeper"),
    (b'{"to":' * 9_000 + b"1" + b"}" * 9_000, "is nested deeper"),
    (b'{"env":' * 30 + b"1" + b"}" * 30, "is nested deeper"),
    (b'{"to_version": "v1", "to_version": "v2"}', "body.to_version is given twice"),
    (b'{"env": {"A": "1", "A": "2"}}', "body.env.A is given twice"),
    (b'{"yes": 1e400}', "body.yes is not a valid JSON number"),
    (b'{"yes": NaN}', "body.yes is not a valid JSON number"),
    (b'{"yes": [-Infinity]}', "body.yes[0] is not a valid JSON number"),
    (b'{"yes": ' + b"9" * 5000 + b"}", "is not JSON"),
    (b'{"note": "\\ud800"}', "body.note contains a lone surrogate"),
    (b'{"env": {"\\udfff": ""}}', 'body.env."\\udfff" contains a lone surrogate'),
    (b'{"to": 1}', "body.to"),
    (b'{"to": ["v1"]}', "body.to"),
    (b'{"to": {"$ne": ""}}', "body.to"),
    (b'{"to_version": ""}', "body.to"),
    (b'{"to_version": "v1\\n"}', "body.to"),
    (b'{"to_version": "hold"}', "body.to"),
    (b'{"to_version": "../../etc"}', "body.to"),
    (b'{"yes": "yes"}', "body.yes"),
    (b'{"yes": 1}', "body.yes"),
    (b'{"yes": null}', "body.yes"),
    (b'{"abort": "true"}', "body.abort"),
    (b'{"note": "a\\u0000b"}', "body.note"),
    (b'{"note": "\\u001b[2J"}', "body.note"),
    (b'{"note": "' + b"x" * 501 + b'"}', "body.note"),
    (b'{"__proto__": {"yes": true}}', "body.__proto__ is not a known field"),
    (b'{"app": "blog"}', "body.app is not a known field"),
    (b'{"version": "v1"}', "body.version is not a known field"),
]


@pytest.mark.parametrize(("data", "said"), BODIES, ids=[said + str(n) for n, (_, said) in enumerate(BODIES)])
def test_a_body_that_can_be_read_in_two_ways_or_none_does_nothing(shop: Site, ci: Program, data: bytes, said: str) -> None:
    before = shop.w.everything()
    answer = ci.post(BACK, data=data)
    if said == "413":
        problem(answer, 413, "too_large")
    else:
        told = problem(answer, 400, "invalid")
        assert said in " ".join([told["detail"], *told["details"]])
    assert shop.w.everything() == before


def test_every_mistake_is_told_at_once_and_what_was_meant_is_guessed(ci: Program) -> None:
    told = problem(ci.post(UPGRADE, {"verson": "v3", "image": "-x", "env": {"A B": "1", "DEPLOYCTL_X": "2"}}), 400, "invalid")
    assert told["detail"] == "the body has 5 errors. Nothing was done."
    assert [line.partition(" ")[0].rstrip(":") for line in told["details"]] == [
        "body.version", "body.image", 'body.env."A', "body.env.DEPLOYCTL_X", "body.verson"]
    assert "Did you mean version?" in told["details"][-1]


def test_a_secret_in_a_mistake_is_not_repeated(ci: Program) -> None:
    for env in ({"TOKEN": ["hunter2hunter2"]}, {"TOKEN": "hunter2\0hunter2"}, "TOKEN=hunter2"):
        told = problem(ci.post(UPGRADE, {"version": "v3", "env": env}), 400, "invalid")
        assert "hunter2" not in json.dumps(told)
    told = problem(ci.post("users/mara/password", {"password": "hunter2"}), 400, "invalid")
    assert "hunter2" not in json.dumps(told)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
                                  "application/json; charset=utf-16", "text/json", "application/jsonp"])
def test_only_json_is_read(shop: Site, ci: Program, kind: str) -> None:
    problem(ci.post(BACK, data=b'{"to_version": "v1"}', Content_Type=kind), 415, "unsupported_media_type")
    assert shop.w.serving == "v2"


def test_a_body_where_none_belongs_is_refused(shop: Site, ci: Program) -> None:
    problem(ci.delete("tokens/x", body={"yes": True}), 400, "invalid")
    problem(ci.post("apps/shop/abort", {"note": "x"}), 400, "invalid")


def test_a_body_may_be_left_out_where_nothing_is_needed(ci: Program) -> None:
    assert ci.ask("POST", "apps/shop/abort").status_code == 200
    told = problem(ci.ask("POST", UPGRADE), 400, "invalid")
    assert told["detail"] == "body.version is required. Nothing was done."


# -- paths and queries --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [
    "apps/Shop", "apps/..", "apps/shop%00", "apps/server/history", "apps/%2e%2e", "apps/shop/versions/..%2f..",
    "apps/shop/versions/hold", "apps/shop/versions/%00", "deployments/-1", "deployments/1e3", "deployments/\u0661",
    "deployments/" + "9" * 30, "operations/..", "apps/" + "x" * 3000])
def test_what_is_no_name_is_the_name_of_nothing(ci: Program, path: str) -> None:
    problem(ci.get(path), 404, "not_found")


@pytest.mark.parametrize("query", [
    "limit=0", "limit=1001", "limit=-1", "limit=1.0", "limit=1e3", "limit=\u0661", "limit=", "limit=01", "limit=1&limit=2",
    "limit=" + "9" * 400, "x=1", "limit=5;drop", "sort=id"])
def test_a_query_is_understood_whole_or_refused(ci: Program, query: str) -> None:
    told = problem(ci.get(f"apps/shop/history?{query}"), 400, "invalid")
    assert "query." in told["detail"]


@pytest.mark.parametrize("query", ["tail=10001", "since=10", "since=10d", "since=-1m", "grep=", "grep=%00", "version=hold",
                                   "since=100000s", "since=0s", "follow=true"])
def test_logs_are_asked_for_within_bounds(ci: Program, query: str) -> None:
    problem(ci.get(f"apps/shop/logs?{query}"), 400, "invalid")


@pytest.mark.parametrize("query", ["user=%27%3B--", "kind=x%27", "before=0", "app=Shop", "user=" + "x" * 65])
def test_the_audit_is_asked_for_within_bounds(ci: Program, query: str) -> None:
    answer = ci.get(f"audit?{query}")
    if query.startswith("user=%27"):
        assert answer.get_json()["entries"] == []  # any visible characters are a name that nobody has
    else:
        problem(answer, 400, "invalid")


def test_sums_that_no_database_counts_are_nothing(ci: Program) -> None:
    for number in (10**15, 2**63, 10**40):
        problem(ci.get(f"deployments/{number}"), 404, "not_found")
        problem(ci.delete(f"sessions/{number}"), 404, "not_found")
        assert ci.get(f"audit?before={number}").status_code in {200, 400}


# -- headers ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["wait", "wait=", "wait=-1", "wait=x", "respond-async", "wait=99999999999", ", ,", "wait=0"])
def test_a_preference_that_is_none_is_ignored(shop: Site, ci: Program, text: str) -> None:
    assert ci.post("apps/shop/abort", {}, Prefer=text).status_code == 200


def test_a_token_that_is_sent_twice_or_wrongly_is_none(shop: Site, ci: Program) -> None:
    for text in ("", "Bearer", "Bearer ", f"bearer{ci.secret}", f"Bearer {ci.secret} {ci.secret}", f"Basic {ci.secret}"):
        problem(ci.get("apps", Authorization=text), 401, "not_signed_in")


def test_a_note_is_kept_as_text(shop: Site, tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2") as made:
        program, note = Program(made), "<img src=x onerror=alert(1)> ' ; -- \u202e\U0001f600"
        assert program.post(BACK, {"to_version": "v1", "note": note}).status_code == 200
        told: Any = program.get("apps/shop/history").get_json()
        assert told["changes"][0]["note"] == note


def test_a_viewer_learns_nothing_from_a_refusal(shop: Site) -> None:
    viewer = Program(shop, "viewer", Role.VIEWER, "shop")
    before = shop.w.everything()
    for verb in ("upgrade", "rollback", "undo", "abort", "hold", "unhold", "start", "stop", "prune"):
        problem(viewer.post(f"apps/shop/{verb}", data=b"{"), 403, "not_permitted")
    assert shop.w.everything() == before
