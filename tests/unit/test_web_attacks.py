"""Attacks on the dashboard, one test or more for each row of the table of attack cases; its number begins the name.

Tested elsewhere too: 54, 56, 66 and 67 for every route in test_web_matrix.py, the stream in test_web_stream.py, what needs a
socket (57, 72) in test_web_attacks_wire.py. Not here because there is no such feature: 68 and 69 (a shell in a container).
"""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from werkzeug.test import TestResponse

from deployctl.domain.host.access import Role, given
from deployctl.effects.docker.streams import visible
from deployctl.errors import NotPermitted
from deployctl.ports import LogLine
from deployctl.usecases.access import passwords
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, set_password
from deployctl.usecases.change.hold import hold
from deployctl.usecases.change.rollback import rollback
from deployctl_web.address import WebAddress, signing_key
from tests.unit.web_routes import QUERY, all_routes
from tests.unit.web_world import PLACE, Browser, Site, site
from tests.unit.world import SHOP, V1, wish_of_before

PHRASE = "correct horse battery"
TAG = "<img src=x onerror=alert(1)>"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J back\rover \x00 \u202e"
PAGES = [route for route in all_routes() if "GET" in route.methods and route.endpoint not in {"static", "stream.events"}]
pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def mara(shop: Site) -> Browser:
    """An admin who has the page of shop open."""
    found = shop.signed_in("mara")
    found.get("/apps/shop")
    return found


def rollbacks(shop: Site) -> int:
    return [change.kind for change in shop.w.ledger.changes(SHOP)].count("rollback")


def cookie(browser: Browser) -> str:
    found = browser.client.get_cookie(browser.session_name, domain=browser.host.rpartition(":")[0] or browser.host)
    assert found is not None
    return found.value


def with_cookie(shop: Site, value: str) -> Browser:
    thief = shop.browser()
    thief.client.set_cookie(thief.session_name, value, domain="127.0.0.1")
    return thief


def with_password(shop: Site, name: str = "mara") -> Browser:
    """Return the browser of a user with a password, not signed in, with the page to do so open."""
    if shop.w.ledger.find_user(name) is None:
        add_user(name, given(Role.ADMIN, []), shop.w.s)
    set_password(name, PHRASE, shop.w.s)
    browser = shop.browser()
    browser.get("/login")
    return browser


# -- 54 to 57: whose page it is, and under which name -----------------------------------------------------------------
def test_54_a_rollback_that_another_sites_page_sends_does_nothing(shop: Site, mara: Browser) -> None:
    good = {"to_version": "v1", "revision": mara.field("revision"), "csrf_token": mara.field("csrf_token")}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "none"}):
        assert mara.send("/apps/shop/rollback", good, **headers).status_code == 403
    assert mara.send("/apps/shop/rollback", {**good, "csrf_token": ""}).status_code == 403
    assert rollbacks(shop) == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_54_json_that_a_plain_form_can_send_does_nothing(shop: Site, mara: Browser, kind: str) -> None:
    """`text/plain` needs no question of the browser beforehand: a form of any site can send it."""
    for headers in ({}, {"X-CSRFToken": mara.field("csrf_token")}):
        told = mara.ask("POST", "/api/v1/apps/shop/rollback", data=b'{"to_version": "v1"}', content_type=kind,
                        headers={"If-Match": '"2"', **headers})
        assert told.status_code in {400, 403, 404, 415}, told.text
    assert rollbacks(shop) == 0


def test_55_behind_a_proxy_that_ends_tls_forms_of_the_configured_address_work_and_no_others(tmp_path: Path) -> None:
    place = WebAddress(("127.0.0.1", 8900), "https://deploy.example.com", b"k" * 32, "0123456789abcdef")
    with site(tmp_path, "v1", "v2", place=place) as made:
        mara = made.browser()
        mara.host = "deploy.example.com"
        add_user("mara", given(Role.ADMIN, []), made.w.s)
        set_password("mara", PHRASE, made.w.s)
        mara.get("/login")
        outside = {"Origin": "https://deploy.example.com", "Sec-Fetch-Site": "same-origin"}
        form = {"name": "mara", "password": PHRASE, "csrf_token": mara.field("csrf_token")}
        done = mara.send("/login", form, **outside)
        assert (done.status_code, done.location) == (302, "/")
        kept = done.headers["Set-Cookie"]
        assert kept.startswith(f"__Host-deployctl_{place.home_id}=")
        assert all(word in kept for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))
        page = mara.get("/apps/shop")
        assert "max-age=" in page.headers["Strict-Transport-Security"]
        back = {"to_version": "v1", "revision": mara.field("revision"), "csrf_token": mara.field("csrf_token")}
        for wrong in ("http://deploy.example.com", "https://deploy.example.com.evil.example", "https://deploy.example.com:444"):
            assert mara.send("/apps/shop/rollback", back, Origin=wrong).status_code == 403
        assert mara.send("/apps/shop/rollback", back, **outside).status_code in {302, 303}
        assert made.w.serving == "v1"


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "X-Original-Host", "X-Host"])
def test_55_what_a_proxy_says_about_the_name_is_not_believed(shop: Site, mara: Browser, header: str) -> None:
    evil = "host=evil.example" if header == "Forwarded" else "evil.example"
    page = mara.get("/apps/shop", headers={header: evil})
    assert page.status_code == 200
    assert "evil.example" not in page.text
    mara.host = "evil.example"
    assert mara.get("/apps/shop", headers={header: "127.0.0.1:8900"}).status_code == 421


