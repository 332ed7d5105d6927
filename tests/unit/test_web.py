"""The dashboard as browsers and attackers see it: who gets in, what a form may do, and what a stale page may not."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role, given
from deployctl.errors import LedgerUnusable, NotPermitted
from deployctl.usecases.access.sign_in import end_sessions
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, make_link, remove_user, set_password
from deployctl_web.address import WebAddress, signing_key
from deployctl_web.security.authorization import EVERYBODY, rule_of
from tests.unit.web_world import HERE, PLACE, Site, site

PHRASE = "correct horse battery"


# -- the one button -----------------------------------------------------------------------------------------------------
def test_the_button_rolls_back_and_undo_comes_back_without_the_hold(shop: Site) -> None:
    mara = shop.signed_in("mara")
    page = mara.get("/apps/shop").text
    assert "Roll back to v1" in page
    assert mara.post("/apps/shop/rollback", to_version="v1").status_code == 303
    assert (shop.w.serving, shop.w.held()) == ("v1", {"v2"})
    page = mara.get("/apps/shop").text
    assert "Traffic is on v1. Took " in page
    assert "mara (web)" in page
    assert mara.post("/apps/shop/undo", yes="yes").status_code == 303
    assert (shop.w.serving, shop.w.held()) == ("v2", set())


def test_a_stale_page_moves_nothing_and_says_who_was_faster(shop: Site) -> None:
    mara, jonas = shop.signed_in("mara"), shop.signed_in("jonas")
    mara.get("/apps/shop"), jonas.get("/apps/shop")
    jonas.post("/apps/shop/rollback", to_version="v1")
    late = mara.post("/apps/shop/rollback", to_version="v1")
    assert late.status_code == 409
    assert "by jonas, dashboard. Your click was not carried out." in late.text
    assert [c.kind for c in shop.w.ledger.changes(shop.w.ledger.apps()[0].name)].count("rollback") == 1


def test_a_form_without_its_revision_does_nothing(shop: Site) -> None:
    mara = shop.signed_in("mara")
    mara.get("/apps/shop")
    for revision in ("", "x", "-1", "1" * 13, "\u0661"):
        assert mara.post("/apps/shop/rollback", to_version="v1", revision=revision).status_code == 400
    assert shop.w.serving == "v2"


def test_a_form_of_a_page_that_was_open_during_an_update_still_names_its_target(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2", "v3") as made:
        mara = made.signed_in("mara")
        mara.get("/apps/shop")
        assert mara.post("/apps/shop/rollback", to="v1", to_version="v2").status_code == 400
        assert made.w.serving == "v3"
        assert mara.post("/apps/shop/rollback", to="v1", sure="yes").status_code == 303
        assert made.w.serving == "v1", "without a target it would be v2"
        mara.get("/apps/shop")
        assert mara.post("/apps/shop/stop", version="v1", sure="yes").status_code == 303
        assert made.w.serving is None


# -- getting in ---------------------------------------------------------------------------------------------------------
def test_nobody_sees_anything_without_signing_in_and_the_pages_to_do_so_are_the_only_open_ones(shop: Site) -> None:
    stranger = shop.browser()
    open_ones = set()
    for rule in shop.app.url_map.iter_rules():
        if rule_of(shop.app, rule.endpoint) == EVERYBODY:
            open_ones.add(rule.endpoint)
            continue
        path = rule.rule.replace("<app:app>", "shop")
        assert stranger.get(path).status_code in {401, 405}, path
    assert open_ones == {"static", "sign_in.page", "sign_in.enter", "sign_in.start", "sign_in.enter_by_link",
                         "monitoring.healthz"}


def test_every_route_has_a_rule(shop: Site) -> None:
    without = [r.endpoint for r in shop.app.url_map.iter_rules() if rule_of(shop.app, r.endpoint) is None]
    assert without == []


def test_a_password_signs_in_and_goes_on_where_one_wanted_to_be(shop: Site) -> None:
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    set_password("mara", PHRASE, shop.w.s)
    browser = shop.browser()
    browser.get("/login?next=/apps/shop")
    wrong = browser.post("/login", name="mara", password="wrong wrong wrong", next="/apps/shop")
    assert (wrong.status_code, "Wrong user name or password" in wrong.text) == (401, True)
    done = browser.post("/login", name="mara", password=PHRASE, next="/apps/shop")
    assert (done.status_code, done.location) == (302, "/apps/shop")
    assert browser.get("/apps/shop").status_code == 200


@pytest.mark.parametrize("after", ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example",
                                   "/x%0d%0aSet-Cookie:a=b", "/\r\nSet-Cookie: a=b", "/no/such/page", "javascript:alert(1)"])
def test_after_signing_in_nobody_is_sent_elsewhere(shop: Site, after: str) -> None:
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    set_password("mara", PHRASE, shop.w.s)
    browser = shop.browser()
    browser.get("/login")
    assert browser.post("/login", name="mara", password=PHRASE, next=after).location == "/"


def test_the_sixth_attempt_in_a_minute_from_one_address_is_not_heard(shop: Site) -> None:
    browser = shop.browser()
    browser.get("/login")
    codes = [browser.post("/login", name=f"nobody{n}", password="wrong wrong wrong").status_code for n in range(7)]
    assert codes == [401] * 5 + [429] * 2


def test_looking_at_a_link_does_not_use_it_up_and_using_it_does(shop: Site) -> None:
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    link, first, second = make_link("mara", shop.w.s), shop.browser(), shop.browser()
    first.get(f"/start/{link}"), second.get(f"/start/{link}")
    assert "/apps/shop" in first.get(f"/start/{link}?next=/apps/shop").text
    assert first.post(f"/start/{link}", next="/apps/shop").location == "/apps/shop"
    assert second.post(f"/start/{link}").status_code == 401


def test_a_link_that_was_used_or_has_expired_says_so_and_how_to_get_another(shop: Site) -> None:
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    used, browser = make_link("mara", shop.w.s), shop.browser()
    browser.get(f"/start/{used}")
    browser.post(f"/start/{used}")
    late = make_link("mara", shop.w.s)
    shop.w.clock.sleep(16 * 60)
    for link in (used, late, "never-was-one"):
        again = shop.browser()
        again.get(f"/start/{link}")
        told = again.post(f"/start/{link}")
        assert told.status_code == 401
        assert "This link was already used or has expired. A link is valid once, for 15 minutes." in told.text
        assert "deployctl user link NAME" in told.text
        assert "user name or password" not in told.text


@pytest.mark.parametrize(("end", "why"), [
    (lambda shop: end_sessions("mara", shop.w.s), "Your session was ended"),
    (lambda shop: shop.w.clock.sleep(13 * 3600), "it was idle for 12 hours"),
    (lambda shop: remove_user("mara", shop.w.s), "no longer known here"),
])  # fmt: skip
def test_a_session_that_is_over_says_why_and_leads_back_to_where_one_was(
    shop: Site, end: Callable[[Site], object], why: str
) -> None:
    add_user("jo", given(Role.ADMIN, []), shop.w.s)
    mara = shop.signed_in("mara")
    end(shop)
    told = mara.get("/apps/shop/logs?q=error&since=1h")
    assert told.status_code == 401
    assert why in told.text
    assert "next=/apps/shop/logs?q%3Derror%26since%3D1h" in unescape(told.text)
    page = mara.get("/login?next=/apps/shop/logs?q%3Derror%26since%3D1h&undone=yes")
    assert why in page.text
    assert "Your last action was not carried out." in page.text
    add_user("mara", given(Role.ADMIN, []), shop.w.s) if shop.w.ledger.find_user("mara") is None else None
    link = make_link("mara", shop.w.s)
    mara.get(f"/start/{link}")  # printed in a terminal: it knows nothing of the page
    assert mara.post(f"/start/{link}", next="").location == "/apps/shop/logs?q=error&since=1h"


def test_a_form_that_met_the_end_of_the_session_says_that_nothing_was_done(shop: Site) -> None:
    mara = shop.signed_in("mara")
    mara.get("/apps/shop")
    form = {"csrf_token": mara.field("csrf_token"), "revision": "2", "to_version": "v1"}
    end_sessions("mara", shop.w.s)
    told = mara.send("/apps/shop/rollback", form, Referer=f"http://{HERE}/apps/shop?span=1h")
    assert told.status_code == 401
    assert "Nothing was done." in told.text
    assert "next=/apps/shop?span%3D1h" in unescape(told.text)
    assert "Your session" not in shop.browser().get("/apps/shop").text


def test_a_cookie_from_before_the_signing_in_and_one_from_after_the_signing_out_open_nothing(shop: Site) -> None:
    mara = shop.signed_in("mara")
    kept = mara.client.get_cookie(mara.session_name, domain="127.0.0.1")
    mara.get("/")
    assert mara.post("/logout").status_code == 302
    assert mara.get("/").status_code == 401
    assert kept is not None
    mara.client.set_cookie(mara.session_name, kept.value, domain="127.0.0.1")
    assert mara.get("/").status_code == 401


# -- who may what -------------------------------------------------------------------------------------------------------
def test_a_viewer_looks_and_moves_nothing(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.VIEWER)
    page = jonas.get("/apps/shop").text
    assert "Roll back" not in page
    assert "You need the deployer role to switch traffic." in page
    refused = jonas.post("/apps/shop/rollback", to_version="v1", revision="2", csrf_token=shop_token(jonas.page))
    assert refused.status_code == 403
    assert shop.w.serving == "v2"


def shop_token(page: str) -> str:
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def test_an_app_of_others_is_not_there(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.ADMIN, "blog")
    assert "/apps/shop" not in jonas.get("/").text
    assert jonas.get("/apps/shop").status_code == jonas.get("/apps/nothing").status_code == 404
    assert jonas.get("/apps/shop").text == jonas.get("/apps/nothing").text.replace("nothing", "shop")
    assert jonas.post("/apps/shop/rollback", to_version="v1", revision="2").status_code == 404


def test_a_token_needs_no_form_but_the_right_role(shop: Site) -> None:
    may, may_not = (create_token(name, given(role, ["shop"]), shop.w.s).secret
                    for name, role in (("deploy", Role.DEPLOYER), ("look", Role.VIEWER)))
    for secret, code in (("dctl_wrong", 401), (may_not, 403), (may, 303)):
        form = {"to_version": "v1", "revision": "2"}
        told = shop.browser().send("/apps/shop/rollback", form, Authorization=f"Bearer {secret}")
        assert told.status_code == code
    assert shop.w.serving == "v1"
    assert shop.browser().get("/", headers={"Authorization": "Basic eDp5"}).status_code == 401


# -- forgeries ----------------------------------------------------------------------------------------------------------
def test_what_another_site_sends_is_refused(shop: Site) -> None:
    mara = shop.signed_in("mara")
    mara.get("/apps/shop")
    good = {"to_version": "v1", "revision": mara.field("revision"), "csrf_token": mara.field("csrf_token")}
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        ({**good, "csrf_token": ""}, {}), ({**good, "csrf_token": "x"}, {}), (good, {"Origin": "https://evil.example"}),
        (good, {"Origin": "null"}), (good, {"Sec-Fetch-Site": "cross-site"}), (good, {"Sec-Fetch-Site": "same-site"})]
    for form, headers in attempts:
        assert mara.send("/apps/shop/rollback", form, **headers).status_code == 403
    assert shop.w.serving == "v2"
    assert mara.send("/apps/shop/rollback", good, Origin="http://127.0.0.1:8900").status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:8901", "", "127.0.0.1:8900, evil"])
def test_another_name_than_ours_is_answered_nothing(shop: Site, host: str) -> None:
    mara = shop.signed_in("mara")
    mara.host = host
    assert mara.get("/").status_code == 421
    assert mara.get("/login").status_code == 421


@pytest.mark.parametrize("host", ["localhost:8900", "[::1]:8900", "127.0.0.1:8900"])
def test_our_own_names_are_answered(shop: Site, host: str) -> None:
    browser = shop.browser()
    browser.host = host
    assert browser.get("/login").status_code == 200


def test_nothing_is_changed_by_a_get(shop: Site) -> None:
    mara = shop.signed_in("mara")
    for path in ("/apps/shop/rollback", "/apps/shop/undo", "/logout"):
        assert mara.get(path).status_code == 405
        assert mara.get(f"{path}?_method=POST&to=v1").status_code == 405


def test_every_answer_carries_the_headers_that_keep_strangers_out(shop: Site) -> None:
    mara = shop.signed_in("mara")
    for path in ("/", "/apps/shop", "/login", "/nothing", "/static/deployctl.css"):
        with mara.get(path) as answer:
            told = answer.headers
        assert "default-src 'none'" in told["Content-Security-Policy"], path
        assert "frame-ancestors 'none'" in told["Content-Security-Policy"]
        assert told["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in mara.get("/").headers["Cache-Control"]


def test_no_page_has_a_style_or_a_script_of_its_own(shop: Site) -> None:
    mara = shop.signed_in("mara")
    for path in ("/", "/apps/shop", "/login", "/nothing"):
        page = mara.get(path).text
        assert "style=" not in page
        assert "<style" not in page
        assert "onclick" not in page


def test_under_tls_the_cookie_is_bound_to_this_host(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        config = made.app.config
        assert (config["SESSION_COOKIE_NAME"], config["SESSION_COOKIE_SECURE"]) == (f"deployctl_{PLACE.home_id}", False)
    place = WebAddress(("127.0.0.1", 8900), "https://deploy.example.com", b"k" * 32)
    assert place.secure
    assert "deploy.example.com" in place.hosts
    assert "https://deploy.example.com" in place.origins


def test_what_broke_inside_is_told_by_a_number_only(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object, **_more: object) -> None:
        raise RuntimeError("the secret is hunter2")

    mara = shop.signed_in("mara")
    monkeypatch.setattr("deployctl_web.pages.apps._mine", broken)
    told = mara.get("/")
    assert told.status_code == 500
    assert "error " in told.text
    assert "hunter2" not in told.text
    assert "Traceback" not in told.text


# -- the key ------------------------------------------------------------------------------------------------------------
def test_the_key_is_made_once_for_us_alone_and_a_weak_one_is_refused(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    path = tmp_path / "web.key"
    assert (len(key), signing_key(tmp_path), path.stat().st_mode & 0o777) == (32, key, 0o600)
    path.chmod(0o644)
    with pytest.raises(NotPermitted):
        signing_key(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(NotPermitted):
        signing_key(tmp_path)


def test_who_has_not_signed_in_is_not_told_where_files_lie(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object, **_more: object) -> None:
        raise LedgerUnusable("/srv/deploy/state/ledger.db is not a trustworthy ledger")

    stranger = shop.browser()
    stranger.get("/login")
    monkeypatch.setattr("deployctl_web.pages.sign_in.sign_in", broken)
    told = stranger.post("/login", name="mara", password=PHRASE)
    assert told.status_code == 503
    assert "/srv" not in told.text
    assert "Traffic is not affected." in told.text


def test_nobody_learns_the_names_of_apps_that_he_may_not_see(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.ADMIN, "shopp")
    for path in ("/apps/shopp", "/api/v1/apps/shopp"):
        told = jonas.get(path)
        assert told.status_code == 404
        assert "shopp" in told.text
        assert "Did you mean" not in told.text
