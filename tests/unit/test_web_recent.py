"""A cookie alone makes no token, no person and no role: for that, somebody has signed in a moment ago."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role, given
from deployctl.usecases.access.sign_in import RECENT_SIGN_IN_SECONDS, list_sessions
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, make_link, set_password
from deployctl_web.security.authorization import rule_of
from tests.unit.web_world import Browser, Site, site

PHRASE = "four plain words here"
SENSITIVE = {
    "/settings/users": {"name": "eve", "role": "admin"},
    "/settings/users/jonas/link": {},
    "/settings/users/jonas/role": {"role": "admin"},
    "/settings/users/jonas/remove": {},
    "/settings/tokens": {"name": "eve", "scope": "admin"},
    "/settings/tokens/ci/revoke": {},
}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/v1/users", {"name": "eve", "role": "admin"}),
    ("POST", "/api/v1/users/jonas/link", {}),
    ("POST", "/api/v1/users/jonas/role", {"role": "admin"}),
    ("POST", "/api/v1/users/jonas/password", {"password": PHRASE}),
    ("DELETE", "/api/v1/users/jonas", {}),
    ("POST", "/api/v1/tokens", {"name": "eve", "scope": "admin"}),
    ("DELETE", "/api/v1/tokens/ci", {}),
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1") as made:
        add_user("jonas", given(Role.VIEWER, []), made.w.s)
        create_token("ci", given(Role.DEPLOYER, []), made.w.s)
        yield made


@pytest.fixture
def mara(shop: Site) -> Browser:
    """An admin with a password, who signed in longer ago than is recent."""
    found = shop.signed_in("mara")
    set_password("mara", PHRASE, shop.w.s, keep=list_sessions("mara", shop.w.s)[0].id)
    return later(shop, found)


def later(shop: Site, browser: Browser) -> Browser:
    shop.w.clock.sleep(RECENT_SIGN_IN_SECONDS + 1)
    browser.get("/settings")
    return browser


def state(shop: Site) -> tuple[Any, ...]:
    ledger = shop.w.ledger
    return ([(u.name, dict(u.roles), u.password) for u in ledger.users()],
            [(t.name, t.revoked_at) for t in ledger.tokens()])


@pytest.mark.parametrize("path", SENSITIVE)
def test_a_page_asks_for_the_password_first_and_nothing_is_done(shop: Site, mara: Browser, path: str) -> None:
    before = state(shop)
    told = mara.post(path, **SENSITIVE[path])
    assert told.status_code == 403
    assert 'name="sign_in_again" type="password"' in told.text
    assert state(shop) == before


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_the_api_refuses_a_session_with_a_code(
    shop: Site, mara: Browser, method: str, path: str, body: dict[str, Any]
) -> None:
    before = state(shop)
    told = mara.ask(method, path, json=body, headers={"X-CSRFToken": mara.field("csrf_token")})
    assert (told.status_code, told.get_json()["code"]) == (403, "sign_in_again")
    assert state(shop) == before


def test_a_bare_cookie_that_is_replayed_elsewhere_makes_no_token(shop: Site, mara: Browser) -> None:
    thief, kept = shop.browser(), mara.client.get_cookie(mara.session_name, domain="127.0.0.1")
    assert kept is not None
    thief.client.set_cookie(thief.session_name, kept.value, domain="127.0.0.1")
    thief.get("/settings")
    assert "Create a token" in thief.page, "the cookie is good for looking"
    assert thief.post("/settings/tokens", name="eve", scope="admin").status_code == 403
    assert thief.post("/settings/tokens", name="eve", scope="admin", sign_in_again="a guess of mine").status_code == 403
    assert [token.name for token in shop.w.ledger.tokens()] == ["ci"]


def test_with_the_password_it_goes_on_with_what_was_typed(shop: Site, mara: Browser) -> None:
    asked = mara.post("/settings/tokens", name="nightly", scope="deploy", apps="shop", days="7")
    for name, value in {"name": "nightly", "scope": "deploy", "apps": "shop", "days": "7"}.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in asked.text
    told = mara.post("/settings/tokens", name="nightly", scope="deploy", apps="shop", days="7", sign_in_again=PHRASE)
    assert told.status_code == 200
    assert "dctl_" in told.text
    made = next(token for token in shop.w.ledger.tokens() if token.name == "nightly")
    assert (dict(made.roles), made.created_by) == ({"shop": Role.DEPLOYER}, "mara (web)")
    assert mara.post("/settings/tokens/nightly/revoke").status_code == 303, "and is not asked again for a while"


def test_signing_in_again_ends_the_session_that_a_thief_may_have(shop: Site, mara: Browser) -> None:
    thief, kept = shop.browser(), mara.client.get_cookie(mara.session_name, domain="127.0.0.1")
    assert kept is not None
    thief.client.set_cookie(thief.session_name, kept.value, domain="127.0.0.1")
    mara.post("/settings/tokens", name="nightly", scope="read", sign_in_again=PHRASE)
    assert thief.get("/").status_code == 401
    assert mara.get("/").status_code == 200


def test_a_page_that_was_open_meanwhile_still_sends_its_form(shop: Site, mara: Browser) -> None:
    form = mara.field("csrf_token")
    mara.post("/settings/tokens", name="one", scope="read", sign_in_again=PHRASE)
    assert mara.send("/settings/tokens", {"name": "two", "scope": "read", "csrf_token": form}).status_code == 200


def test_who_has_no_password_goes_on_by_a_link_of_their_own(shop: Site) -> None:
    lena, jonas = later(shop, shop.signed_in("lena")), make_link("jonas", shop.w.s)
    told = lena.post("/settings/tokens", name="one", scope="read")
    assert "deployctl user link lena" in told.text
    typed = lena.post("/settings/tokens", name="one", scope="read", sign_in_again="no link at all")
    assert "either your password nor a valid one-time link" in typed.text
    wrong = lena.post("/settings/tokens", name="one", scope="read", sign_in_again=f"http://127.0.0.1:8900/start/{jonas}")
    assert wrong.status_code == 403, "a link of somebody else is no proof"
    link = make_link("lena", shop.w.s)
    done = lena.post("/settings/tokens", name="one", scope="read", sign_in_again=f" http://127.0.0.1:8900/start/{link}\n")
    assert (done.status_code, "dctl_" in done.text) == (200, True)


def test_a_cookie_of_who_has_no_password_sets_none(shop: Site) -> None:
    lena = later(shop, shop.signed_in("lena"))
    assert lena.post("/settings/password", password=PHRASE, again=PHRASE).status_code == 403
    told = lena.ask("POST", "/api/v1/users/lena/password", json={"password": PHRASE},
                    headers={"X-CSRFToken": lena.field("csrf_token")})
    assert (told.status_code, told.get_json()["code"]) == (403, "sign_in_again")
    user = shop.w.ledger.find_user("lena")
    assert user is not None
    assert user.password is None


def test_passwords_are_not_guessed_there(shop: Site, mara: Browser) -> None:
    for _ in range(5):
        mara.post("/settings/tokens", name="one", scope="read", sign_in_again="a guess of mine")
    told = mara.post("/settings/tokens", name="one", scope="read", sign_in_again=PHRASE)
    assert (told.status_code, "Too many attempts" in told.text) == (403, True)


def test_a_clock_that_was_set_back_makes_no_session_recent(shop: Site) -> None:
    lena = shop.signed_in("lena")
    shop.w.clock._now -= 3600
    lena.get("/settings")
    assert lena.post("/settings/tokens", name="one", scope="read").status_code == 403


def test_a_token_of_scope_admin_goes_on_as_before(shop: Site) -> None:
    secret = create_token("robot", given(Role.ADMIN, []), shop.w.s).secret
    shop.w.clock.sleep(RECENT_SIGN_IN_SECONDS + 1)
    told = shop.browser().ask("POST", "/api/v1/tokens", json={"name": "more", "scope": "read"},
                              headers={"Authorization": f"Bearer {secret}"})
    assert told.status_code == 200


def test_traffic_moves_whenever_one_signed_in(shop: Site, mara: Browser) -> None:
    shop.w.upgraded("v2")
    mara.get("/apps/shop")
    assert mara.post("/apps/shop/rollback", to_version="v1").status_code in {200, 303}


def test_every_route_that_changes_who_gets_in_needs_it(shop: Site) -> None:
    """The routes under users and tokens that change something; who may change only what is their own is not among them."""
    from deployctl_web.security.authorization import RECENT as MARK

    found = {rule.endpoint for rule in shop.app.url_map.iter_rules()
             if {"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set()) and ("users" in rule.rule or "tokens" in rule.rule)
             and rule_of(shop.app, rule.endpoint) is Role.ADMIN}
    assert len(found) == len(SENSITIVE) + len(CALLS) - 1  # the password of others is looked at in its view
    assert [name for name in found if not getattr(shop.app.view_functions[name], MARK)] == []