@pytest.mark.parametrize("path", ["/apps/shop/rollback", "/apps/shop/undo", "/logout"])
def test_56_nothing_is_changed_by_looking_whatever_the_request_calls_itself(shop: Site, mara: Browser, path: str) -> None:
    for method in ("GET", "HEAD"):
        for more in ("?_method=POST&to=v1", "?_method=DELETE"):
            told = mara.ask(method, path + more, headers={"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"})
            assert told.status_code == 405
    assert rollbacks(shop) == 0
    assert mara.get("/").status_code == 200


@pytest.mark.parametrize("host", [
    "evil.example", "127.0.0.1.evil.example", "127.0.0.1", "127.0.0.1:80", "[::1]", "", "127.1:8900", "127.0.0.1:8900.",
    "127.0.0.1:8900@evil.example", "2130706433:8900", "LOCALHOST:8900 "])
def test_57_a_name_that_was_rebound_to_our_address_is_answered_nothing(shop: Site, mara: Browser, host: str) -> None:
    mara.host = host
    for path in ("/", "/apps/shop", "/login", "/static/deployctl.css", "/healthz", "/no/such/page"):
        told = mara.get(path)
        assert told.status_code == 421, path
        assert "shop" not in told.text.replace("/apps/shop", "")
    assert mara.ask("POST", "/apps/shop/rollback", data={"to_version": "v1"}).status_code == 421


# -- 58 to 61: sessions -----------------------------------------------------------------------------------------------
def test_58_a_cookie_that_was_planted_before_the_signing_in_is_worth_nothing_after_it(shop: Site) -> None:
    thief = shop.browser()
    thief.get("/login")
    planted = cookie(thief)
    victim = with_password(shop)
    victim.client.set_cookie(victim.session_name, planted, domain="127.0.0.1")
    victim.get("/login")
    assert victim.post("/login", name="mara", password=PHRASE).status_code == 302
    assert cookie(victim) != planted
    assert victim.get("/").status_code == 200
    assert thief.get("/").status_code == 401


@pytest.mark.parametrize("planted", ["junk", "", "mara's"])
def test_58_a_cookie_that_a_script_planted_for_a_longer_path_takes_no_page_from_who_is_signed_in(
    shop: Site, planted: str
) -> None:
    jonas = shop.signed_in("jonas")
    evil = cookie(shop.signed_in("mara")) if planted == "mara's" else planted
    browser, name = Browser(shop.app.test_client(use_cookies=False)), jonas.session_name
    seen = browser.get("/api/v1/sessions", headers={"Cookie": f"{name}={evil}; {name}={cookie(jonas)}"})  # as browsers do
    assert (seen.status_code, seen.get_json()["user"]) == (200, "jonas")


def test_58_signing_in_again_leaves_nothing_of_the_session_before(shop: Site) -> None:
    mara = shop.signed_in("mara")
    before = cookie(mara)
    mara.get("/")
    mara.post("/logout")
    jonas = with_password(shop, "jonas")
    assert jonas.post("/login", name="jonas", password=PHRASE).status_code == 302
    assert len({before, cookie(jonas)}) == 2
    assert with_cookie(shop, before).get("/").status_code == 401


def forged(key: bytes, data: dict[str, Any]) -> str:
    app = Flask("forger")
    app.secret_key = key
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer is not None
    return str(signer.dumps(data))


