"""What everybody may do with their own account, and a deployer with their app, cannot fill the ledger either."""

from __future__ import annotations

import pytest

from deployctl.domain.host.access import Origin, Role, given
from deployctl.domain.host.folding import PLANS_KEPT, PLANS_SLACK, REPEATED, REPEATED_KEPT, REPEATED_SLACK
from deployctl.ledger.access import SIGN_INS_KEPT
from deployctl.usecases.access.passwords import TooManyTries
from deployctl.usecases.access.sign_in import ATTEMPT_WINDOW, OFTEN, end_sessions, sign_in
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, set_password
from deployctl.usecases.ledger.fold import fold
from deployctl_web.security.limits import UNLIMITED
from deployctl_web.state import MAX_CHANGES_A_MINUTE
from tests.unit.web_world import Site

PHRASE = "a long phrase of many words"
HERE = Origin("192.0.2.7")
MANY = REPEATED_KEPT + REPEATED_SLACK + 50
BY_FORMS = MAX_CHANGES_A_MINUTE


def count(shop: Site, table: str, where: str = "true") -> int:
    return int(shop.w.ledger.db.execute(f"select count(*) from {table} where {where}")[0][0])


def once_more(shop: Site, kind: str, times: int, actor: str = "reader (web)") -> None:
    with shop.w.ledger.transaction():
        for _ in range(times):
            shop.w.ledger.event(kind, "x", at=shop.w.clock.utc(), actor=actor)


# -- how often --------------------------------------------------------------------------------------------------------
def test_a_reader_who_ends_sessions_in_a_loop_is_told_when_to_come_back(shop: Site) -> None:
    reader = shop.signed_in("reader", Role.VIEWER, "shop")
    reader.get("/settings")
    answers = [reader.post(f"/settings/sessions/{n + 10}/end") for n in range(BY_FORMS + 2)]
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
    assert "oo many changes within a minute" in answers[-1].text


