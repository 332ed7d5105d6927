"""What ends along with a right: tokens, and changes in progress. Nothing is left of an admin who was removed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from deployctl.domain.host.access import ALL, Role, given
from deployctl.domain.images.image_source import PullPolicy
from deployctl.errors import NotPermitted, Refused
from deployctl.ledger.file.schema import schema
from deployctl.usecases.access.tokens import create_token, find_token, revoke_token
from deployctl.usecases.access.users import add_user, remove_user, set_role
from deployctl.usecases.setup.doctor import findings
from tests.unit.api_world import Program, problem, slow
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP, World, world

ADMIN = given(Role.ADMIN, [])


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """mara and root are admins; mara has the tokens ci and look, the server has grafana."""
    with world(tmp_path) as made:
        for name in ("mara", "root"):
            add_user(name, ADMIN, made.s)
        create_token("ci", ADMIN, made.s, owner="mara")
        create_token("look", given(Role.VIEWER, ["shop"]), made.s, owner="mara")
        create_token("grafana", given(Role.VIEWER, []), made.s)
        yield made


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """shop serves v2; root is an admin."""
    with site(tmp_path, "v1", "v2") as made:
        made.signed_in("root")
        yield made


def in_use(w: World) -> dict[str, str | None]:
    """Return the tokens that still sign in, with their owners."""
    return {token.name: token.owner for token in w.ledger.tokens() if not token.revoked_at}


# -- the use cases ------------------------------------------------------------------------------------------------------
def test_the_tokens_of_who_is_removed_end(w: World) -> None:
    went = remove_user("mara", w.s)
    assert (in_use(w), set(went.ended), went.handed_over) == ({"grafana": None}, {"ci", "look"}, ())
    told = [event["text"] for event in w.ledger.events(limit=9) if event["kind"] == "token_revoked"]
    assert sorted(told) == [f"the token {name} was revoked together with the rights of mara" for name in ("ci", "look")]


def test_they_are_handed_over_to_another_admin_and_end_with_that_one(w: World) -> None:
    went = remove_user("mara", w.s, hand_over="root")
    assert (in_use(w), went.ended) == ({"ci": "root", "look": "root", "grafana": None}, ())
    add_user("mara", ADMIN, w.s)
    remove_user("root", w.s)
    assert in_use(w) == {"grafana": None}


@pytest.mark.parametrize(("role", "app", "left"), [
    (Role.DEPLOYER, ALL, {"grafana"}), (None, ALL, {"grafana"}), (Role.ADMIN, ALL, {"grafana", "ci", "look"}),
    (Role.VIEWER, "shop", {"grafana", "ci", "look"}), (None, "shop", {"grafana", "ci", "look"})])
def test_they_end_with_the_admin_role_of_the_server_and_no_other(w: World, role: Role | None, app: str, left: set[str]) -> None:
    set_role("mara", role, app, w.s)
    assert in_use(w).keys() == left


@pytest.mark.parametrize("heir", ["nobody", "mara", "jonas"])
def test_who_is_no_other_admin_takes_over_nothing_and_nothing_was_done(w: World, heir: str) -> None:
    add_user("jonas", given(Role.ADMIN, ["shop"]), w.s)
    before = in_use(w)
    for attempt in (lambda: remove_user("mara", w.s, hand_over=heir), lambda: set_role("mara", None, ALL, w.s, hand_over=heir)):
        with pytest.raises(Refused):
            attempt()
    assert (in_use(w), w.ledger.find_user("mara") is not None) == (before, True)


def test_another_user_of_the_name_gets_no_token_back(w: World) -> None:
    remove_user("mara", w.s)
    add_user("mara", ADMIN, w.s)
    assert in_use(w) == {"grafana": None}


def test_nobody_whose_rights_have_ended_makes_a_token(w: World) -> None:
    set_role("mara", Role.DEPLOYER, ALL, w.s)
    with pytest.raises(NotPermitted) as refused:
        create_token("late", ADMIN, w.s, owner="mara")
    assert (refused.value.code, in_use(w)) == ("rights_changed", {"grafana": None})


# -- chains of tokens ---------------------------------------------------------------------------------------------------
def test_what_a_token_made_ends_with_the_person_at_the_beginning(shop: Site) -> None:
    mara = shop.signed_in("mara")
    first = token_by_page(mara, "first")
    second = shop.browser().ask("POST", "/api/v1/tokens", json={"name": "second", "scope": "admin"},
                                headers={"Authorization": f"Bearer {first}"}).get_json()["secret"]
    third = shop.browser().ask("POST", "/api/v1/tokens", json={"name": "third", "scope": "read"},
                               headers={"Authorization": f"Bearer {second}"}).get_json()["secret"]
    remove_user("mara", shop.w.s)
    for secret in (first, second, third):
        assert shop.browser().ask("GET", "/api/v1/apps", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_what_a_revoked_token_has_made_is_named(shop: Site) -> None:
    ci = Program(shop)
    made = ci.post("tokens", {"name": "left-behind", "scope": "admin"}).get_json()
    assert made["owner"] is None, "a token of the command line makes more of the server's own"
    told = Program(shop, "other").delete("tokens/ci").get_json()
    assert (told["made_with_it"], told["details"]) == (["left-behind"], ["created with it and still in use: left-behind"])


def token_by_page(browser: Browser, name: str) -> str:
    """Return the secret of a token that was made on the page of settings."""
    browser.get("/settings")
    page = browser.post("/settings/tokens", name=name, scope="admin", days="", apps="").text
    return page.partition('<p class="once">')[2].partition("<")[0]


# -- the API and the page -----------------------------------------------------------------------------------------------
def test_the_api_ends_them_when_nothing_is_said_and_hands_over_when_it_is(shop: Site) -> None:
    root, mara = Program(shop, "boss"), shop.signed_in("mara")
    token_by_page(mara, "ci")
    [told] = [one for one in root.get("tokens").get_json()["tokens"] if one["name"] == "ci"]
    assert told["owner"] == "mara"
    problem(root.delete("users/mara?hand_over=nobody"), 409, "refused")
    told = root.post("users/mara/role", {"role": "viewer", "hand_over": "root"}).get_json()
    assert (told["tokens_handed_over"], told["tokens_ended"]) == (["ci"], [])
    shop.signed_in("jonas")
    told = root.delete("users/root").get_json()
    assert (told["tokens_ended"], told["details"]) == (["ci"], ["tokens revoked: ci"])


def test_the_page_names_them_asks_and_ends_them_when_nothing_is_chosen(shop: Site) -> None:
    mara, root = shop.signed_in("mara"), shop.signed_in("root")
    for name in ("ci", "backup"):
        token_by_page(mara, name)
    page = root.get("/settings").text
    assert "Tokens of mara: backup, ci. Without the admin role they end, or go to" in page
    root.post("/settings/users/mara/role", role="deployer", hand_over="root")
    assert {"ci": "root", "backup": "root"}.items() <= in_use(shop.w).items()
    shop.signed_in("jonas").get("/settings")
    jonas = shop.signed_in("jonas")
    jonas.get("/settings")
    jonas.post("/settings/users/root/remove")
    assert not {"ci", "backup"} & in_use(shop.w).keys()
    assert "Tokens revoked: backup, ci." in jonas.get("/settings").text


# -- changes in progress -------------------------------------------------------------------------------------------------
def test_what_was_begun_by_a_right_that_ends_is_asked_to_stop(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ci = Program(shop, "ci", Role.DEPLOYER)
    opened, go = threading.Event(), threading.Event()
    shop.web_state.waits.glance = 0.05
    plan = shop.w.s.engine.__class__.ensure_created

    def waits(*words: object, **more: object) -> object:
        opened.set()
        assert go.wait(10)
        return plan(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.w.s.engine.__class__, "ensure_created", waits)
    job = ci.post("apps/shop/upgrade", {"version": "v3"}).get_json()["id"]
    assert opened.wait(10)
    went = revoke_token("ci", shop.w.s)
    go.set()
    assert went.stopped == ("upgrade of shop",)
    found = shop.web_state.jobs.find(job)
    assert found is not None
    assert found.wait(10)
    assert (found.error is not None and found.error.code, shop.w.active) == ("aborted", "v2")


def test_whoever_stands_in_line_is_let_in_by_the_right_of_then(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(shop.w.clock), "sleep", lambda _clock, _seconds: threading.Event().wait(0.02))
    jonas = shop.signed_in("jonas", Role.DEPLOYER)
    token = shop.w.ledger.take_lease(SHOP, holder="root (cli)", verb="upgrade", at=shop.w.clock.utc())
    assert isinstance(token, int)
    jonas.get("/apps/shop")
    jonas.post("/apps/shop/rollback", to_version="v1", wait="yes", yes="yes")
    [job] = shop.web_state.jobs.under_way(SHOP)
    with shop.w.beside() as other:
        set_role("jonas", Role.VIEWER, ALL, other)
    shop.w.ledger.give_lease_back(SHOP, token)
    assert job.wait(10)
    assert (job.error is not None and job.error.code, shop.w.active) == ("rights_changed", "v2")


def test_a_right_that_ends_while_an_image_is_pulled_moves_no_traffic(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ci = Program(shop, "ci", Role.DEPLOYER)
    pull = shop.w.s.engine.__class__.find_image

    def ends_first(*words: object) -> object:
        with shop.w.beside() as other:
            if find_token(ci.secret, other, address="-"):
                revoke_token("ci", other)
        return pull(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.w.s.engine.__class__, "find_image", ends_first)
    problem(ci.post("apps/shop/upgrade", {"version": "v3", "pull": PullPolicy.NEVER}), 403, "rights_changed")
    assert shop.w.active == "v2"


def test_what_somebody_has_under_way_who_keeps_the_right_goes_on(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara = shop.signed_in("mara")
    mara.get("/apps/shop")
    with slow(shop, monkeypatch, "upgrade"):
        mara.post("/apps/shop/upgrade", version="v3")
        [job] = shop.web_state.jobs.under_way(SHOP)
        with shop.w.beside() as other:
            set_role("mara", Role.DEPLOYER, ALL, other)
    assert job.wait(10)
    assert (job.error, shop.w.active) == (None, "v3")


# -- tokens of before ---------------------------------------------------------------------------------------------------
def test_tokens_of_before_end_with_who_made_them_as_far_as_that_is_known() -> None:
    with closing(sqlite3.connect(":memory:")) as raw:
        require_owners(Database(raw))


def require_owners(db: Database) -> None:
    schema.apply(db, stop_before="m016_token_owner")
    made = [("page", "mara (web)"), ("cli", "mara (cli)"), ("child", "page (token)"), ("grandchild", "child (token)"),
            ("server", "cli (token)"), ("odd", "mara"), ("orphan", "gone (token)")]
    for name, by in made:
        db.execute("insert into tokens(name, hash, roles, created_at, created_by) values (?, ?, '{}', '', ?)", [name, name, by])
    schema.apply(db)
    assert {row["name"]: row["owner"] for row in db.query("select name, owner from tokens")} == {
        "page": "mara", "cli": None, "child": "mara", "grandchild": "mara", "server": None, "odd": None, "orphan": None}


def test_doctor_names_tokens_whose_maker_is_no_admin_any_more(w: World) -> None:
    w.ledger.set_roles("mara", given(Role.VIEWER, []))  # as the builds did that left the tokens
    found = {one.fix: one.message for one in findings(w.s) if one.name == "token"}
    assert found.keys() == {"deployctl token revoke ci", "deployctl token revoke look"}
    assert "mara, who created it, is no longer an admin" in found["deployctl token revoke ci"]