@pytest.mark.parametrize("key", [b"dev", b"secret", b"change me", b"\0" * 32, b"k" * 31, b"deployctl"])
def test_59_a_cookie_that_was_signed_with_a_key_that_one_can_guess_opens_nothing(shop: Site, key: bytes) -> None:
    real = SecureCookieSessionInterface().get_signing_serializer(shop.app)
    assert real is not None
    mine = dict(real.loads(cookie(shop.signed_in("mara"))))
    assert with_cookie(shop, forged(key, mine)).get("/").status_code == 401


@pytest.mark.parametrize("secret", ["1", "mara", "", "0" * 43, "' or 1=1 --", None])
def test_59_even_our_key_signs_nobody_in_without_a_secret_that_the_ledger_knows(shop: Site, secret: str | None) -> None:
    shop.signed_in("mara")
    for extra in ({}, {"_fresh": True, "_id": "x"}):
        thief = with_cookie(shop, forged(PLACE.key, {"_user_id": secret, **extra}))
        assert thief.get("/").status_code == 401


@pytest.mark.parametrize("value", ["", ".", "x.y.z", "e30.AAAAAA.AAAA", "\xff" * 20, "a" * 3800])
def test_59_a_broken_cookie_is_nobody_and_no_mistake_of_ours(shop: Site, value: str) -> None:
    assert with_cookie(shop, value).get("/").status_code == 401
    assert with_cookie(shop, value).get("/login").status_code == 200


def test_59_a_key_that_others_could_read_or_guess_is_refused_and_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "web.key"
    path.write_bytes(b"x" * 31)
    path.chmod(0o600)
    with pytest.raises(NotPermitted):
        signing_key(tmp_path)
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    path.symlink_to(elsewhere)
    with pytest.raises((NotPermitted, OSError)):
        signing_key(tmp_path)
    assert not elsewhere.exists()


def test_60_a_cookie_that_was_kept_opens_nothing_after_signing_out(shop: Site, mara: Browser) -> None:
    kept, form = cookie(mara), mara.field("csrf_token")
    assert mara.post("/logout").status_code == 302
    thief = with_cookie(shop, kept)
    assert thief.get("/").status_code == 401
    told = thief.send("/apps/shop/rollback", {"to_version": "v1", "revision": "2", "csrf_token": form})
    assert (told.status_code, rollbacks(shop)) == (401, 0)


def test_60_a_password_that_is_changed_ends_the_sessions_of_who_may_have_stolen_it(shop: Site, mara: Browser) -> None:
    other = shop.signed_in("mara")
    set_password("mara", PHRASE, shop.w.s)
    assert (mara.get("/").status_code, other.get("/").status_code) == (401, 401)


def test_60_a_session_that_nobody_uses_for_twelve_hours_is_over(shop: Site, mara: Browser) -> None:
    shop.w.clock.sleep(11 * 3600)
    assert mara.get("/").status_code == 200
    shop.w.clock.sleep(12 * 3600 + 1)
    assert mara.get("/").status_code == 401


@pytest.mark.parametrize("after", [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example",
    "/%0d%0aSet-Cookie:a=b", "/\r\nSet-Cookie: a=b", "/\tx", "/\x00", "javascript:alert(1)", "data:text/html,x",
    "/no/such/page",
    " //evil.example", "/%2f/evil.example", "/.//evil.example", "", "/logout", "/apps/shop/rollback", "/@evil.example"])
def test_61_after_signing_in_one_is_only_ever_sent_to_a_page_of_ours(shop: Site, after: str) -> None:
    browser = with_password(shop)
    done = browser.post("/login", name="mara", password=PHRASE, next=after)
    assert (done.status_code, done.location) == (302, "/")
    assert "evil" not in str(done.headers)
    assert [name for name, _text in done.headers].count("Set-Cookie") <= 1


def test_61_the_page_to_sign_in_does_not_carry_a_foreign_address_on(shop: Site) -> None:
    assert "evil" not in shop.browser().get("/login?next=//evil.example").text
    assert "evil" not in shop.browser().get("/login?next=https://evil.example/x").text


