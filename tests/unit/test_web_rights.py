"""Rights that end do end at once, whichever process ends them: also for streams, waiting requests and long
responses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import ALL, Role, given
from deployctl.ports import Services
from deployctl.ports.metrics import Now
from deployctl.usecases.access.sign_in import end_sessions
from deployctl.usecases.access.tokens import create_token, revoke_token
from deployctl.usecases.access.users import make_link, remove_user, set_password, set_role
from tests.unit.api_world import Program, slow
from tests.unit.test_web_downloads import Chatty, Reader, made_chatty
from tests.unit.test_web_stream import Ear
from tests.unit.web_wire import Wire, served_site
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP

LONG = 5.0  # seconds: half of what a stream went on for once, and much longer than a look takes on a slow machine
PHRASE = "correct horse battery"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """shop serves v2, v1 stands by; root is another admin."""
    with site(tmp_path, "v1", "v2") as made:
        made.signed_in("root")
        yield made


@pytest.fixture
def other(shop: Site) -> Iterator[Services]:
    """What a command in another process has: a connection of its own to the ledger's file."""
    ledger = shop.w.open_ledger()
    yield shop.w.services(actor="root (cli)", ledger=ledger)
    ledger.close()


ENDINGS: dict[str, Callable[[Services], object]] = {
    "a role that is taken away": lambda s: set_role("mara", None, ALL, s),
    "all sessions ended": lambda s: end_sessions("mara", s),
    "a new password": lambda s: set_password("mara", PHRASE, s),
    "the user removed": lambda s: remove_user("mara", s),
}


# -- streams ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stream_ends_long_before_its_next_heartbeat(shop: Site, other: Services, ending: str) -> None:
    ear = Ear(shop.signed_in("mara").get("/events", buffered=False))
    ear.until("snapshot")
    ENDINGS[ending](other)
    assert took_to_end(ear) < LONG
    ear.close()


def test_whoever_comes_back_with_another_role_begins_anew(shop: Site, other: Services) -> None:
    """A browser sends the last id that it received; what came before was sent under other rights."""
    ear = Ear(shop.signed_in("mara").get("/events", buffered=False))
    ear.until("snapshot")
    set_role("mara", Role.VIEWER, ALL, other)
    left = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in ear.pieces)
    assert left.endswith(b"id: \n\n")
    ear.close()


def test_a_stream_that_always_has_something_to_tell_ends_as_soon(shop: Site, other: Services) -> None:
    shop.meter.shown[SHOP] = {2: Now(at=1.0, requests_per_s=214.0)}
    secret = create_token("look", given(Role.VIEWER, []), shop.w.s).secret
    ear = Ear(shop.browser().get("/events?app=shop", headers={"Authorization": f"Bearer {secret}"}, buffered=False))
    ear.until("metrics")
    revoke_token("look", other)
    assert took_to_end(ear) < LONG
    ear.close()


def took_to_end(ear: Ear) -> float:
    """Return how many seconds the stream goes on."""
    began = time.monotonic()
    assert ear.ends(3 * LONG)
    return time.monotonic() - began


def test_a_snapshot_that_took_long_is_not_told_to_who_may_not_see_it_any_more(
        shop: Site, other: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = shop.web_state.broker.snapshot

    def slowly(stream: object) -> object:
        threading.Event().wait(0.6)  # an engine that takes its time
        remove_user("mara", other)
        return snapshot(stream)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.web_state.broker, "snapshot", slowly)
    ear = Ear(shop.signed_in("mara").get("/events", buffered=False))
    assert ear.next() is None, "neither the snapshot nor anything else"
    ear.close()


def test_the_connection_itself_is_closed(tmp_path: Path) -> None:
    with served_site(tmp_path, "v1", "v2") as made:
        secret = create_token("look", given(Role.VIEWER, []), made.w.s).secret
        wire = Wire(made, timeout=LONG)
        wire.send(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{made.web_state.place.listen[1]}\r\n"
                  f"Authorization: Bearer {secret}\r\nConnection: close\r\n\r\n")
        wire.until("event: snapshot")
        revoke_token("look", made.w.s)
        while wire.socket.recv(65536):  # raises TimeoutError when it is open and silent for so long
            pass
        wire.close()