def test_a_deployer_who_holds_and_lets_go_in_a_loop_is_told_to_wait_and_still_goes_back(shop: Site) -> None:
    browser = shop.signed_in("dora", Role.DEPLOYER, "shop")
    browser.get("/apps/shop")
    verbs = ["hold", "unhold"] * (BY_FORMS // 2 + 2)
    codes = [browser.post(f"/apps/shop/{verb}", version="v1").status_code for verb in verbs]
    assert codes == [303] * BY_FORMS + [429] * 4
    assert browser.post("/apps/shop/remark", note="because").status_code == 429, "all forms together"
    browser.get("/apps/shop")
    assert browser.post("/apps/shop/unhold", version="v1").status_code == 429
    assert browser.post("/apps/shop/rollback", to_version="v1", yes="yes").status_code == 303
    assert browser.post("/logout").status_code == 302, "and signs out"


def test_a_persons_tokens_and_sessions_are_one_person(shop: Site) -> None:
    admin = shop.signed_in("ada", Role.ADMIN)
    secrets = [create_token(f"t{n}", given(Role.DEPLOYER, ["shop"]), shop.w.s, owner="ada").secret for n in range(2)]
    headers = [{"Authorization": f"Bearer {secret}"} for secret in secrets]
    codes = [admin.ask("POST", "/api/v1/apps/shop/unhold", json={"version": "v1"}, headers=headers[n % 2]).status_code
             for n in range(BY_FORMS + 1)]
    assert codes == [200] * BY_FORMS + [429]


def test_a_password_signs_in_so_often_a_minute_and_a_link_still_does(shop: Site) -> None:
    add_user("reader", given(Role.VIEWER, ["shop"]), shop.w.s)
    set_password("reader", PHRASE, shop.w.s)
    for _ in range(OFTEN):
        sign_in("reader", PHRASE, HERE, shop.w.s)
    with pytest.raises(TooManyTries) as told:
        sign_in("reader", PHRASE, HERE, shop.w.s)
    assert 0 < told.value.retry_after <= ATTEMPT_WINDOW
    before = count(shop, "events")
    browser = shop.browser()
    browser.get("/login")
    answer = browser.post("/login", name="reader", password=PHRASE)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert count(shop, "events") == before
    assert shop.signed_in("reader").get("/").status_code == 200
    shop.w.clock.sleep(ATTEMPT_WINDOW + 1)
    assert sign_in("reader", PHRASE, HERE, shop.w.s)


def test_a_clock_that_was_set_back_keeps_nobody_out(shop: Site) -> None:
    add_user("reader", given(Role.VIEWER, ["shop"]), shop.w.s)
    set_password("reader", PHRASE, shop.w.s)
    for number in range(OFTEN):  # by a clock that was an hour ahead
        shop.w.ledger.add_sign_in(f"{number}", "reader", at="2026-01-01T01:00:00.000Z", address="-", agent="-")
    assert sign_in("reader", PHRASE, HERE, shop.w.s)


def test_every_route_that_is_named_for_a_limit_is_there(shop: Site) -> None:
    assert {*shop.app.view_functions} >= UNLIMITED


# -- how much ---------------------------------------------------------------------------------------------------------
def test_sessions_of_long_ago_go(shop: Site) -> None:
    add_user("reader", given(Role.VIEWER, ["shop"]), shop.w.s)
    for number in range(SIGN_INS_KEPT + 30):
        shop.w.ledger.add_sign_in(f"{number}", "reader", at=shop.w.clock.utc(), address="-", agent="-")
    assert count(shop, "sign_ins") == SIGN_INS_KEPT
    assert shop.w.ledger.find_sign_in(f"{SIGN_INS_KEPT + 29}") is not None
    assert end_sessions("reader", shop.w.s) == SIGN_INS_KEPT


@pytest.mark.parametrize("kind", REPEATED)
def test_what_one_person_did_over_and_over_is_folded_and_nobody_elses(shop: Site, kind: str) -> None:
    once_more(shop, kind, 1, "other (web)")
    once_more(shop, kind, MANY)
    once_more(shop, kind, 1, "other (web)")
    folded = fold(shop.w.s)
    assert folded.repeated == MANY - REPEATED_KEPT
    assert count(shop, "events", f"kind = '{kind}' and actor = 'reader (web)'") == REPEATED_KEPT
    assert count(shop, "events", "actor = 'other (web)'") == 2
    told = shop.w.ledger.find_events(what="checkpoint")[0]
    assert told["data"]["kinds"] == {kind: folded.repeated}
    assert told["data"]["by"] == {"reader (web)": folded.repeated}
    assert shop.w.ledger.find_faults() == []
    assert not fold(shop.w.s), "twice changes nothing"


def test_what_was_altered_is_not_folded_away(shop: Site) -> None:
    once_more(shop, "signed_in", MANY)
    db = shop.w.ledger.db
    trigger = db.execute("select sql from sqlite_master where name = 'events_no_update'")[0][0]
    db.execute("drop trigger events_no_update")
    db.execute("update events set actor = 'reader (web)', text = 'y' where kind = 'signed_in' and id = "
               "(select min(id) from events where kind = 'signed_in')")
    db.execute(trigger)
    fold(shop.w.s)
    assert any("signed_in" in fault for fault in shop.w.ledger.find_faults())


def test_a_loop_of_signing_in_and_out_comes_to_an_end(shop: Site) -> None:
    """The whole way, by the use cases: an hour of it, and what stays."""
    add_user("reader", given(Role.VIEWER, ["shop"]), shop.w.s)
    once_more(shop, "signed_in", MANY)
    once_more(shop, "signed_out", MANY)
    fold(shop.w.s)
    assert count(shop, "events", "actor = 'reader (web)'") == 2 * REPEATED_KEPT


def test_plans_are_kept_of_the_newest_deployments_only_however_young(shop: Site) -> None:
    with shop.w.ledger.transaction():
        for number in range(PLANS_KEPT + PLANS_SLACK + 10):
            at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
            shop.w.ledger.db.execute(
                "insert into deployments(app, kind, phase, plan, actor, started_at, token, finished_at, before) values "
                "('shop', 'stop', 'succeeded', (select plan from deployments where id = 1), '"
                "x', ?, 1, ?, (select before from deployments where id = 1))", [at, at])
    assert fold(shop.w.s).plans > PLANS_SLACK
    assert PLANS_KEPT <= count(shop, "deployments", "plan != ''") <= PLANS_KEPT + 2
    assert shop.w.ledger.find_faults() == []
    assert shop.w.undo().target == "v1"
