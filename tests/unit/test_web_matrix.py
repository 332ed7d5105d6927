"""Who may ask for what: every route with every method for everybody, by the rule on its view. A route without one is shut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from deployctl.domain.host.access import ALL, SCOPE_ROLES, Role, given
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, make_link
from deployctl_web.security.authorization import EVERYBODY, RULE, SIGNED_IN
from tests.unit.web_routes import CHANGING, METHODS, QUERY, SAMPLES, Route, all_routes, ledger_dump
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP

ROUTES = all_routes()
CHANGES = [(route, method) for route in ROUTES for method in route.changing]
BLOG = "blog"
ORDER = [Role.VIEWER, Role.DEPLOYER, Role.ADMIN]
LET_IN = "let in"


@dataclass(frozen=True)
class Asker:
    """Somebody with one role for some apps, or for all; nobody without a role."""

    name: str
    role: Role | None
    app: str = ALL
    token: bool = False

    def covers(self, role: Role, app: str | None) -> bool:
        mine = self.role is not None and self.app in {ALL, app}
        return mine and ORDER.index(self.role or Role.VIEWER) >= ORDER.index(role)


NOBODY = Asker("nobody", None)
PEOPLE = [Asker(f"{role}-{app if app != ALL else 'all'}", role, app) for role in ORDER for app in (ALL, SHOP, BLOG)]
TOKENS = [Asker(f"token-{scope}-{app if app != ALL else 'all'}", role, app, token=True)
          for scope, role in SCOPE_ROLES.items() for app in (ALL, SHOP, BLOG)]
ASKERS = [NOBODY, *PEOPLE, *TOKENS]
VIEWER, DEPLOYER, ADMIN = (next(one for one in PEOPLE if one.name == f"{role}-all") for role in ORDER)
ELSEWHERE = next(one for one in PEOPLE if one.name == f"admin-{BLOG}")


def expected(route: Route, asker: Asker, method: str = "POST") -> int:
    """Return what the rule on the view says: security/authorization.py told once more, in other words."""
    if route.needs == EVERYBODY:  # a token is no way around the check of forms where nobody need be known
        return 403 if asker.token and method in CHANGING else 200
    if asker.role is None:
        return 401
    app = SHOP if route.of_an_app else None
    if app is not None and not asker.covers(Role.VIEWER, app):
        return 404
    return 200 if route.needs == SIGNED_IN or asker.covers(Role(str(route.needs)), app) else 403


# -- a home for all of it ---------------------------------------------------------------------------------------------
class Doors:
    """A site with everybody in it. `browser(asker)` is signed in and has a page of ours with its token open."""

    def __init__(self, made: Site) -> None:
        self.site = made
        self._browsers: dict[str, Browser] = {}
        self._secrets: dict[str, str] = {}  # of tokens; of the others their token against forgery

    def browser(self, asker: Asker) -> Browser:
        if asker.name not in self._browsers:
            found = self._browsers[asker.name] = self._sign_in(asker)
            if not asker.token:
                found.get("/" if asker.role else "/login")
                self._secrets[asker.name] = found.field("csrf_token")
        return self._browsers[asker.name]

    def _sign_in(self, asker: Asker) -> Browser:
        if asker.role is None:
            return Browser(self.site.app.test_client())
        apps = [] if asker.app == ALL else [asker.app]
        if asker.token:
            self._secrets[asker.name] = create_token(asker.name, given(asker.role, apps), self.site.w.s).secret
            return self.site.browser()
        return self.site.signed_in(asker.name, asker.role, *apps)

    def ask(self, asker: Asker, method: str, path: str, *, forged: dict[str, str] | None = None) -> TestResponse:
        """Send it as a page of ours would, or as a program with its token; `forged` changes headers, "" leaves one out."""
        browser = self.browser(asker)
        self.site.web_state.refusals.clear()  # how many are too many is not the question here,
        self.site.w.ledger.record_refusals(at="the next minute")  # nor what the others of a minute were
        headers = {"Authorization": f"Bearer {self._secrets[asker.name]}"} if asker.token else {
            "X-CSRFToken": self._secrets[asker.name], "Origin": f"http://{browser.host}", "Sec-Fetch-Site": "same-origin"}
        headers = {name: text for name, text in {**headers, **(forged or {})}.items() if text}
        body: dict[str, Any] = {"json": {}} if path.startswith("/api/") and method in CHANGING else {}
        return browser.ask(method, path, headers=headers, buffered=True, **body)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """shop serves v2, v1 stands by; there is a blog, too. The views themselves are not called: they say `let in`."""
    with site(tmp_path_factory.mktemp("doors"), "v1", "v2") as made:
        opened = Doors(made)
        for asker in ASKERS:
            opened.browser(asker)
        for endpoint, view in list(made.app.view_functions.items()):
            made.app.view_functions[endpoint] = _stand_in(getattr(view, RULE, None))
        yield opened


def _stand_in(rule: Role | str | None) -> Any:
    def view(**_parts: object) -> str:
        return LET_IN

    if rule is not None:
        setattr(view, RULE, rule)
    return view


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The same home with its real views."""
    with site(tmp_path_factory.mktemp("real"), "v1", "v2") as made:
        opened = Doors(made)
        for asker in (ADMIN, VIEWER, DEPLOYER, ELSEWHERE):
            opened.browser(asker)
        yield opened


