"""People, tokens and tenants: what is one's own, what an admin of the server may, and what nobody hears of."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployctl.domain.host.access import Origin, Role, given
from deployctl.usecases.access.sign_in import WrongSignIn, sign_in
from deployctl.usecases.access.users import add_user, set_password
from tests.unit.api_world import Program, problem, script, slow
from tests.unit.web_world import Site, site

OLD_WORDS, WORDS = "the words of last year", "a few words that are hard to guess"


@pytest.fixture
def admin(shop: Site) -> Program:
    return Program(shop, "root")


# -- users --------------------------------------------------------------------------------------------------------------
def test_a_user_is_made_signs_in_by_the_link_and_is_removed(shop: Site, admin: Program) -> None:
    told = admin.post("users", {"name": "mara", "role": "deployer", "apps": ["shop"]}).get_json()
    assert (told["name"], told["roles"], told["password"]) == ("mara", {"shop": "deployer"}, False)
    link, browser = told["link"]["url"].rpartition("/")[2], shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 302
    assert script(browser, "GET", "apps").get_json()["apps"][0]["app"] == "shop"
    assert admin.get("users").get_json()["users"][0]["sessions"] == 1
    assert admin.delete("users/mara").get_json()["summary"] == "mara was deleted and signed out everywhere"
    problem(script(browser, "GET", "apps"), 401, "not_signed_in")
    problem(admin.delete("users/mara"), 404, "not_found")


def test_a_name_is_taken_once(admin: Program) -> None:
    assert admin.post("users", {"name": "mara", "role": "viewer"}).status_code == 200
    problem(admin.post("users", {"name": "mara", "role": "admin"}), 409, "refused")


def test_a_role_is_given_for_an_app_and_taken_away(shop: Site, admin: Program) -> None:
    admin.post("users", {"name": "mara", "role": "viewer"})
    told = admin.post("users/mara/role", {"role": "admin", "app": "shop"}).get_json()
    assert told["roles"] == {"*": "viewer", "shop": "admin"}
    assert admin.post("users/mara/role", {"role": None}).get_json()["roles"] == {"shop": "admin"}
    problem(admin.post("users/mara/role", {}), 400, "invalid")
    problem(admin.post("users/eve/role", {"role": "admin"}), 404, "not_found")


def test_the_last_admin_stays(admin: Program) -> None:
    admin.post("users", {"name": "mara", "role": "admin"})
    problem(admin.post("users/mara/role", {"role": "viewer"}), 409, "refused")
    problem(admin.delete("users/mara"), 409, "refused")


# -- what is one's own --------------------------------------------------------------------------------------------------
def test_whoever_changes_his_own_password_says_the_one_until_now(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.VIEWER)
    set_password("jonas", OLD_WORDS, shop.w.s, keep=1)
    other = shop.signed_in("jonas", Role.VIEWER)
    told = problem(script(jonas, "POST", "users/jonas/password", {"password": WORDS}), 403, "not_permitted")
    assert "The current password is wrong" in told["detail"]
    problem(script(jonas, "POST", "users/jonas/password", {"password": WORDS, "current_password": WORDS}), 403, "not_permitted")
    assert script(jonas, "POST", "users/jonas/password", {"password": WORDS, "current_password": OLD_WORDS}).status_code == 200
    assert script(jonas, "GET", "apps").status_code == 200
    problem(script(other, "GET", "apps"), 401, "not_signed_in")
    assert sign_in("jonas", WORDS, Origin(), shop.w.s)
    with pytest.raises(WrongSignIn):
        sign_in("jonas", OLD_WORDS, Origin(), shop.w.s)


def test_guessing_the_password_until_now_has_an_end(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.VIEWER)
    set_password("jonas", OLD_WORDS, shop.w.s, keep=1)
    codes = [script(jonas, "POST", "users/jonas/password", {"password": WORDS, "current_password": f"guess {n}"}).status_code
             for n in range(7)]
    assert codes == [403] * 5 + [429] * 2


def test_whoever_came_by_a_link_gives_himself_a_password(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.VIEWER)
    assert script(jonas, "POST", "users/jonas/password", {"password": WORDS}).status_code == 200
    assert sign_in("jonas", WORDS, Origin(), shop.w.s)


def test_an_admin_gives_anybody_a_password_and_others_only_themselves(shop: Site, admin: Program) -> None:
    jonas = shop.signed_in("jonas", Role.DEPLOYER)
    add_user("mara", given(Role.VIEWER, []), shop.w.s)
    problem(script(jonas, "POST", "users/mara/password", {"password": WORDS}), 403, "not_permitted")
    problem(script(jonas, "POST", "users/nobody/password", {"password": WORDS}), 403, "not_permitted")
    assert admin.post("users/mara/password", {"password": WORDS}).status_code == 200
    problem(admin.post("users/nobody/password", {"password": WORDS}), 404, "not_found")


def test_sessions_are_listed_and_ended_by_who_has_them(shop: Site, admin: Program) -> None:
    jonas, again, mara = (shop.signed_in(name, Role.VIEWER) for name in ("jonas", "jonas", "mara"))
    listed = script(jonas, "GET", "sessions").get_json()
    assert (listed["user"], len(listed["sessions"])) == ("jonas", 2)
    newest = listed["sessions"][0]["id"]
    problem(script(jonas, "GET", "sessions?user=mara"), 403, "not_permitted")
    problem(script(mara, "DELETE", f"sessions/{newest}"), 404, "not_found")
    assert script(jonas, "DELETE", f"sessions/{newest}").status_code == 200
    problem(script(again, "GET", "apps"), 401, "not_signed_in")
    assert len(admin.get("sessions?user=mara").get_json()["sessions"]) == 1
    problem(script(jonas, "POST", "users/mara/end"), 403, "not_permitted")
    assert admin.post("users/mara/end").get_json()["summary"] == "1 session of mara ended"
    assert admin.post("users/mara/end").get_json()["changed"] is False
    assert script(jonas, "POST", "users/jonas/end").status_code == 200
    problem(script(jonas, "GET", "apps"), 401, "not_signed_in")


def test_a_token_with_the_name_of_a_user_is_not_that_user(shop: Site) -> None:
    shop.signed_in("mara", Role.VIEWER)
    token = Program(shop, "mara", Role.VIEWER)
    session = shop.w.ledger.sign_ins("mara")[0].id
    problem(token.get("sessions"), 403, "not_permitted")
    problem(token.get("sessions?user=mara"), 403, "not_permitted")
    problem(token.delete(f"sessions/{session}"), 404, "not_found")
    problem(token.post("users/mara/end"), 403, "not_permitted")
    problem(token.post("users/mara/password", {"password": WORDS}), 403, "not_permitted")


# -- tokens -------------------------------------------------------------------------------------------------------------
def test_a_token_is_made_used_and_revoked(shop: Site, admin: Program) -> None:
    made = admin.post("tokens", {"name": "ci-shop", "scope": "deploy", "apps": ["shop"], "days": 1}).get_json()
    assert (made["roles"], made["state"], made["expires_at"][:10]) == ({"shop": "deployer"}, "in_use", "2026-01-02")
    ci = Program(shop, "helper")
    ci.secret = made["secret"]
    assert ci.post("apps/shop/rollback", {"to_version": "v1"}).status_code == 200
    problem(admin.post("tokens", {"name": "ci-shop", "scope": "read"}), 409, "refused")
    assert all("secret" not in one for one in admin.get("tokens").get_json()["tokens"])
    told = admin.delete("tokens/ci-shop").get_json()
    assert (told["summary"], told["name"]) == ("token ci-shop is revoked", "ci-shop")
    problem(ci.get("apps"), 401, "not_signed_in")
    assert admin.post("tokens", {"name": "ever", "scope": "read", "days": None}).get_json()["expires_at"] is None


# -- tenants (faults.md 66) ---------------------------------------------------------------------------------------------
def test_of_an_app_of_others_there_is_nothing(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    blog, ci = Program(shop, "blog", Role.ADMIN, "blog"), Program(shop)
    deployment = shop.w.ledger.deployments(shop.w.ledger.apps()[0].name)[0].id
    with slow(shop, monkeypatch, "upgrade"):
        operation = ci.post("apps/shop/upgrade", {"version": "v3"}).get_json()["id"]
        assert ci.get(f"operations/{operation}").status_code == 200
        for path in ("apps/shop", "apps/shop/history", "apps/shop/versions/v1", "apps/shop/diff?from=v1", "apps/shop/logs",
                     "apps/shop/deployments", f"deployments/{deployment}", f"operations/{operation}", "audit?app=shop"):
            problem(blog.get(path), 404, "not_found")
    for verb in ("upgrade", "rollback", "undo", "abort", "hold", "unhold", "start", "stop", "prune"):
        problem(blog.post(f"apps/shop/{verb}", {"version": "v1"}), 404, "not_found")
    assert blog.get("apps").get_json()["apps"] == []
    assert blog.get("audit").get_json()["entries"] == []
    assert "shop" not in blog.get("apps").text


def test_people_and_tokens_are_told_of_to_admins_of_the_server_only(shop: Site, admin: Program) -> None:
    admin.post("users", {"name": "mara", "role": "viewer"})
    for program in (Program(shop, "v", Role.VIEWER), Program(shop, "d", Role.ADMIN, "shop")):
        told = program.get("audit?limit=1000").get_json()["entries"]
        assert told
        assert {one["app"] for one in told} == {"shop"}
    assert {None, "shop"} <= {one["app"] for one in admin.get("audit?limit=1000").get_json()["entries"]}


def test_variables_that_may_be_secrets_are_shown_to_admins_of_the_app_only(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        made.w.upgrade("v2", env={"DB_PASSWORD": "hunter2", "LOG_LEVEL": "debug"})
        seen = {}
        for name, role, apps in (("v", Role.VIEWER, []), ("d", Role.DEPLOYER, ["shop"]), ("a", Role.ADMIN, ["shop"])):
            program = Program(made, name, role, *apps)
            env = dict(program.get("apps/shop/versions/v2").get_json()["bundle"]["env"])
            lines = {one["name"]: one["after"] for one in program.get("apps/shop/diff?from=v1&to=v2").get_json()["differences"]}
            assert env["DB_PASSWORD"] == lines["DB_PASSWORD"]
            assert env["LOG_LEVEL"] == lines["LOG_LEVEL"] == "debug"
            seen[name] = env["DB_PASSWORD"]
        assert seen == {"v": "<hidden>", "d": "<hidden>", "a": "hunter2"}
