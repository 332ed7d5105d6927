"""With a key a request is done once, whatever is sent again: by impatience, by two at once, or after a restart."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployctl.domain.host.access import Role
from deployctl.errors import DeployctlError, LedgerUnusable
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl_web.api import idempotency
from tests.unit.api_world import Program, problem, script, slow
from tests.unit.web_world import Site
from tests.unit.world import SHOP

BACK = "apps/shop/rollback"
TO_V1 = {"to_version": "v1"}


@pytest.fixture
def ci(shop: Site) -> Program:
    return Program(shop)


def moves(shop: Site) -> int:
    return len(shop.w.ledger.changes(SHOP)) - 2  # those of the world's beginning


def test_sent_again_it_is_answered_and_not_done_again(shop: Site, ci: Program) -> None:
    first = ci.post(BACK, {}, key="a", at=2)
    again = ci.post(BACK, {}, key="a", at=2)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.get_json() == first.get_json()
    assert (first.headers.get("Idempotent-Replay"), again.headers["Idempotent-Replay"]) == (None, "true")
    assert again.headers["ETag"] == first.headers["ETag"] == '"3"'
    assert moves(shop) == 1


def test_without_a_key_it_is_done_again(shop: Site, ci: Program) -> None:
    assert [ci.post("apps/shop/undo").status_code for _ in range(2)] == [200, 200]
    assert moves(shop) == 2


def test_a_key_of_another_request_is_refused(shop: Site, ci: Program) -> None:
    ci.post(BACK, TO_V1, key="a")
    for method, path, body in (("POST", BACK, {"to_version": "v2"}), ("POST", "apps/shop/undo", {}),
                               ("DELETE", "tokens/x", None)):
        problem(ci.ask(method, path, body, key="a"), 422, "key_reused")
    assert moves(shop) == 1


def test_a_key_belongs_to_who_sent_it(shop: Site, ci: Program) -> None:
    mara = shop.signed_in("mara")
    assert ci.post(BACK, {"to_version": "v1"}, key="a").status_code == 200
    answer = script(mara, "POST", "apps/shop/undo", {}, **{"Idempotency-Key": "a", "If-Match": '"3"'})
    assert answer.status_code == 200
    assert shop.w.serving == "v2"


def test_two_at_once_are_one(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(shop, monkeypatch, "upgrade") as go, ThreadPoolExecutor(2) as pool:
        shop.web_state.waits.glance = 20
        both = [pool.submit(ci.post, "apps/shop/upgrade", {"version": "v3"}, key="a") for _ in range(2)]
        go.set()
        first, second = (one.result(20) for one in both)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.get_json() == second.get_json()
    assert sorted(one.headers.get("Idempotent-Replay", "") for one in (first, second)) == ["", "true"]
    assert moves(shop) == 1


def test_the_second_does_not_wait_for_ever(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "FIRST_WAIT_SECONDS", 0.1)
    with slow(shop, monkeypatch, "upgrade") as go, ThreadPoolExecutor(1) as pool:
        shop.web_state.waits.glance = 20
        first = pool.submit(ci.post, "apps/shop/upgrade", {"version": "v3"}, key="a")
        while not api_keys_running(shop):
            threading.Event().wait(0.01)
        answer = ci.post("apps/shop/upgrade", {"version": "v3"}, key="a")
        problem(answer, 409, "still_running")
        assert answer.headers["Retry-After"] == "5"
        problem(ci.post("apps/shop/upgrade", {"version": "v1"}, key="a"), 422, "key_reused")
        go.set()
        assert first.result(20).status_code == 200
    assert ci.post("apps/shop/upgrade", {"version": "v3"}, key="a").headers["Idempotent-Replay"] == "true"


def api_keys_running(shop: Site) -> bool:
    keys = shop.app.extensions.get(idempotency.KEYS_EXTENSION)
    return bool(keys and keys.running)


def test_after_a_restart_the_answer_is_still_known(shop: Site, ci: Program) -> None:
    first = ci.post(BACK, TO_V1, key="a")
    shop.app.extensions.pop(idempotency.KEYS_EXTENSION)
    again = ci.post(BACK, TO_V1, key="a")
    assert (again.get_json(), again.headers["Idempotent-Replay"]) == (first.get_json(), "true")


def test_what_a_process_died_over_is_not_done_again_and_not_called_done(shop: Site, ci: Program,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(idempotency, "_end", lambda *_words, **_more: None)  # it never came to writing the answer
        assert ci.post(BACK, TO_V1, key="a").status_code == 200
    told = problem(ci.post(BACK, TO_V1, key="a"), 409, "outcome_unknown")
    assert "it is not known whether it was executed" in told["detail"]
    assert "look at the status" in told["remedy"]
    assert moves(shop) == 1
    problem(ci.post(BACK, TO_V1, key="a"), 409, "outcome_unknown")


def test_a_refusal_is_kept_as_it_was(shop: Site, ci: Program) -> None:
    stale = ci.post(BACK, TO_V1, key="a", at=1)
    problem(stale, 412, "state_changed")
    shop.w.rollback("v1")
    again = ci.post(BACK, TO_V1, key="a", at=1)
    assert (again.get_json(), again.mimetype) == (stale.get_json(), "application/problem+json")
    assert again.headers["Idempotent-Replay"] == "true"


def test_a_refusal_is_written_into_the_audit_once(shop: Site, ci: Program) -> None:
    for _ in range(3):
        ci.post(BACK, TO_V1, key="a", at=1)
    assert [one["data"]["count"] for one in shop.w.ledger.find_events(what="refused")] == [1]


def test_what_could_not_be_done_just_then_may_be_sent_again(shop: Site, ci: Program) -> None:
    token = shop.w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="upgrade", at=shop.w.clock.utc())
    problem(ci.post(BACK, TO_V1, key="a"), 423, "busy")
    assert isinstance(token, int)
    shop.w.ledger.give_lease_back(SHOP, token)
    shop.w.traffic.refuse_next("no such map")
    problem(ci.post(BACK, TO_V1, key="a"), 502, "switch_refused")
    assert ci.post(BACK, TO_V1, key="a").status_code == 200
    assert moves(shop) == 1


def test_what_broke_inside_may_be_sent_again(ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object, **_more: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as breaking:
        breaking.setattr("deployctl_web.api.routes_change.perform", broken)
        problem(ci.post(BACK, TO_V1, key="a"), 500, "internal")
    assert ci.post(BACK, TO_V1, key="a").status_code == 200


def test_what_was_not_understood_leaves_the_key_free(ci: Program) -> None:
    problem(ci.post(BACK, {"to": 1}, key="a"), 400, "invalid")
    assert ci.post(BACK, TO_V1, key="a").status_code == 200


def test_an_operation_is_found_again(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow(shop, monkeypatch, "upgrade"):
        first = ci.post("apps/shop/upgrade", {"version": "v3"}, key="a")
        again = ci.post("apps/shop/upgrade", {"version": "v3"}, key="a")
    assert (first.status_code, again.status_code, again.location) == (202, 202, first.location)


@pytest.mark.parametrize("key", ["", " ", "k" * 129, "k\u00e9", "k\tk"])
def test_what_is_no_key_does_nothing(shop: Site, ci: Program, key: str) -> None:
    problem(ci.post(BACK, TO_V1, key=key.encode().decode("latin-1")), 400, "invalid")
    assert shop.w.serving == "v2"


def test_a_day_later_the_key_is_free_and_its_row_is_gone(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    ci.post("apps/shop/undo", {}, key="a")
    ci.post("apps/shop/undo", {}, key="b")
    shop.w.clock.sleep(idempotency.KEYS_KEPT_SECONDS + 1)
    monkeypatch.setattr(idempotency, "CLEARED_EVERY", 0.0)
    assert ci.post("apps/shop/undo", {}, key="a").headers.get("Idempotent-Replay") is None
    assert [row["key"] for row in shop.w.ledger.db.execute("select key from answers")] == ["a"]
    assert moves(shop) == 3


# -- secrets ------------------------------------------------------------------------------------------------------------
def test_a_secret_is_shown_once_and_never_written_down(shop: Site, ci: Program) -> None:
    secret = ci.post("tokens", {"name": "x", "scope": "read"}, key="a").get_json()["secret"]
    told = problem(ci.post("tokens", {"name": "x", "scope": "read"}, key="a"), 409, "shown_once")
    assert secret not in str(told)
    link = ci.post("users", {"name": "eve", "role": "viewer"}, key="b").get_json()["link"]["url"]
    problem(ci.post("users", {"name": "eve", "role": "viewer"}, key="b"), 409, "shown_once")
    password = "a few words that are hard to guess"
    assert ci.post("users/eve/password", {"password": password}, key="c").status_code == 200
    assert ci.post("users/eve/password", {"password": password}, key="c").headers["Idempotent-Replay"] == "true"
    files = b"".join(path.read_bytes() for path in shop.w.home.rglob("*") if path.is_file())
    for text in (secret, link.rpartition("/")[2], password):
        assert text.encode() not in files


# -- a ledger in trouble ------------------------------------------------------------------------------------------------
def test_on_a_full_disk_going_back_works_without_the_key(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object, **_more: object) -> None:
        raise DeployctlError("no space left", code="disk_full")

    monkeypatch.setattr(SqliteLedger, "begin_answer", full)
    assert ci.post(BACK, TO_V1, key="a").status_code == 200
    assert shop.w.serving == "v1"


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(shop: Site, ci: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_words: object, **_more: object) -> None:
        raise LedgerUnusable("gone")

    with monkeypatch.context() as breaking:
        breaking.setattr(SqliteLedger, "finish_answer", broken)
        assert ci.post(BACK, TO_V1, key="a").status_code == 200
    problem(ci.post(BACK, TO_V1, key="a"), 409, "outcome_unknown")


def test_the_role_is_asked_for_before_an_answer_is_shown_again(shop: Site) -> None:
    deployer = Program(shop, "d", Role.DEPLOYER, "shop")
    assert deployer.post(BACK, TO_V1, key="a").status_code == 200
    shop.w.ledger.revoke_token("d", at=shop.w.clock.utc())
    problem(deployer.post(BACK, TO_V1, key="a"), 401, "not_signed_in")


def test_whoever_takes_another_key_each_time_fills_nothing(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollbacks are not limited by the minute, and failed ones are stored, too."""
    monkeypatch.setattr(idempotency, "MAX_KEYS_EACH", 20)
    monkeypatch.setattr(idempotency, "CLEARED_AFTER", 10)
    ci, other = Program(shop, "ci", Role.DEPLOYER, "shop"), Program(shop, "cd", Role.DEPLOYER, "shop")
    assert other.post(BACK, {}, key="mine", at=1).status_code == 412
    for number in range(60):
        assert ci.post(BACK, {}, key=f"k{number}", at=1).status_code == 412
    assert shop.w.ledger.db.execute("select count(*) from answers")[0][0] <= 20 + 10 + 1
    assert ci.post(BACK, {}, key="k59", at=1).headers["Idempotent-Replay"] == "true"
    assert other.post(BACK, {}, key="mine", at=1).headers["Idempotent-Replay"] == "true"
