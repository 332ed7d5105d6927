"""A user without permissions cannot bury what others did: denied changes are counted, bounded and folded."""

from __future__ import annotations

import csv
import io

import pytest
from werkzeug.test import TestResponse

from deployctl.domain.host.access import Origin, Role, given
from deployctl.domain.host.denied_changes import MAX_DENIED_A_MINUTE, NAMED, REFUSED, RefusedChange, gathered
from deployctl.ledger.access import STRANGE_NAMES
from deployctl.usecases.access.sign_in import WrongSignIn, sign_in
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user
from deployctl.usecases.change.hold import hold
from deployctl.usecases.view.activity import recent
from deployctl.usecases.view.audit import audit
from deployctl.watch.watch import Watch
from deployctl_web.security.by_minute import WINDOW_SECONDS, ByMinute
from tests.unit.api_world import Program, problem
from tests.unit.web_world import Browser, Site
from tests.unit.world import SHOP, V1, YES

NOW = "2026-01-01T00:00:00.000Z"
HOLD = "/apps/shop/hold"


def token_of(shop: Site, name: str, owner: str | None) -> dict[str, str]:
    made = create_token(name, given(Role.VIEWER, []), shop.w.s, owner=owner)
    return {"Authorization": f"Bearer {made.secret}"}


def asked(shop: Site, header: dict[str, str]) -> TestResponse:
    return shop.browser().ask("POST", f"/api/v1{HOLD}", json={"version": "v1"}, headers=header)


def tried(browser: Browser, count: int, path: str = HOLD) -> list[int]:
    return [browser.post(path, version="v1").status_code for _ in range(count)]


def rows(shop: Site) -> int:
    """Return how many lines of refusals the ledger has."""
    return sum(int(shop.w.ledger.db.execute(f"select count(*) from {table} where kind like '%refused'")[0][0])
               for table in ("events", "refusals"))


# -- one line ---------------------------------------------------------------------------------------------------------
def test_two_hundred_changes_that_a_reader_may_not_make_are_one_line_with_a_count(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    codes = tried(reader, 200)
    assert codes == [403] * MAX_DENIED_A_MINUTE + [429] * (200 - MAX_DENIED_A_MINUTE)
    assert rows(shop) == 1
    (line,) = audit(shop.w.s, kind="denied")
    assert (line.who, line.app, line.result, line.count) == ("reader", "shop", "denied", 200)
    assert line.summary.endswith("Nothing was done. (200 times)")


def test_another_minute_and_another_route_are_lines_of_their_own_and_the_chain_holds(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, 3)
    tried(reader, 2, "/apps/shop/stop")
    shop.w.clock.sleep(61)
    tried(reader, 4)
    assert [line.count for line in audit(shop.w.s, kind="denied")] == [4, 2, 3]
    assert [event["data"]["count"] for event in shop.w.ledger.events() if event["kind"] == REFUSED] == [2, 3]
    shop.w.ledger.record_refusals(at="2030-01-01T00:00:00.000Z")
    assert [line.count for line in audit(shop.w.s, kind="denied")] == [4, 2, 3]
    assert shop.w.ledger.find_faults() == []


def test_a_line_of_this_minute_keeps_its_place_when_it_is_told(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, 1)
    running = audit(shop.w.s)
    shop.w.ledger.record_refusals(at="2030-01-01T00:00:00.000Z")
    assert audit(shop.w.s) == running
    assert audit(shop.w.s, before=running[0].id) == running[1:]


def test_a_line_stays_short_whatever_is_tried() -> None:
    line = None
    for n in range(1000):
        line = gathered(line, RefusedChange(REFUSED, "x (web)", "r", "y" * 5000, NOW, SHOP,
                                            {"address": f"10.0.0.{n}", "name": f"n{n}", "agent": "a" * 200}))
    assert line is not None
    assert line.data["count"] == 1000
    assert line.data["names"] == [f"n{n}" for n in range(NAMED)]
    assert len(line.text) + len(str(dict(line.data))) < 1000


def test_attempts_at_several_apps_are_told_as_of_the_server(shop: Site) -> None:
    shop.w.add_file(type(SHOP)("blog"))
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, 1)
    tried(reader, 1, "/apps/elsewhere/hold")
    assert [(line.app, line.count) for line in audit(shop.w.s, kind="denied")] == [(None, 2)]


# -- too many ---------------------------------------------------------------------------------------------------------
def test_the_limit_is_of_the_person_whichever_session_or_token(shop: Site) -> None:
    first, second = (shop.signed_in("reader", Role.VIEWER, "shop") for _ in range(2))
    first.get("/")
    second.get("/")
    assert tried(first, MAX_DENIED_A_MINUTE) == [403] * MAX_DENIED_A_MINUTE
    assert tried(second, 1) == [429]
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    tokens = [token_of(shop, name, "mara") for name in ("ci", "cd")]
    assert [asked(shop, tokens[0]).status_code for _ in range(MAX_DENIED_A_MINUTE)] == [403] * MAX_DENIED_A_MINUTE
    assert asked(shop, tokens[1]).status_code == 429, "what one person's tokens are refused counts together"
    other = shop.signed_in("other", Role.VIEWER, "shop")
    other.get("/")
    assert tried(other, 1) == [403], "another person is not counted with them"


