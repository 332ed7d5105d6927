"""Secrets and restarts by the API: a value goes in and never comes out, and both need the right to deploy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role
from tests.unit.api_world import Program, script
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP

CANARY = "canary-7f3a9c"
PATH = "apps/shop/secrets"
TOKEN = f"{PATH}/TOKEN"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1") as made:
        yield made


def everything_written(made: Site) -> str:
    """Return the whole ledger as text."""
    return "\n".join(made.w.ledger.db.raw.iterdump())


def test_a_value_goes_in_by_the_next_upgrade_and_never_comes_out(shop: Site) -> None:
    ci = Program(shop)
    done = ci.ask("PUT", TOKEN, {"value": CANARY}, key="once")
    assert (done.status_code, done.get_json()["changed"], done.get_json()["summary"]) == (200, True, "TOKEN of shop was set")
    again = ci.ask("PUT", TOKEN, {"value": CANARY}, key="once")
    assert again.headers["Idempotent-Replay"] == "true"
    assert not ci.ask("PUT", TOKEN, {"value": CANARY}).get_json()["changed"]
    [line] = ci.get(PATH).get_json()["secrets"]
    assert (line["app"], line["name"], line["current"], line["used_by"]) == ("shop", "TOKEN", True, [])
    shop.w.edit(secrets=["TOKEN"])
    shop.w.upgraded("v1")
    [line] = ci.get(PATH).get_json()["secrets"]
    assert line["used_by"] == ["v1@2"]
    held = ci.ask("DELETE", TOKEN, {"yes": True})
    assert (held.status_code, held.get_json()["code"]) == (409, "secret_needed")
    answers = [done, again, ci.get(PATH), held, ci.get("audit"), ci.get("apps/shop"), ci.get("apps/shop/versions/v1")]
    for answer in answers:
        assert CANARY not in answer.text
    assert CANARY not in everything_written(shop)
    assert {"secret_set"} <= {entry["what"] for entry in ci.get("audit").get_json()["entries"]}


@pytest.mark.parametrize("body", [{"value": {"a": CANARY}}, {"value": [CANARY]}, {"value": "", "x": CANARY}, {"valeu": CANARY},
                                  {"value": CANARY + "x" * 40_000}, {"value": 7}, {}])
def test_a_body_that_is_wrong_is_refused_without_its_value(shop: Site, body: dict[str, Any]) -> None:
    answer = Program(shop).ask("PUT", TOKEN, body, key="once")
    assert answer.status_code == 400
    assert CANARY not in answer.text
    assert CANARY not in everything_written(shop)
    assert Program(shop, "other").get(PATH).get_json()["secrets"] == []


def test_it_is_removed_once_that_is_confirmed(shop: Site) -> None:
    ci = Program(shop)
    ci.ask("PUT", TOKEN, {"value": CANARY})
    question = ci.delete(TOKEN)
    assert (question.status_code, question.get_json()["code"]) == (409, "confirmation_needed")
    assert ci.ask("DELETE", TOKEN, {"yes": True}).get_json()["summary"] == "TOKEN of shop was removed"
    assert ci.ask("DELETE", TOKEN, {"yes": True}).status_code == 404


@pytest.mark.parametrize(("role", "apps", "status"), [
    (Role.VIEWER, ["shop"], 403), (Role.DEPLOYER, ["shop"], 200), (Role.ADMIN, ["blog"], 404)])
def test_it_needs_the_right_to_deploy_that_app(shop: Site, role: Role, apps: list[str], status: int) -> None:
    ci = Program(shop, "narrow", role, *apps)
    assert ci.ask("PUT", TOKEN, {"value": CANARY}).status_code == status
    assert ci.get(PATH).status_code == status
    assert ci.post("apps/shop/restart", {"yes": True}, wait=10).status_code == status
    grace = shop.signed_in("grace", role, *apps)
    assert script(grace, "PUT", TOKEN, {"value": f"{CANARY}2"}).status_code == status


def test_only_an_app_has_secrets_and_only_one_that_is_known(shop: Site) -> None:
    ci = Program(shop)
    assert ci.ask("PUT", "apps/nothing/secrets/TOKEN", {"value": CANARY}).status_code == 404
    assert ci.ask("PUT", "apps/shop/components/db/secrets/TOKEN", {"value": CANARY}).status_code == 404
    assert ci.ask("PUT", f"{PATH}/no%20name", {"value": CANARY}).status_code == 404


def test_a_restart_asks_first_where_clients_would_wait(shop: Site) -> None:
    ci = Program(shop)
    question = ci.post("apps/shop/restart")
    assert (question.status_code, question.get_json()["code"]) == (409, "confirmation_needed")
    assert ci.post("apps/shop/restart", {"yes": True}, wait=10).get_json()["summary"] == "shop v1 restarted"
    mara = shop.signed_in("mara")
    page = mara.get("/apps/shop/ask?verb=restart").text
    assert "New requests wait meanwhile." in page
    assert 'name="note"' not in page
    assert mara.post("/apps/shop/restart", yes="yes").headers["Location"] == "/apps/shop"
    assert "shop v1 restarted" in mara.get("/apps/shop").text.lower() or "v1 restarted" in mara.get("/apps/shop").text


def test_a_component_with_the_key_is_scaled_on_the_page(shop: Site) -> None:
    mara, grace = shop.signed_in("mara"), shop.signed_in("grace", Role.VIEWER, "shop")
    assert "scale-web" not in mara.get("/apps/shop").text
    shop.w.edit(replicas=2, components={"worker": {"command": ["work"], "health": {"uptime": "1s"}}})
    shop.w.upgraded("v1")
    page = mara.get("/apps/shop").text
    assert re.findall(r'id="scale-(\w+)"', page) == ["web"]
    assert 'value="2" min="1" max="99"' in page
    assert "scale-web" not in grace.get("/apps/shop").text
    assert "scale-web" not in mara.get("/apps/shop/versions/v1?release=1").text
    assert mara.post("/apps/shop/scale", component="web", replicas="3").status_code == 303
    assert sum(one.component == "web" and one.release == 2 for one in shop.w.ledger.instances(SHOP)) == 3
    assert "The file says 2." in mara.get("/apps/shop").text