# -- 62 to 64: what is shown ------------------------------------------------------------------------------------------
def poison(shop: Site, text: str) -> None:
    """Put the text wherever somebody outside has a say in what a page shows; log lines come as the engine gives them."""
    w = shop.w
    w.upgrade("v3", env={"GREETING": text.replace("\x00", "")[:1000]})
    rollback(SHOP, w.s, version=None, options=wish_of_before(text[:500], confirmed=True))
    hold(SHOP, V1, w.s, options=wish_of_before(text[:500], confirmed=True))
    for container in w.engine.containers():
        w.engine._require(container.id).log.append(LogLine(w.clock.utc(), "stdout", visible(text.encode())))
    w.sick["v2"] = 503
    thief = shop.browser()
    thief.get("/login")
    agent = text.encode("ascii", "replace").decode().replace("\r", " ")[:4000]
    form = {"name": text[:500], "password": text[:500], "csrf_token": thief.field("csrf_token")}
    thief.send("/login", form, **{"User-Agent": agent})
    told = {"note": text[:500], "address": text[:64], "agent": agent[:200]}
    w.ledger.event("refused", text[:500], at=w.clock.utc(), actor=f"{text[:40]} (web)", app=SHOP, data=told)


def crawled(shop: Site, browser: Browser) -> Iterator[tuple[str, TestResponse]]:
    """Yield every page that a person can look at, with and without a query."""
    for route in PAGES:
        for version in ("v1", "v2", "v3") if "version" in route.parts else ("",):
            for query in ("", f"?{QUERY}", f"?q={TAG}&grep={TAG}&version={TAG}&app={TAG}&kind={TAG}&user={TAG}&who={TAG}"):
                path = route.path(version=version) + query
                yield path, browser.get(path)


def test_62_what_others_wrote_is_shown_as_text_on_every_page(shop: Site) -> None:
    mara = shop.signed_in("mara")
    poison(shop, TAG)
    mara.get("/", headers={"User-Agent": TAG})
    shown = 0
    for path, page in crawled(shop, mara):
        assert page.status_code < 500, path
        if page.mimetype == "text/html":
            assert TAG not in page.text, path
            assert not re.search(r"<[a-z]+[^>]*\son[a-z]+=", re.sub('"[^"]*"', '""', page.text)), path
            shown += "&lt;img src=x" in page.text
        else:
            assert page.headers["X-Content-Type-Options"] == "nosniff", path
            assert page.mimetype not in {"application/xhtml+xml", "image/svg+xml", "application/xml"}, path
    assert shown, "nothing of it was shown anywhere: this test tests nothing"


def test_62_an_address_that_was_asked_for_is_shown_as_text(shop: Site, mara: Browser) -> None:
    for path in (f"/apps/{TAG}", f"/{TAG}", f"/apps/shop/versions/{TAG}", f"/apps/shop/{TAG}?{TAG}", f"/start/{TAG}"):
        assert TAG not in mara.get(path).text, path


def test_63_control_characters_are_never_sent_to_a_browser_raw(shop: Site) -> None:
    mara = shop.signed_in("mara")
    poison(shop, ESCAPES)
    for path, page in crawled(shop, mara):
        assert page.status_code < 500, path
        if page.mimetype == "text/html":
            found = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]", page.text)
            assert found is None, (path, found)


def test_63_a_line_of_10_mb_is_cut(shop: Site) -> None:
    mara = shop.signed_in("mara")
    poison(shop, "x" * 10_000_000)
    for path, page in crawled(shop, mara):
        assert page.status_code < 500, path
        assert len(page.data) < 1_000_000, path


def test_64_no_page_can_be_put_into_a_frame_and_no_answer_is_without_its_headers(shop: Site, mara: Browser) -> None:
    open_ones = ("/", "/login", "/nothing", "/static/deployctl.css", "/healthz")
    strangers = ((path, shop.browser().get(path, buffered=True)) for path in open_ones)
    for path, page in chain(crawled(shop, mara), strangers):
        policy = page.headers["Content-Security-Policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'",
                     "frame-ancestors 'none'", "connect-src 'self'"):
            assert rule in policy.split("; "), path
        assert "unsafe" not in policy
        assert page.headers["X-Frame-Options"] == "DENY", path
        assert page.headers["Referrer-Policy"] == "same-origin", path
        assert "Server" not in page.headers or "Werkzeug" not in page.headers["Server"]


def test_64_no_page_needs_more_than_the_policy_allows(shop: Site, mara: Browser) -> None:
    for path, page in crawled(shop, mara):
        if page.mimetype != "text/html":
            continue
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=\"/static/)|javascript:", page.text), path
        links = re.findall(r'(?:src|href|action|data-live|data-refresh)="([^"]*)"', page.text)
        foreign = [link for link in links if not link.startswith(("/", "#", "?", "data:image/")) or link.startswith("//")]
        assert foreign == [] or all(link.startswith("http://127.0.0.1:") for link in foreign), (path, foreign)