# -- the rule on each view --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_has_a_rule_and_what_stands_for_its_parts_is_known(route: Route) -> None:
    assert route.needs in {EVERYBODY, SIGNED_IN, *ORDER}, f"{route.endpoint} has no @needs: nobody is answered"
    assert route.parts <= SAMPLES.keys(), "tests/unit/web_routes.py needs a sample"


def test_only_these_are_open_to_everybody() -> None:
    """To sign in, styles, and whether it lives. Everything else is for people and tokens that are known."""
    assert {route.endpoint for route in ROUTES if route.needs == EVERYBODY} <= {
        "static", "sign_in.page", "sign_in.enter", "sign_in.start", "sign_in.enter_by_link", "monitoring.healthz"}


def test_a_route_that_somebody_forgot_to_write_a_rule_for_is_shut_to_everybody(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        made.app.add_url_rule("/forgotten", view_func=lambda: LET_IN, methods=["GET", "POST"])
        for browser in (made.browser(), made.signed_in("root")):
            assert browser.get("/forgotten").status_code == 404
            browser.get("/")
            assert browser.post("/forgotten").status_code in {403, 404}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_everybody_is_let_in_by_the_rule_and_only_by_the_rule(doors: Doors, route: Route) -> None:
    for asker in ASKERS:
        for method in sorted(route.methods):
            told = doors.ask(asker, method, route.path())
            assert told.status_code == expected(route, asker, method), (asker.name, method, told.text)
            let_in = told.status_code == 200 and method not in {"HEAD", "OPTIONS"}
            assert (told.text == LET_IN) is let_in, (asker.name, method)


@pytest.mark.parametrize("rule", sorted({route.rule for route in ROUTES}))
def test_no_path_answers_a_method_that_none_of_its_views_is_for(doors: Doors, rule: str) -> None:
    here = [route for route in ROUTES if route.rule == rule]
    for method in {*METHODS} - {method for route in here for method in route.methods}:
        for asker in (NOBODY, ADMIN):
            assert doors.ask(asker, method, here[0].path()).status_code == 405, (asker.name, method)
            assert doors.ask(asker, method, here[0].path() + "?_method=POST").status_code == 405, (asker.name, method)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.of_an_app], ids=str)
def test_an_app_of_others_is_answered_as_one_that_is_not_there(real: Doors, route: Route) -> None:
    """To the letter: what is different would tell that it exists."""
    for method in sorted(route.methods - {"OPTIONS"}):
        theirs, nothing = (real.ask(ELSEWHERE, method, route.path(app=app)) for app in ("shop", "nothing"))
        assert theirs.status_code == nothing.status_code == 404, method
        assert _plain(theirs).replace("shop", "nothing") == _plain(nothing), method
        assert {*theirs.headers.keys()} == {*nothing.headers.keys()}, method


def _plain(told: TestResponse) -> str:
    """Return the text without the tokens against forgery: they carry the second in which they were made."""
    return re.sub(r'(content|value)="[\w.-]{60,}"', "", told.text)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.of_an_app], ids=str)
@pytest.mark.parametrize("app", ["..", "Shop", "shop%00", "shop;x", "%2e%2e%2fetc", "sh'op", "<i x=1>", "x" * 300])
def test_what_is_no_name_of_an_app_is_not_there_either(real: Doors, route: Route, app: str) -> None:
    for method in sorted(route.methods - {"OPTIONS"}):
        told = real.ask(ADMIN, method, route.path(app=app))
        assert told.status_code == 404, method
        assert "<i x=1>" not in told.text