# -- what takes long ----------------------------------------------------------------------------------------------------
def test_a_page_that_took_long_to_read_is_not_shown_to_who_may_not_see_it_any_more(
        shop: Site, other: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    mara, status_cache = shop.signed_in("mara"), shop.web_state.status_cache
    whole = type(status_cache).whole

    def slowly(*args: Any, **named: Any) -> object:
        threading.Event().wait(0.6)
        set_role("mara", None, ALL, other)
        return whole(*args, **named)

    monkeypatch.setattr(type(status_cache), "whole", slowly)
    answer = mara.get("/apps/shop")
    assert (answer.status_code, "serves" in answer.text) == (403, False)
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_download_breaks_off_and_does_not_look_whole(tmp_path: Path) -> None:
    with served_site(tmp_path, "v1") as made:
        reader = Reader(made)
        chatty = made_chatty(made, Chatty(1_000))
        chatty.then = chatty.hang  # the rest comes when the reader is gone, or never
        _, answer = reader.ask("/apps/shop/logs.txt")
        answer.read(100)
        with made.w.beside() as other:
            revoke_token("ci", other)
        with pytest.raises(IncompleteRead):
            answer.read()
        assert chatty.ended.wait(LONG), "and nobody reads on for it"


def test_nobody_waits_for_the_end_of_a_change_with_a_right_that_has_ended(
        shop: Site, other: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    ci = Program(shop)
    with slow(shop, monkeypatch, "upgrade"):
        threading.Timer(0.3, revoke_token, ("ci", other)).start()
        began = time.monotonic()
        answer = ci.post("apps/shop/upgrade", {"version": "v3"}, wait=15)  # longer would be answered by the upgrade's end
        assert (answer.status_code, time.monotonic() - began < 2 * LONG) == (202, True)
        assert shop.web_state.jobs.under_way(SHOP), "the wait ended before the upgrade did"
        assert ci.get(answer.headers["Location"]).status_code == 401


# -- one-time links -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_that_was_made_before_signs_nobody_in(shop: Site, other: Services, ending: str) -> None:
    shop.signed_in("mara")
    link = make_link("mara", shop.w.s)
    ENDINGS[ending](other)
    browser = shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 401


def test_a_link_for_a_reader_does_not_sign_in_an_admin(shop: Site, other: Services) -> None:
    shop.signed_in("mara", Role.VIEWER)
    link = make_link("mara", shop.w.s)
    set_role("mara", Role.ADMIN, ALL, other)
    browser = shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 401


def test_a_link_that_was_made_after_signs_in(shop: Site, other: Services) -> None:
    shop.signed_in("mara")
    end_sessions("mara", other)
    link = make_link("mara", other)
    browser = shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 302


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_for_somebody_else_ends_with_the_rights_of_who_made_it(shop: Site, other: Services, ending: str) -> None:
    shop.signed_in("mara")
    shop.signed_in("jonas")
    link = make_link("jonas", shop.w.services(actor="mara (web)"), minutes=1440)
    ENDINGS[ending](other)
    browser = shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 401


@pytest.mark.parametrize("owner", [None, "mara"])
def test_a_link_that_a_token_made_ends_with_the_token(shop: Site, other: Services, owner: str | None) -> None:
    shop.signed_in("mara")
    shop.signed_in("jonas")
    secret = create_token("ci", given(Role.ADMIN, []), shop.w.s, owner=owner).secret
    link = shop.browser().ask("POST", "/api/v1/users/jonas/link", json={"minutes": 1440},
                              headers={"Authorization": f"Bearer {secret}"}).get_json()["link"]["url"].rpartition("/")[2]
    remove_user("mara", other) if owner else revoke_token("ci", other)
    browser = shop.browser()
    browser.get(f"/start/{link}")
    assert browser.post(f"/start/{link}").status_code == 401