# -- 65: twice --------------------------------------------------------------------------------------------------------
def test_65_two_clicks_at_the_same_moment_move_the_traffic_once(shop: Site) -> None:
    """Two tabs of two people: the same page, the same revision, sent together."""
    tabs = [shop.signed_in(name) for name in ("mara", "jonas", "ada", "grace")]
    for tab in tabs:
        tab.get("/apps/shop")
    together = threading.Barrier(len(tabs))

    def click(tab: Browser) -> int:
        together.wait(10)
        return tab.post("/apps/shop/rollback", to_version="v1").status_code

    with ThreadPoolExecutor(len(tabs)) as hands:
        codes = sorted(hands.map(click, tabs))
    assert rollbacks(shop) == 1
    assert codes[0] in {302, 303}
    assert set(codes[1:]) <= {409, 423}
    assert (shop.w.serving, shop.w.ledger.apps()[0].revision) == ("v1", 3)


def test_65_a_stale_page_moves_nothing_and_is_told_who_was_faster(shop: Site, mara: Browser) -> None:
    jonas = shop.signed_in("jonas")
    jonas.get("/apps/shop")
    jonas.post("/apps/shop/rollback", to_version="v1")
    late = mara.post("/apps/shop/rollback", to_version="v1")
    assert late.status_code == 409
    assert "jonas (web)" in late.text
    assert rollbacks(shop) == 1


def test_65_the_same_click_sent_twice_is_done_once_and_answered_twice(shop: Site, mara: Browser) -> None:
    """A key of its own goes with each click; what a proxy or a nervous finger sends again has the same one."""
    headers = {"If-Match": '"2"', "Idempotency-Key": "click-1", "X-CSRFToken": mara.field("csrf_token")}
    together = threading.Barrier(3)

    def send(_n: int) -> tuple[int, Any]:
        client = shop.app.test_client()
        client.set_cookie(mara.session_name, cookie(mara), domain="127.0.0.1")
        together.wait(10)
        told = client.post("/api/v1/apps/shop/rollback", json={"to_version": "v1"}, headers=headers,
                           environ_overrides=mara.environ)
        return told.status_code, told.get_json()

    with ThreadPoolExecutor(3) as hands:
        answers = list(hands.map(send, range(3)))
    assert {code for code, _body in answers} == {200}
    assert {body["revision"] for _code, body in answers} == {3}
    assert rollbacks(shop) == 1


# -- 66 and 67: who may -----------------------------------------------------------------------------------------------
def test_66_nothing_on_any_page_tells_of_an_app_of_others(shop: Site) -> None:
    """Neither its name nor its versions, notes or people, in pages, twins, activity, metrics."""
    poison(shop, "a note about shop")
    jonas = shop.signed_in("jonas", Role.ADMIN, "blog")
    for path, page in crawled(shop, jonas):
        if "/apps/shop" in path or "a=v1" in path or path.startswith(("/api/docs", "/api/v1/openapi")):
            continue
        found = re.search(r"/apps/shop|>\s*shop\s*<|\"shop\"|a note about", page.text)
        assert found is None, (path, found)


def test_66_ids_of_others_are_not_there(shop: Site) -> None:
    """A deployment, an operation or a session is looked up among those of the requesting user."""
    jonas = shop.signed_in("jonas", Role.ADMIN, "blog")
    attempt = shop.w.ledger.db.execute("select max(id) from deployments")[0][0]
    for route in PAGES:
        if route.of_an_app or not route.parts & {"id", "id_", "deployment", "operation", "session", "number"}:
            continue
        for number in (str(attempt), "1", "999999", "-1", "1e3", "x"):
            told = jonas.get(re.sub(r"<[^>]*>", number, route.rule))
            assert told.status_code in {403, 404, 422}, (route.rule, number)
            assert "shop" not in told.text


