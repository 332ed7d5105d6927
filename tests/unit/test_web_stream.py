"""`GET /events` as a browser receives it: a snapshot first, then changes, and no longer than the reader's rights
last."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from deployctl.domain.host.access import ALL, Role, given
from deployctl.domain.inputs.names import AppName
from deployctl.ports.metrics import Now
from deployctl.usecases.access.sign_in import end_session, list_sessions
from deployctl.usecases.access.tokens import create_token, revoke_token
from deployctl.usecases.access.users import remove_user, set_password, set_role
from deployctl_web.live import event_messages
from deployctl_web.security.rights import RIGHTS_CHECK_SECONDS
from deployctl_web.waits import Waits
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP

BEAT = 0.2
SOON = 3.0


@dataclass(frozen=True)
class Heard:
    id: int
    kind: str
    data: dict[str, Any]


class Ear:
    """One open stream. `beats` counts the heartbeats."""

    def __init__(self, answer: TestResponse) -> None:
        assert answer.status_code == 200, answer.text
        self.answer, self.pieces = answer, answer.iter_encoded()
        self.beats, self.retry = 0, 0

    def next(self) -> Heard | None:
        """Return the next event, None when the stream has ended."""
        for piece in self.pieces:
            lines = dict(line.split(": ", 1) for line in piece.decode().splitlines() if not line.startswith(":") and line)
            if "retry" in lines:
                self.retry = int(lines["retry"])
            elif "event" in lines:
                if lines["event"] == "beat":
                    self.beats += 1
                    continue
                return Heard(int(lines["id"]), lines["event"], json.loads(lines["data"]))
        return None

    def until(self, kind: str) -> Heard:
        while (heard := self.next()) is not None:
            if heard.kind == kind:
                return heard
        raise AssertionError(f"the stream ended before a {kind}")

    def ends(self, within: float = SOON) -> bool:
        """Tell whether the stream ends by itself; what it still tells is let go."""
        end = time.monotonic() + within
        while self.next() is not None:
            if time.monotonic() > end:
                return False
        return True

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """shop serves v2, v1 stands by."""
    with site(tmp_path, "v1", "v2", waits=Waits(tick=0.01, metrics=0.05, beat=BEAT)) as made:
        yield made


def listen(browser: Browser, path: str = "/events?app=shop", **headers: str) -> Ear:
    return Ear(browser.get(path, headers=headers, buffered=False))


# -- what is heard ------------------------------------------------------------------------------------------------------
def test_the_first_thing_heard_is_all_that_the_page_shows(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    first = ear.next()
    assert first is not None
    assert (first.kind, first.data["apps"][0]["active"]["version"], ear.retry) == ("snapshot", "v2", 1000)
    assert ear.answer.mimetype == "text/event-stream"
    assert "no-store" in ear.answer.headers["Cache-Control"]
    ear.close()


def test_a_change_typed_elsewhere_is_heard(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    shop.w.rollback()
    while (state := ear.until("state")).data["revision"] != 3:
        pass
    assert state.data["active"]["version"] == "v1"
    ear.close()


def test_what_a_button_began_is_heard_as_it_goes(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    shop.web_state.jobs.begin("rollback", SHOP, "mara (web)", lambda s: shop.w.rollback())
    progress = ear.until("progress")
    assert progress.data["verb"] == "rollback"
    while not progress.data["done"]:
        progress = ear.until("progress")
    ear.close()


def test_counters_are_heard_again_and_again(shop: Site) -> None:
    shop.meter.shown[SHOP] = {2: Now(at=1.0, requests_per_s=214.0)}
    ear = listen(shop.signed_in("mara"))
    assert [ear.until("metrics").data["releases"]["2"]["requests_per_s"] for _ in range(3)] == [214.0] * 3
    ear.close()


def test_when_all_is_quiet_a_beat_tells_both_ends_that_the_other_is_there(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    assert b"event: beat\ndata: {}\n\n" in ear.pieces  # reads on until it comes
    ear.close()


def test_no_event_breaks_the_frame_of_the_stream(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    text = "one\ntwo\r\n\nevent: state\ndata: {}\n\n\u2028"
    shop.web_state.broker.publish("notice", SHOP, {"text": text})
    assert ear.until("notice").data == {"text": text}
    ear.close()


# -- where it goes on ---------------------------------------------------------------------------------------------------
def test_who_comes_back_hears_what_he_missed_and_no_snapshot(shop: Site) -> None:
    mara = shop.signed_in("mara")
    ear = listen(mara)
    ear.until("snapshot")
    shop.web_state.broker.publish("notice", SHOP, {"n": 1})
    last = ear.until("notice")
    ear.close()
    shop.web_state.broker.publish("notice", SHOP, {"n": 2})
    back = listen(mara, **{"Last-Event-ID": str(last.id)})
    again = back.next()
    assert again is not None
    assert (again.kind, again.data) == ("notice", {"n": 2})
    back.close()


@pytest.mark.parametrize("last", ["", "0", "-1", "x", "1" * 30, "\u0661", "1e3", "999999999999"])
def test_who_comes_back_with_nonsense_or_too_late_begins_anew(shop: Site, last: str) -> None:
    shop.web_state.broker.publish("notice", SHOP, {})
    ear = listen(shop.signed_in("mara"), **{"Last-Event-ID": last.encode().decode("latin-1")})
    first = ear.next()
    assert first is not None
    assert first.kind == "snapshot"
    ear.close()


def test_a_reader_who_fell_behind_begins_anew(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    for number in range(event_messages.BEHIND + 20):
        shop.web_state.broker.publish("notice", SHOP, {"n": number})
    kinds = []
    while (heard := ear.next()) is not None and heard.kind != "snapshot":
        kinds.append(heard.kind)
    assert heard is not None
    assert len(kinds) <= 1  # the one that was being handed over
    ear.close()


# -- how many -----------------------------------------------------------------------------------------------------------
def test_a_browser_with_too_many_streams_loses_its_oldest_and_pages_are_answered_beside_it(shop: Site) -> None:
    mara, jonas = shop.signed_in("mara"), shop.signed_in("jonas")
    other = listen(jonas)
    ears = [listen(mara) for _ in range(24)]
    assert ears[0].ends()
    assert ears[0].retry == 5000, "it does not come back at once to take the place of another one"
    assert mara.get("/apps/shop").status_code == 200
    assert other.until("snapshot")
    ears.append(other)
    for ear in ears:
        ear.close()
    assert not shop.web_state.broker.watched


def test_a_stream_that_was_closed_by_the_browser_gives_its_place_away(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    assert shop.web_state.broker.watched
    ear.close()
    assert not shop.web_state.broker.watched


# -- who may listen -----------------------------------------------------------------------------------------------------
def test_nobody_listens_without_signing_in(shop: Site) -> None:
    assert shop.browser().get("/events").status_code == 401
    assert shop.browser().get("/events?app=shop").status_code == 401


def test_an_app_of_others_has_no_stream_and_looks_like_one_that_is_not_there(shop: Site) -> None:
    jonas = shop.signed_in("jonas", Role.ADMIN, "blog")
    answers = [jonas.get(f"/events?app={app}") for app in ("shop", "nothing", "..", "Shop")]
    seen = {(answer.status_code, re.sub(r'(csrf.token" \w+)="[^"]+"', r"\1", answer.text)) for answer in answers}
    assert [status for status, _text in seen] == [404], "one page, but for the token, which bears the second of its making"
    assert jonas.get("/events?app=blog&app=shop").status_code == 404


def test_an_app_of_others_is_not_heard_on_the_stream_of_everything(shop: Site) -> None:
    ear = listen(shop.signed_in("jonas", Role.ADMIN, "blog"), "/events")
    first = ear.next()
    assert first is not None
    assert first.data == {"apps": []}
    shop.w.rollback()
    shop.web_state.broker.publish("state", AppName("blog"), {"n": 1})
    heard = ear.until("state")
    assert heard.data == {"n": 1}
    ear.close()


@pytest.mark.parametrize("ending", ["role", "role_of_an_app", "session", "password", "user"])
def test_a_stream_ends_within_a_beat_when_its_person_may_not_listen_any_more(shop: Site, ending: str) -> None:
    shop.signed_in("root")
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    s = shop.w.s
    acts: dict[str, Callable[[], object]] = {
        "role": lambda: set_role("mara", Role.VIEWER, ALL, s),
        "role_of_an_app": lambda: set_role("mara", Role.VIEWER, "blog", s),
        "session": lambda: end_session("mara", list_sessions("mara", s)[0].id, s),
        "password": lambda: set_password("mara", "correct horse battery", s),
        "user": lambda: remove_user("mara", s),
    }
    acts[ending]()
    assert ear.ends()
    assert ear.beats <= RIGHTS_CHECK_SECONDS / BEAT + 1, "it ends at the next look at the right"
    ear.close()


def test_a_stream_of_a_token_ends_within_a_beat_when_it_is_revoked(shop: Site) -> None:
    secret = create_token("look", given(Role.VIEWER, ["shop"]), shop.w.s).secret
    ear = listen(shop.browser(), Authorization=f"Bearer {secret}")
    ear.until("snapshot")
    revoke_token("look", shop.w.s)
    assert ear.ends()
    ear.close()


def test_all_streams_end_when_the_process_does(shop: Site) -> None:
    ear = listen(shop.signed_in("mara"))
    ear.until("snapshot")
    shop.web_state.broker.close()
    assert ear.ends()
    ear.close()