# -- what changes something -------------------------------------------------------------------------------------------
FORGERIES = {
    "no token against forgery": {"X-CSRFToken": ""},
    "a token of another session": {"X-CSRFToken": "IjFmNGI5Ig.aLx.bm9wZQ"},
    "another site's page": {"Origin": "https://evil.example"},
    "another port of this host": {"Origin": "http://127.0.0.1:8080"},
    "a sandboxed frame": {"Origin": "null"},
    "a browser that says it came from another site": {"Sec-Fetch-Site": "cross-site"},
    "a browser that says it came from another port": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize(("route", "method"), CHANGES, ids=str)
@pytest.mark.parametrize("how", FORGERIES)
def test_what_a_page_of_ours_did_not_send_changes_nothing_and_is_written_down(
        real: Doors, route: Route, method: str, how: str) -> None:
    before = state(real)
    told = real.ask(ADMIN, method, route.path(), forged=FORGERIES[how])
    assert (told.status_code, code_of(told)) == (403, "forged")
    assert state(real) == before
    assert newest_refusal(real) == {"actor": "admin-all (web)", "code": "forged", "route": route.endpoint,
                                    "app": "shop" if route.of_an_app else None}


@pytest.mark.parametrize(("route", "method"), CHANGES, ids=str)
def test_too_small_a_role_changes_nothing_and_is_written_down(real: Doors, route: Route, method: str) -> None:
    smaller = [asker for asker in (VIEWER, DEPLOYER) if expected(route, asker) == 403]
    assert bool(smaller) is (route.needs in {Role.DEPLOYER, Role.ADMIN})
    for asker in smaller:
        before = state(real)
        told = real.ask(asker, method, route.path())
        assert (told.status_code, code_of(told)) == (403, "not_permitted")
        assert state(real) == before
        assert newest_refusal(real)["actor"] == f"{asker.name} (web)"
        assert newest_refusal(real)["code"] == "not_permitted"


@pytest.mark.parametrize(("route", "method"), [c for c in CHANGES if c[0].of_an_app], ids=str)
def test_an_attempt_at_an_app_of_others_changes_nothing_and_is_written_down(real: Doors, route: Route, method: str) -> None:
    before = state(real)
    assert real.ask(ELSEWHERE, method, route.path()).status_code == 404
    assert state(real) == before
    assert newest_refusal(real) == {"actor": "admin-blog (web)", "code": "not_found", "route": route.endpoint, "app": "shop"}


def test_there_are_routes_that_change_something() -> None:
    """So that an empty list proves nothing by accident."""
    assert len(CHANGES) > 4
    assert any(route.of_an_app for route, _method in CHANGES)


# -- what only looks --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("route", [route for route in ROUTES if "GET" in route.methods], ids=str)
def test_looking_changes_nothing(real: Doors, route: Route) -> None:
    link = _link(real)
    before, outside = ledger_dump(real.site.w.home), state(real)
    for method in ("GET", "HEAD", "OPTIONS"):
        for query in ("", f"?{QUERY}"):
            with look(real, method, route.path(secret=link) + query) as told:
                assert told.status_code < 500, (method, query, told.status_code)
    assert ledger_dump(real.site.w.home) == before
    assert state(real) == outside


def look(real: Doors, method: str, path: str) -> TestResponse:
    """Ask without reading on: a stream has no end."""
    return real.browser(ADMIN).ask(method, path, buffered=False)


def _link(real: Doors) -> str:
    s = real.site.w.s
    if s.ledger.find_user("jonas") is None:
        add_user("jonas", given(Role.VIEWER, []), s)
    return make_link("jonas", s)


def state(real: Doors) -> dict[str, object]:
    """Return all that a change could touch, but for the events that tell of attempts."""
    telling = {"events", "refusals", "sqlite_sequence"}
    return {**real.site.w.everything(), "ledger": {
        table: rows for table, rows in ledger_dump(real.site.w.home).items() if table not in telling}}


def newest_refusal(real: Doors) -> dict[str, Any]:
    row = real.site.w.ledger.find_events(limit=1)[0]
    assert row["kind"] == "refused", row
    data = row["data"]
    return {"actor": row["actor"], "code": data["code"], "route": data["route"], "app": row["app"]}


def code_of(told: TestResponse) -> str:
    """Return the code of a problem, or what its page says by its words."""
    if told.is_json:
        return str(told.get_json()["code"])
    if "came from another site" in told.text or "This page has expired" in told.text:
        return "forged"
    return "not_permitted" if "role" in told.text else told.text