def test_66_nobody_ends_a_session_or_changes_a_password_of_somebody_else(shop: Site, mara: Browser) -> None:
    jonas = shop.signed_in("jonas", Role.ADMIN, "blog")
    jonas.get("/settings")
    theirs = next(one.id for one in shop.w.ledger.sign_ins("mara"))
    form = {"csrf_token": jonas.field("csrf_token"), "password": PHRASE, "again": PHRASE, "current": PHRASE, "name": "mara"}
    for path in (f"/settings/sessions/{theirs}/end", "/settings/users/mara/remove", "/settings/users/mara/link",
                 "/settings/users/mara/role", "/settings/users", "/settings/tokens"):
        assert jonas.send(path, form).status_code in {400, 401, 403, 404, 409}, path
    jonas.send("/settings/password", form)  # their own, whatever name is sent along
    api = {"X-CSRFToken": jonas.field("csrf_token")}
    for method, path in (("DELETE", f"/api/v1/sessions/{theirs}"), ("POST", "/api/v1/users/mara/end"),
                         ("POST", "/api/v1/users/mara/password"), ("POST", "/api/v1/users/mara/link"),
                         ("POST", "/api/v1/users/mara/role"), ("DELETE", "/api/v1/users/mara")):
        told = jonas.ask(method, path, json={"password": PHRASE, "role": "viewer"}, headers=api)
        assert told.status_code in {400, 403, 404, 422}, (method, path, told.status_code)
        assert told.status_code in {403, 404} or "mara" not in told.text
    assert mara.get("/apps/shop").status_code == 200
    still = shop.w.ledger.find_user("mara")
    assert still is not None
    assert (still.password, still.roles) == (None, {"*": Role.ADMIN})


def test_67_a_viewer_is_shown_no_button_and_nothing_about_people_or_tokens(shop: Site) -> None:
    create_token("deploy-main", given(Role.DEPLOYER, []), shop.w.s)
    add_user("zenobia", given(Role.ADMIN, []), shop.w.s)
    jonas = shop.signed_in("jonas", Role.VIEWER)
    for path, page in crawled(shop, jonas):
        for secret in ("deploy-main", "zenobia"):
            assert secret not in page.text, (path, secret)
        if page.status_code == 200 and page.mimetype == "text/html":
            acting = set(re.findall(r'<form[^>]*data-act="([^"]*)"', page.text))
            assert acting == set(), path


def test_67_secrets_are_shown_once_or_never(shop: Site) -> None:
    token = create_token("deploy-main", given(Role.DEPLOYER, []), shop.w.s).secret
    set_password("mara", PHRASE, shop.w.s) if shop.w.ledger.find_user("mara") else None
    mara = shop.signed_in("mara")
    set_password("mara", PHRASE, shop.w.s)
    mara = shop.signed_in("mara")
    hashes = [row[0] for row in shop.w.ledger.db.execute("select hash from sign_ins union select hash from tokens "
                                                          "union select password from users where password is not null")]
    for path, page in crawled(shop, mara):
        for secret in (token, PHRASE, PLACE.key.decode(), *hashes):
            assert secret not in page.text, path


# -- 70 and 71: paths, and trying -------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["../../ledger.db", "..%2f..%2fledger.db", "%2e%2e/%2e%2e/web.key", "..%00", "....//ledger.db",
                                  "%252e%252e%252fledger.db", "/etc/passwd", "..\\..\\ledger.db", "v1/../../../state/web.key"])
def test_70_no_path_leads_out_of_what_is_served(shop: Site, mara: Browser, what: str) -> None:
    for prefix in ("/static/", "/static/js/", "/apps/shop/versions/", "/apps/shop/logs/", "/apps/", "/apps/shop/", "/start/"):
        told = mara.get(prefix + what)
        assert b"SQLite format" not in told.data
        assert b"root:" not in told.data
        assert told.status_code in {200, 308, 400, 404, 405}, (prefix, told.status_code)
        if told.status_code == 200:
            assert prefix == "/start/"
    for name in ("version", "file", "path", "release", "container"):
        told = mara.get("/apps/shop/logs", query_string={name: what})
        assert told.status_code in {200, 400, 404}
        assert b"SQLite format" not in told.data


