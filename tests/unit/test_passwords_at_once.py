"""Passwords take memory, a core and a permanent line of the audit log: how many are checked at once, and how often, is
limited for every user, by whichever page, form or call."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role
from deployctl.usecases.access import passwords
from deployctl.usecases.access.passwords import MAX_PARALLEL_HASHES, TooManyTries
from deployctl.usecases.access.sign_in import list_sessions
from deployctl.usecases.access.users import set_password
from deployctl_web.state import MAX_CHANGES_A_MINUTE
from deployctl_web.state import OWN_PASSWORDS as MOST
from tests.unit.api_world import Program, problem, script
from tests.unit.web_world import Browser, Site

PHRASE = "four plain words here"
EACH = 64  # MiB that one check takes
CROWD = 16


@pytest.fixture
def reader(shop: Site) -> Browser:
    """A reader with a password, whose session goes on."""
    found = shop.signed_in("vic", Role.VIEWER, "shop")
    set_password("vic", PHRASE, shop.w.s, keep=list_sessions("vic", shop.w.s)[0].id)
    found.get("/settings")
    return found


@pytest.fixture
def crowd(reader: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is reached, once the reader has signed in: there is no room for one more."""
    del reader
    monkeypatch.setattr(passwords, "_room", threading.BoundedSemaphore(1))
    passwords._room.acquire()


def by_page(reader: Browser, number: int) -> int:
    was, made = (f"{PHRASE} {n}" if n else PHRASE for n in (number, number + 1))
    return reader.post("/settings/password", current_password=was, password=made, again=made).status_code


def by_call(reader: Browser, number: int) -> int:
    was, made = (f"{PHRASE} {n}" if n else PHRASE for n in (number, number + 1))
    return script(reader, "POST", "users/vic/password", {"current_password": was, "password": made}).status_code


def by_proof(reader: Browser, _number: int) -> int:
    """Say the password along with a form that needs none."""
    return reader.post("/settings/appearance", theme="dark", sign_in_again=PHRASE).status_code


DOORS = pytest.mark.parametrize("door", [by_page, by_call, by_proof])


# -- at once -----------------------------------------------------------------------------------------------------------
def peak() -> float:
    """Return the most that this process ever had in memory since it was forgotten, in MiB."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def test_a_crowd_that_has_its_passwords_checked_takes_the_memory_of_four() -> None:
    hash_ = passwords.hashed(PHRASE)
    Path("/proc/self/clear_refs").write_text("5")
    before, told = peak(), Counter[str]()
    start = threading.Barrier(CROWD)

    def check() -> None:
        start.wait()
        try:
            told[str(passwords.fits(hash_, PHRASE))] += 1
        except TooManyTries as error:
            told[error.code] += 1

    threads = [threading.Thread(target=check) for _ in range(CROWD)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert told["True"] >= 1
    assert told.total() == CROWD
    assert peak() - before < (MAX_PARALLEL_HASHES + 2) * EACH


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("door", [by_page, by_call])
def test_where_there_is_no_room_a_password_is_not_looked_at(reader: Browser, door: Callable[[Browser, int], int]) -> None:
    assert door(reader, 0) == 429


@pytest.mark.usefixtures("crowd")
def test_the_same_for_an_admin_who_sets_them_for_others_and_a_link_signs_in_meanwhile(shop: Site) -> None:
    shop.signed_in("vic")
    told = problem(Program(shop).post("users/vic/password", {"password": PHRASE}), 429, "too_many_tries")
    assert "Too many attempts" in told["detail"]


# -- how often ---------------------------------------------------------------------------------------------------------
def lines(shop: Site) -> int:
    return int(shop.w.ledger.db.execute("select count(*) from events")[0][0])


@DOORS
def test_a_reader_who_says_their_own_password_again_and_again_buries_nothing(
        shop: Site, reader: Browser, door: Callable[[Browser, int], int]) -> None:
    before = lines(shop)
    codes = [door(reader, n) for n in range(MOST + 5)]
    assert codes[0] < 400
    assert codes[-1] in {403, 429}
    assert lines(shop) - before <= MOST


def test_all_ways_to_say_it_count_together(reader: Browser) -> None:
    assert [by_page(reader, n) for n in range(MOST)] == [303] * MOST
    assert by_call(reader, MOST) == 429


def test_a_deployer_changes_no_more_by_forms_than_by_calls_but_always_goes_back(shop: Site) -> None:
    most = MAX_CHANGES_A_MINUTE
    deployer = shop.signed_in("dep", Role.DEPLOYER, "shop")
    deployer.get("/apps/shop")
    codes = [deployer.post("/apps/shop/remark", note=f"note {n}").status_code for n in range(most + 1)]
    assert codes[0] == 303
    assert codes[-1] == 429
    deployer.get("/apps/shop")
    assert deployer.post("/apps/shop/rollback", to_version="v1").status_code == 303
