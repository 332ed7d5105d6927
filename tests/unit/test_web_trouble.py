"""The dashboard when the ground gives way: a full disk, a ledger that is gone, a clock that jumps; and who tries too much."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from deployctl.domain.host.access import ALL, Origin, Role, given
from deployctl.domain.host.actor import Actor, Via
from deployctl.errors import DeployctlError, LeaseHeld, LedgerUnusable, NotPermitted
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.ports import Services
from deployctl.usecases.access import passwords
from deployctl.usecases.access.passwords import TooManyTries
from deployctl.usecases.access.sign_in import WrongSignIn, sign_in
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.access.users import add_user, remove_user, require_user, set_password, set_role
from deployctl.usecases.clock_math import later
from deployctl.usecases.results import Done
from deployctl.usecases.steps.options import ChangeOptions
from deployctl_web.pages.act import WAITING
from tests.unit.api_world import do_instead
from tests.unit.web_world import Site

PHRASE = "correct horse battery"
FULL = DeployctlError("no space left for the ledger /srv/deploy/state/ledger.db.", code="disk_full")
pytestmark = pytest.mark.usefixtures("cheap_hash")


def raises(error: DeployctlError) -> Callable[..., None]:
    def broken(*_words: object, **_more: object) -> None:
        raise error

    return broken


def slowly(monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    """Let that reading of the ledger take so long that others come between it and what is done by it."""
    quick = getattr(SqliteLedger, read)

    def slow(*words: object, **more: object) -> object:
        found = quick(*words, **more)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(SqliteLedger, read, slow)


def at_once(shop: Site, *acts: Callable[[Services], object]) -> None:
    """Do these at the same time, each over its own connection; what is refused is refused."""
    def do(act: Callable[[Services], object]) -> None:
        with suppress(DeployctlError), shop.web_state.pool.lend(Actor("somebody", Via.CLI)) as s:
            act(s)

    with ThreadPoolExecutor(len(acts)) as pool:
        list(pool.map(do, acts))


# -- a full disk, a ledger that is gone -----------------------------------------------------------------------------------
def test_on_a_full_disk_nobody_who_is_signed_in_is_kept_from_going_back(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara, ci = shop.signed_in("mara"), create_token("ci", given(Role.DEPLOYER, []), shop.w.s).secret
    shop.w.clock.sleep(3600)
    for note in ("touch_sign_in", "touch_token"):
        monkeypatch.setattr(SqliteLedger, note, raises(FULL))
    assert mara.get("/apps/shop").status_code == 200
    assert mara.post("/apps/shop/rollback", to_version="v1").status_code == 303
    assert shop.w.serving == "v1"
    assert shop.browser().get("/api/v1/apps/shop", headers={"Authorization": f"Bearer {ci}"}).status_code == 200


def test_a_ledger_that_is_gone_is_told_and_not_asked_again_for_that(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara = shop.signed_in("mara")
    monkeypatch.setattr(SqliteLedger, "find_sign_in", raises(LedgerUnusable("/srv/deploy/state/ledger.db is gone")))
    told = mara.get("/apps/shop")
    assert (told.status_code, "/srv" in told.text) == (503, False)
    assert "Traffic is not affected." in told.text


@pytest.mark.parametrize("error", [
    FULL, LeaseHeld("the ledger /srv/deploy/state/ledger.db was locked by another process for 5 s."),
    NotPermitted("the ledger /srv/deploy/state/ledger.db cannot be written (readonly).")], ids=lambda error: error.code)
def test_a_stranger_is_not_told_where_files_lie_whatever_goes_wrong(
        shop: Site, monkeypatch: pytest.MonkeyPatch, error: DeployctlError) -> None:
    stranger = shop.browser()
    stranger.get("/login")
    monkeypatch.setattr(SqliteLedger, "note_refusal", raises(error))
    monkeypatch.setattr(SqliteLedger, "take_link", raises(error))
    for path in ("/login", "/start/no-link"):
        told = stranger.post(path, name="mara", password=PHRASE)
        assert told.status_code in {403, 423, 507}
        assert "/srv" not in told.text
        assert "Traffic is not affected." in told.text


# -- who tries too much ---------------------------------------------------------------------------------------------------
def test_a_token_that_is_none_is_no_way_around_the_check_of_the_form_that_signs_in(shop: Site) -> None:
    add_user("jonas", {ALL: Role.VIEWER}, shop.w.s)
    set_password("jonas", PHRASE, shop.w.s)
    browser = shop.browser()
    for more in ({}, {"Origin": "https://evil.example"}):
        told = browser.send("/login", {"name": "jonas", "password": PHRASE}, Authorization="Basic eDp5", **more)
        assert told.status_code == 403
        assert "Set-Cookie" not in told.headers or "_user_id" not in told.headers["Set-Cookie"]
    assert browser.get("/").status_code == 401


def test_who_found_a_browser_open_cannot_try_passwords_on_the_settings_page_for_long(shop: Site) -> None:
    mara = shop.signed_in("mara")
    set_password("mara", PHRASE, shop.w.s, keep=1)
    mara.get("/settings")
    made = {"password": PHRASE + "2", "again": PHRASE + "2"}
    tried = [mara.post("/settings/password", current_password=f"wrong {n}", **made).status_code
             for n in range(7)]
    assert tried == [403] * 5 + [429] * 2


@pytest.mark.parametrize("number", ["0000011000000", "000001" + "9" * 5000, "2001", "0", "-1", "1e3"])
def test_a_number_of_lines_is_bounded_however_it_is_written(shop: Site, number: str) -> None:
    told = shop.signed_in("mara").get(f"/apps/shop/logs.txt?n={number}")
    assert told.status_code == 400
    assert "is a number of lines from 1 to 2000." in told.text

# -- two at the same time -------------------------------------------------------------------------------------------------
def test_what_two_admins_change_of_one_user_at_the_same_time_is_both_kept(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    add_user("jonas", {"shop": Role.DEPLOYER, "blog": Role.DEPLOYER}, shop.w.s)
    slowly(monkeypatch, "find_user")
    at_once(shop, lambda s: set_role("jonas", None, "shop", s), lambda s: set_role("jonas", Role.ADMIN, "blog", s))
    assert require_user("jonas", shop.w.s).roles == {"blog": Role.ADMIN}


def test_two_admins_who_remove_each_other_leave_one(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mara", "jonas"):
        add_user(name, {ALL: Role.ADMIN}, shop.w.s)
    slowly(monkeypatch, "users")
    at_once(shop, lambda s: remove_user("mara", s), lambda s: set_role("jonas", Role.VIEWER, ALL, s))
    assert [u.name for u in shop.w.ledger.users() if u.roles.get(ALL) is Role.ADMIN] in [["mara"], ["jonas"]]


@pytest.mark.parametrize("taken", [lambda s: set_password("mara", PHRASE + "2", s), lambda s: remove_user("mara", s)],
                         ids=["password", "user"])
def test_a_password_that_is_taken_away_while_it_is_checked_signs_nobody_in(
        shop: Site, monkeypatch: pytest.MonkeyPatch, taken: Callable[[Services], None]) -> None:
    for name in ("mara", "jonas"):
        add_user(name, {ALL: Role.ADMIN}, shop.w.s)
    set_password("mara", PHRASE, shop.w.s)

    def checked(hash_: str | None, password: str) -> bool:
        found = passwords.fits(hash_, password)
        taken(shop.w.s)
        return found

    monkeypatch.setattr("deployctl.usecases.access.sign_in.fits", checked)
    with pytest.raises(WrongSignIn):
        sign_in("mara", PHRASE, Origin(), shop.w.s)
    assert shop.w.ledger.sign_ins("mara") == []


def test_strangers_with_many_addresses_keep_four_threads_busy_and_no_more(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  as it is called there
            begun.release()
            goes_on.wait(10)
            raise VerifyMismatchError

    monkeypatch.setattr(passwords, "_hasher", partial(Slow, time_cost=1, memory_cost=8, parallelism=1))
    strangers = [shop.browser() for _ in range(6)]
    for one in strangers:
        one.get("/login")
    with ThreadPoolExecutor(4) as pool:
        tried = [pool.submit(one.post, "/login", name="mara", password=PHRASE) for one in strangers[:4]]
        assert all(begun.acquire(timeout=10) for _ in tried)
        assert [one.post("/login", name="mara", password=PHRASE).status_code for one in strangers[4:]] == [429, 429]
        goes_on.set()
        assert [one.result(10).status_code for one in tried] == [401] * 4
    assert strangers[5].post("/login", name="mara", password=PHRASE).status_code == 401


def test_a_person_may_stand_in_line_while_the_line_is_short(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara, goes_on = shop.signed_in("mara"), threading.Event()
    monkeypatch.setattr("deployctl_web.pages.act.MAX_WAITING_JOBS", 2)
    waits: list[float] = []

    def stand(*, options: ChangeOptions, **_asked: object) -> Done:
        waits.append(options.lock_wait)
        goes_on.wait(10)
        return Done("Abort", "shop", "done")

    do_instead(monkeypatch, "abort", stand)
    mara.get("/apps/shop")
    for _ in range(3):
        assert mara.post("/apps/shop/abort", wait="yes").status_code == 303
    goes_on.set()
    assert waits == [WAITING, WAITING, 0.0]


# -- a clock that jumps ---------------------------------------------------------------------------------------------------
def test_a_clock_that_is_set_back_by_a_year_locks_nobody_out_and_keeps_no_session_alive(
        shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara, back = shop.signed_in("mara"), 365 * 86_400.0
    set_password("mara", PHRASE, shop.w.s, keep=1)
    for _ in range(5):
        with pytest.raises(WrongSignIn):
            sign_in("mara", "another password", Origin(), shop.w.s)
    with pytest.raises(TooManyTries):
        sign_in("mara", PHRASE, Origin(), shop.w.s)
    utc = shop.w.clock.utc
    monkeypatch.setattr(shop.w.clock, "utc", lambda: later(utc(), -back))
    assert mara.get("/apps/shop").status_code == 401
    assert sign_in("mara", PHRASE, Origin(), shop.w.s)


def test_a_clock_that_is_set_back_by_an_hour_signs_nobody_out(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    mara, utc = shop.signed_in("mara"), shop.w.clock.utc
    monkeypatch.setattr(shop.w.clock, "utc", lambda: later(utc(), -3600.0))
    assert mara.get("/apps/shop").status_code == 200
    assert shop.w.ledger.sign_ins("mara")[0].seen_at <= shop.w.clock.utc()