def test_71_names_that_exist_and_names_that_do_not_get_the_same_answer_for_the_same_work(
        shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared by how often the dear hash is asked for: clocks in a test tell nothing."""
    asked: list[str | None] = []
    verify = passwords._hasher().verify

    class Counting:
        def verify(self, hash_: str, password: bytes) -> bool:
            asked.append(hash_)
            return verify(hash_, password)

    with_password(shop, "mara")
    add_user("nophrase", given(Role.ADMIN, []), shop.w.s)
    passwords._nobodys()
    monkeypatch.setattr(passwords, "_hasher", Counting)
    seen = set()
    for name in ("mara", "nophrase", "nobody", "No Name At All", "mara\x00", "x" * 5000, ""):
        browser = shop.browser()
        browser.get("/login")
        asked.clear()
        told = browser.post("/login", name=name, password="wrong wrong wrong")
        seen.add((told.status_code, re.sub(r'(value|content)="[^"]*"', "", told.text), len(asked)))
    assert len(seen) == 1, seen
    assert next(iter(seen))[2] == 1


def test_71_who_tries_one_name_from_many_addresses_has_to_wait_whether_it_exists_or_not(shop: Site) -> None:
    with_password(shop, "mara")
    told = {}
    for name in ("mara", "nobody"):
        codes = []
        for _ in range(8):
            browser = shop.browser()  # from another address
            browser.get("/login")
            codes.append(browser.post("/login", name=name, password="wrong wrong wrong").status_code)
        told[name] = codes
    assert told["mara"] == told["nobody"] == [401] * 5 + [429] * 3
    browser = shop.browser()
    browser.get("/login")
    assert browser.post("/login", name="mara", password=PHRASE).status_code == 429
    shop.w.clock.sleep(31)
    browser = shop.browser()
    browser.get("/login")
    assert browser.post("/login", name="mara", password=PHRASE).status_code == 302


def test_71_who_tries_many_names_from_one_address_is_not_heard_after_the_fifth(shop: Site) -> None:
    browser = shop.browser()
    browser.get("/login")
    codes = [browser.post("/login", name=f"name{n}", password="wrong wrong wrong").status_code for n in range(8)]
    assert codes == [401] * 5 + [429] * 3
    roaming, codes = shop.browser(), []
    for number in range(8):
        roaming.address = f"2001:db8::{number:x}:1"  # one stranger has a whole /64
        roaming.get("/login")
        codes.append(roaming.post("/login", name=f"other{number}", password="wrong wrong wrong").status_code)
    assert codes == [401] * 5 + [429] * 3
    links = shop.browser()
    links.get("/start/x")
    assert [links.post(f"/start/guess{n}").status_code for n in range(8)] == [401] * 5 + [429] * 3


def test_71_tries_are_written_down_and_do_not_fill_the_disk(shop: Site) -> None:
    browser = shop.browser()
    browser.get("/login")
    for n in range(20):
        browser.post("/login", name="x" * 50_000 + str(n), password="y" * 10_000)
    (line,) = shop.w.ledger.db.execute("select text, data from refusals where kind = 'sign_in_refused'")
    assert json.loads(line["data"])["count"] == 5
    assert len(line["text"]) + len(line["data"]) < 1000


def test_71_an_old_token_a_shorter_one_and_one_of_another_case_open_nothing(shop: Site) -> None:
    secret = create_token("deploy", given(Role.ADMIN, []), shop.w.s).secret
    for wrong in (secret[:-1], secret + "x", secret.swapcase(), secret.removeprefix("dctl_"), "dctl_", "", "é" * 10,
                  "dctl_" + "x" * 9000):
        header = {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")}
        assert shop.browser().get("/", headers=header).status_code == 401
    for scheme in ("bearer", "Basic", "Token", ""):
        assert shop.browser().get("/", headers={"Authorization": f"{scheme} {secret}"}).status_code == 401
    for query in (f"?token={secret}", f"?access_token={secret}", f"?authorization=Bearer%20{secret}"):
        assert shop.browser().get("/" + query).status_code == 401


# -- 72 to 78: sizes, first run, and what goes wrong ------------------------------------------------------------------
def test_72_a_body_that_is_too_large_is_refused_before_it_is_read(shop: Site, mara: Browser) -> None:
    told = mara.ask("POST", "/apps/shop/rollback", data={"to_version": "v1", "note": "x" * 200_000, "revision": "2",
                                                         "csrf_token": mara.field("csrf_token")})
    assert told.status_code == 413
    parts = {f"f{n}": "x" for n in range(500)}
    told = mara.ask("POST", "/apps/shop/rollback", data={**parts, "csrf_token": mara.field("csrf_token")},
                    content_type="multipart/form-data")
    assert told.status_code == 413
    assert rollbacks(shop) == 0


DEEP = b"[" * 10_000 + b"]" * 10_000
BODIES = [DEEP, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'{"to_version": "v1", "to_version": "v2"}', b'{"to": 1e400}',
          b'{"to_version": "\\ud800"}',
          b'{"to": NaN}', b'{"to": Infinity}', b'{"to": ' + b"9" * 5000 + b"}", b'{"to": ["v1"]}', b'{"to": {"v1": 1}}',
          b'{"to_version": 1}', b'{"to_version": null, "yes": "yes"}', b'{"__proto__": {}}', b"[]", b"1",
          b'"v1"', b"null", b"{",
          b"\xff\xfe", b"\x00",
          b'{"to_version": "v1"} {"to_version": "v2"}', b"{'to': 'v1'}", b'\xef\xbb\xbf{"to_version": "v1"}']


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_73_json_that_two_parsers_could_read_in_two_ways_changes_nothing_and_breaks_nothing(
        shop: Site, mara: Browser, body: bytes) -> None:
    headers = {"X-CSRFToken": mara.field("csrf_token"), "If-Match": '"2"'}
    before = shop.w.everything()
    for route in all_routes():
        for method in route.changing if route.rule.startswith("/api/") else ():
            if not route.of_an_app and not route.rule.endswith(("/users", "/tokens", "/role", "/password")):
                continue  # these take no body
            told = mara.ask(method, route.path(), data=body, headers=headers, content_type="application/json")
            assert told.status_code in {400, 409, 413, 415, 422}, (route.rule, told.status_code, told.text[:300])
            assert told.mimetype == "application/problem+json"
    assert shop.w.everything() == before


def test_74_nobody_can_set_anything_up_from_a_page(tmp_path: Path) -> None:
    """The first admin is made by who has the machine. Before that every page is shut."""
    with site(tmp_path, "v1") as made:
        stranger = made.browser()
        page = stranger.get("/login")
        assert "deployctl user" in page.text
        for path in ("/setup", "/install", "/register", "/signup", "/admin", "/users", "/settings/users", "/first"):
            assert stranger.get(path).status_code in {401, 404, 405}, path
            assert stranger.post(path, name="me", password=PHRASE, role="admin").status_code in {401, 403, 404, 405}, path
        assert stranger.post("/login", name="admin", password="admin").status_code == 401
        assert stranger.post("/login", name="admin", password="").status_code == 401
        assert made.w.ledger.users() == []


def test_75_the_environment_cannot_switch_a_console_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "off")
    with site(tmp_path, "v1") as made:
        mara = made.signed_in("mara")
        made.app.view_functions["app.one"] = _broken(made.app.view_functions["app.one"])
        told = mara.get("/apps/shop")
        assert (made.app.debug, told.status_code) == (False, 500)
        assert "the secret is 42" not in told.text
        assert "Traceback" not in told.text
        assert re.search(r"error [0-9a-f]{8}", told.text)
        assert mara.get("/console").status_code == 404


def _broken(view: Any) -> Any:
    def broken(**_parts: object) -> str:
        raise RuntimeError("the secret is 42")

    broken.__dict__.update(view.__dict__)
    return broken


def test_76_an_address_that_a_header_invents_is_neither_believed_nor_written_down(shop: Site) -> None:
    browser = with_password(shop)
    codes = []
    for n in range(7):
        form = {"name": f"name{n}", "password": "wrong wrong wrong", "csrf_token": browser.field("csrf_token")}
        address = f"10.9.8.{n}"
        told = browser.send("/login", form, **{"X-Forwarded-For": address, "X-Real-IP": address, "Forwarded": f"for={address}",
                                               "True-Client-IP": address})
        codes.append(told.status_code)
    assert codes == [401] * 5 + [429] * 2
    written = shop.w.ledger.db.execute("select data from events union all select data from refusals")
    assert not any("10.9.8." in (row[0] or "") for row in written)


@pytest.mark.parametrize("text", ["id;drop table apps", "' or '1'='1", "1 union select password from users", "%", "\\",
                                  "(" * 2000])
def test_77_what_is_searched_or_sorted_by_never_becomes_sql_or_a_slow_pattern(shop: Site, text: str) -> None:
    mara = shop.signed_in("mara")
    names = ("sort", "order", "q", "app", "user", "who", "kind", "what", "before", "after", "since", "limit", "grep", "page",
             "version")
    for route in PAGES:
        told = mara.get(route.path(), query_string=dict.fromkeys(names, text))
        assert told.status_code in {200, 302, 303, 400, 404, 422}, (route.rule, told.status_code)
        assert "argon2" not in told.text
    assert len(shop.w.ledger.apps()) == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", '=HYPERLINK("https://evil.example")'])
def test_78_a_cell_of_the_exported_audit_is_never_a_formula(shop: Site, mara: Browser, text: str) -> None:
    shop.w.rollback(note=text)
    shop.w.ledger.event("refused", text, at=shop.w.clock.utc(), actor=f"{text} (web)", app=SHOP, data={"note": text})
    told = mara.get("/activity.csv")
    assert told.mimetype == "text/csv"
    cells = [cell for row in csv.reader(io.StringIO(told.text)) for cell in row]
    assert any(text.strip() in cell for cell in cells)
    assert [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}] == []