def test_too_many_is_told_with_when_to_come_back_to_people_and_to_programs(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, MAX_DENIED_A_MINUTE)
    page = reader.post(HOLD, version="v1")
    assert (page.status_code, page.mimetype, 0 < int(page.headers["Retry-After"]) <= 60) == (429, "text/html", True)
    assert "were rejected within a minute" in page.text
    header = token_of(shop, "ci", None)
    told = [asked(shop, header) for _ in range(MAX_DENIED_A_MINUTE + 1)][-1]
    problem(told, 429, "too_many_requests")
    assert 0 < int(told.headers["Retry-After"]) <= 60


def test_whoever_was_refused_too_often_still_does_what_they_may_and_hears_why_it_is_refused(shop: Site) -> None:
    deployer = shop.signed_in("deployer", Role.DEPLOYER, "shop")
    deployer.get("/")
    assert tried(deployer, MAX_DENIED_A_MINUTE + 1, "/apps/elsewhere/hold")[-1] == 429
    deployer.get("/apps/shop")
    assert deployer.post("/apps/shop/rollback", to_version="v1").status_code == 303
    form = {"to_version": "v1", "revision": "1", "csrf_token": deployer.field("csrf_token")}
    again = deployer.send("/apps/shop/rollback", form)
    assert again.status_code == 409


def test_the_limit_ends_after_a_minute(shop: Site) -> None:
    refusals = ByMinute(MAX_DENIED_A_MINUTE)
    assert [refusals.count("x", float(n)) for n in range(MAX_DENIED_A_MINUTE)] == [0.0] * MAX_DENIED_A_MINUTE
    assert refusals.count("x", 30.0) == WINDOW_SECONDS - 30.0
    assert refusals.count("x", WINDOW_SECONDS) == 0.0
    assert refusals.count("y", 30.0) == 0.0


# -- strangers --------------------------------------------------------------------------------------------------------
def test_strangers_share_one_line_a_minute_and_a_user_who_is_tried_has_one(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployctl.usecases.access.sign_in.fits", lambda _hash, _password: False)
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    for n in range(300):
        with pytest.raises(WrongSignIn):
            sign_in(f"name{n}", "wrong", Origin(f"10.0.{n % 250}.1"), shop.w.s)
    for _ in range(3):
        with pytest.raises(WrongSignIn):
            sign_in("mara", "wrong", Origin("10.0.0.7"), shop.w.s)
    assert rows(shop) == 2
    mara, others = audit(shop.w.s, kind="sign_in_denied")
    assert (mara.count, mara.summary) == (3, "an attempt to sign in as mara was denied (3 times)")
    assert (others.count, others.who) == (300, "nobody")
    assert others.summary == ("an attempt to sign in as an unknown user was denied "
                              "(300 times; as name0, name1, name2, name3, name4)")


def test_a_program_without_a_token_that_is_known_writes_nothing(shop: Site) -> None:
    before = shop.w.ledger.count_events()
    for n in range(50):
        header = {"Authorization": f"Bearer dctl_{n}"}
        assert shop.browser().ask("POST", "/api/v1/apps/shop/hold", json={}, headers=header).status_code == 401
    assert (shop.w.ledger.count_events(), rows(shop)) == (before, 0)


def test_names_that_strangers_make_up_are_forgotten_and_what_a_user_was_tried_with_is_not(shop: Site) -> None:
    add_user("mara", given(Role.ADMIN, []), shop.w.s)
    count = shop.w.ledger.count_try
    for _ in range(5):
        count("mara", at=NOW, since=NOW)
    for n in range(STRANGE_NAMES + 50):
        count(f"name{n}", at=f"2026-01-01T00:00:{n // 100:02}.{n % 100:03}Z", since=NOW)
    assert shop.w.ledger.db.execute("select count(*) from tries")[0][0] == STRANGE_NAMES + 1
    assert shop.w.ledger.tries("mara").count == 5
    assert (shop.w.ledger.tries("name0").count, shop.w.ledger.tries(f"name{STRANGE_NAMES}").count) == (0, 1)


# -- what is not buried -----------------------------------------------------------------------------------------------
def test_what_happened_to_an_app_is_not_pushed_out_of_sight_by_what_was_refused(shop: Site) -> None:
    hold(SHOP, V1, shop.w.s, options=YES)
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    for _ in range(60):
        tried(reader, 1)
        shop.w.clock.sleep(61)
    assert "held" in [deed.kind for deed in recent(SHOP, shop.w.s)]
    assert {event["kind"] for event in shop.w.ledger.events(SHOP)} == {"promoted", "held"}


def test_the_watcher_tells_the_lines_of_a_minute_that_is_over(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, 5)
    shop.w.clock.sleep(61)
    Watch(shop.w.s).tick(set())
    assert [event["data"]["count"] for event in shop.w.ledger.events() if event["kind"] == REFUSED] == [5]


# -- how it is shown --------------------------------------------------------------------------------------------------
def test_the_count_is_on_the_page_in_the_table_and_in_json(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/")
    tried(reader, 7)
    mara = shop.signed_in("mara")
    assert "(7 times)" in mara.get("/activity?kind=denied").text
    (row,) = csv.DictReader(io.StringIO(mara.get("/activity.csv?kind=refused").text))
    assert (row["count"], row["who"]) == ("7", "reader")
    assert mara.get("/api/v1/audit?kind=denied").get_json()["entries"][0]["count"] == 7
    told = Program(shop).get("audit?kind=refused").get_json()
    assert told["entries"][0]["count"] == 7
