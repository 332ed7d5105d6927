"""Each page in each state says what it must; forms do everything without JavaScript; nothing that people type is markup."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.host.access import Role
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Counters, Recent
from deployctl.errors import DeployctlError, NotHealthy, ProxyUnavailable
from deployctl.ports import LogLine
from deployctl.ports.metrics import Now, Point
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.options import ChangeOptions
from deployctl_web.pages.activity import safe_cell
from deployctl_web.pages.parts.log_view import level_of, tells_of_error
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP, V2

XSS = '<script>alert("x")</script>\'"><img src=x onerror=alert(1)>'
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
PAGES = ["/", "/live", "/apps/shop", "/apps/shop/live", "/apps/shop/lower", "/apps/shop/charts", "/apps/shop/charts?span=24h",
         "/apps/shop/logs", "/apps/shop/logs/tail", "/apps/shop/logs/proxy", "/apps/shop/versions/v1", "/apps/shop/versions/v2",
         "/apps/shop/compare?a=v1&b=v2", "/apps/shop/ask?to=v1", "/apps/shop/ask?verb=stop&to=v2",
         "/apps/shop/ask?verb=prune", "/apps/shop/deploy", "/apps/shop/deploy?verb=start&to=v1", "/activity",
         "/activity?app=shop&user=mara&kind=upgrade", "/server", "/settings", "/apps/nothing"]
FORMER_TWINS = ["/apps.json", "/apps/shop.json", "/apps/shop/logs.json", "/apps/shop/logs/proxy.json",
                "/apps/shop/versions/v1.json", "/apps/shop/compare.json?a=v1&b=v2", "/activity.json", "/server.json",
                "/settings.json"]


@pytest.fixture
def mara(shop: Site) -> Browser:
    return shop.signed_in("mara")


def text_of(page: str) -> str:
    """Return what is read, without tags and with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", page, flags=re.S)))


def fresh(made: Site, browser: Browser, path: str = "/apps/shop") -> str:
    made.web_state.status_cache.forget()
    answer = browser.get(path)
    assert answer.status_code == 200, text_of(answer.text)
    return text_of(answer.text)


class Balance(HTMLParser):
    """Follows tags; what is not closed, or closed without having been opened, is a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.faults += [f"{tag}: {name} twice" for name in set(names) if names.count(name) > 1]
        self.faults += [f"{tag} has {name}" for name in names if name == "style" or name.startswith("on")]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()


def check_form(page: str, path: str) -> None:
    seen = Balance()
    seen.feed(page)
    assert seen.faults == [], path
    assert seen.open == [], path
    assert len(seen.ids) == len(set(seen.ids)), [one for one in seen.ids if seen.ids.count(one) > 1]
    if page.startswith("<!doctype"):
        assert seen.headings.count("h1") == 1, path
        levels = [int(one[1]) for one in seen.headings]
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), (path, seen.headings)


# -- form -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_well_formed_has_one_heading_and_no_style_or_script_of_its_own(shop: Site, mara: Browser,
                                                                                     path: str) -> None:
    shop.w.rollback()
    page = mara.get(path).text
    check_form(page.strip(), path)
    assert "<style" not in page
    assert re.findall(r"<script(?![^>]* src=)", page) == []


@pytest.mark.parametrize("path", FORMER_TWINS)
def test_a_program_that_asks_for_the_former_json_of_a_page_is_led_to_the_api(mara: Browser, path: str) -> None:
    told = mara.get(path)
    assert (told.status_code, told.mimetype) == (404, "application/problem+json")
    assert told.headers["Link"] == '</api/v1/openapi.json>; rel="service-desc"'
    assert json.loads(told.text)["remedy"] == ["the JSON API is at /api/v1, documented at /api/docs"]


def test_everything_that_acts_carries_the_token_and_what_moves_traffic_the_revision(mara: Browser) -> None:
    page = mara.get("/apps/shop").text
    forms = re.findall(r'<form method="post".*?</form>', page, flags=re.S)
    assert len(forms) > 3
    assert all('name="csrf_token"' in form for form in forms)
    acting = [form for form in forms if 'data-act="' in form and 'data-act="abort"' not in form]
    assert acting
    assert all('name="revision" value="2"' in form for form in acting)


def test_a_fragment_is_only_the_inside(mara: Browser) -> None:
    piece = mara.get("/apps/shop/ask?to=v1", headers={"X-Fragment": "1"}).text
    assert "<html" not in piece
    assert '<h2 id="askh">Roll back to v1?</h2>' in piece
    assert '<h1 id="askh">' in mara.get("/apps/shop/ask?to=v1").text
    assert "<html" not in mara.get("/apps/shop/live").text
    assert 'id="version"' in mara.get("/apps/shop/deploy", headers={"X-Fragment": "1"}).text


# -- states ---------------------------------------------------------------------------------------------------------------
def test_no_apps_and_an_app_that_has_only_a_file(tmp_path: Path) -> None:
    with site(tmp_path) as made:
        mara = made.signed_in("mara")
        assert "Deploy shop" in text_of(mara.get("/").text)
        assert mara.get("/apps/shop/deploy").status_code == 200
        made.w.files.clear()
        page = text_of(mara.get("/").text)
        assert "No apps yet" in page
        assert "deployctl init shop" in page
        assert "deployctl demo" in page
        assert mara.get("/apps/shop/deploy").status_code == 404


def test_healthy_has_no_notice_and_a_calm_button_that_names_its_target(shop: Site, mara: Browser) -> None:
    page = mara.get("/apps/shop").text
    told = text_of(page)
    for words in ("Healthy", "Roll back to v1", "Under a second, can be undone", "100 %", "Live", "Standby, warm, no traffic",
                  "Live on green", "Standby on blue", "Live", "took the traffic", "Compare two versions"):
        assert words in told, words
    assert '<div class="notice' not in page
    assert '<div class="roll calm">' in page
    assert "<title>shop · deployctl</title>" in page
    assert 'icon.svg" type' in page


def test_a_release_that_answers_no_visitor_is_down_on_its_page_too(shop: Site, mara: Browser) -> None:
    shop.w.traffic.count(SHOP, 2, Counters(requests=12, failed=12, recent=Recent(0, 12)))
    shop.web_state.status_cache.forget()
    told = text_of(mara.get("/apps/shop").text)
    assert "v2 sends clients no valid response: GET / gave 200, but none of 12 requests in the last minute" in told


def test_a_capability_that_the_file_asks_back_is_told_in_red_before_and_after_it_is_deployed(shop: Site, mara: Browser) -> None:
    shop.w.edit(cap_add=["NET_RAW"])
    red = '"bad">cap_add restores NET_RAW: the app can send and respond with the address of another version'
    assert red in mara.get("/apps/shop/deploy").text
    assert "cap_add" not in mara.get("/apps/shop/versions/v2").text
    shop.w.upgrade("v3")
    assert red in mara.get("/apps/shop/versions/v3").text
    shop.w.ledger.db.execute("update releases set cap_drop = '[]' where number = 1")
    assert '"bad">Docker defaults, including AUDIT_WRITE, MKNOD, NET_RAW, SETFCAP' in mara.get("/apps/shop/versions/v1").text


def test_degraded_says_why_and_the_button_is_filled(shop: Site, mara: Browser) -> None:
    shop.w.sick["v2"] = 503
    shop.web_state.status_cache.forget()
    page = mara.get("/apps/shop").text
    told = text_of(page)
    assert "Degraded" in told
    assert "v2 does not pass its health check: GET / gave 503." in told
    assert '<div class="roll go">' in page
    assert "<title>! shop degraded · deployctl</title>" in page
    assert 'icon-warn.svg" type' in page
    assert "<title>! Apps" in mara.get("/").text


def test_down_is_said_by_word_sign_title_and_tab(shop: Site, mara: Browser) -> None:
    shop.w.sick.update({"v1": "connection refused", "v2": "connection refused"})
    shop.web_state.status_cache.forget()
    page = mara.get("/apps/shop").text
    assert "Down" in text_of(page)
    assert "It is running but does not pass its health check: connection refused" in text_of(page)
    assert 'icon-down.svg" type' in page
    assert '<div class="notice bad" role="alert">' in page


def test_an_app_that_serves_nobody_says_so(shop: Site, mara: Browser) -> None:
    shop.w.use(stop, Version("v2"))
    told = fresh(shop, mara)
    assert "visitors get 503" in told
    assert "Down" in told


def test_not_deployed_draws_empty_slots_and_deploying_is_the_one_thing_to_do(tmp_path: Path) -> None:
    with site(tmp_path) as made:
        made.w.sick["v1"] = 503
        with pytest.raises(NotHealthy):
            made.w.upgrade("v1")
        mara = made.signed_in("mara")
        page = mara.get("/apps/shop").text
        told = text_of(page)
        for words in ("Not deployed", "Empty", "The first version goes here", "Deploy a version", "v1 did not become healthy.",
                      "Nothing changed.", "GET / gave 503", "Never went live"):
            assert words in told, words
        assert 'class="btn pri"' in page
        check_form(page, "not deployed")


def test_a_failed_deploy_keeps_what_serves_and_can_be_tried_again_or_dismissed(shop: Site, mara: Browser) -> None:
    shop.w.sick["v3"] = 503
    with pytest.raises(NotHealthy):
        shop.w.upgrade("v3")
    told = fresh(shop, mara)
    for words in ("Healthy", "v3 did not become healthy. v2 is still live.", "gave 503", "Try again", "Dismiss",
                  "Details", "Why it failed"):
        assert words in told, words
    last = shop.w.ledger.deployments(SHOP, limit=1)[0].id
    assert mara.post("/apps/shop/dismiss", deployment=str(last)).status_code == 303
    assert "nothing changed" not in fresh(shop, mara)
    assert "stopped before going live" in fresh(shop, mara)
    assert "v3 did not become healthy" in fresh(shop, shop.signed_in("jonas")), "dismissed for one browser only"


def test_what_went_back_by_itself_says_so(shop: Site, mara: Browser) -> None:
    shop.w.edit(watch="5s")
    shop.w.clock.after(1.0, lambda: shop.w.sick.update({"v3": 503}))
    with pytest.raises(DeployctlError):
        shop.w.upgrade("v3")
    told = fresh(shop, mara)
    assert "v3 failed under traffic and was rolled back automatically." in told
    assert "v3 on hold" in told


def test_without_a_standby_the_page_says_what_starting_one_takes(shop: Site, mara: Browser) -> None:
    shop.w.use(stop, Version("v1"))
    told = fresh(shop, mara)
    for words in ("No rollback target is running", "v1: starts in about", "Roll back to v1", "Start v1 as standby",
                  "must start first"):
        assert words in told + fresh(shop, mara, "/"), words
    assert "data-ask" in mara.get("/apps/shop").text.split("Roll back to v1")[0].rpartition("<a class")[2]


def test_with_one_version_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        told = text_of(made.signed_in("mara").get("/apps/shop").text)
        assert "No rollback target" in told
        assert "No other version has been live and healthy" in told
        assert "Undo" not in told


def test_on_hold_is_a_chip_with_lift_and_the_way_forth_is_quiet(shop: Site, mara: Browser) -> None:
    shop.w.rollback(note="checkout 500s")
    page = mara.get("/apps/shop").text
    told = text_of(page)
    for words in ("v2 on hold", "checkout 500s", "Release", "Switch traffic to v2",
                  "Undoes the rollback and releases the hold"):
        assert words in told, words
    assert '<div class="roll faint">' in page
    assert "No rollback target" not in told


def test_after_a_rollback_a_cold_version_has_a_row_only_while_what_serves_is_bad(tmp_path: Path) -> None:
    with site(tmp_path, "v1", "v2", "v3") as made:
        browser = made.signed_in("mara")
        made.w.rollback()
        assert "No rollback target" not in fresh(made, browser)
        assert 'data-key="r"' in browser.get("/apps/shop").text.partition('id="lower"')[2]
        made.w.sick["v2"] = "connection refused"
        assert "No rollback target is running" in fresh(made, browser)


def test_what_a_person_has_held_since_is_not_offered_to_be_undone(shop: Site, mara: Browser) -> None:
    shop.w.use(hold, Version("v1"), note="loses orders")
    told = fresh(shop, mara)
    assert "v1 on hold" in told
    assert "Undo" not in told
    assert "Switch traffic to v1" not in told
    assert "No rollback target" in told


def test_a_viewer_reads_why_instead_of_pressing_what_is_dead(shop: Site) -> None:
    page = shop.signed_in("jonas", Role.VIEWER).get("/apps/shop").text
    assert "Needs the deployer role" in text_of(page)
    assert "data-act" not in page
    assert "Deploy a version" not in page
    assert " disabled" not in page


def test_an_engine_that_is_away_is_told_and_a_warm_version_can_still_be_gone_back_to(shop: Site, mara: Browser) -> None:
    shop.w.engine.away = "Docker is not responding on unix:///var/run/docker.sock."
    told = fresh(shop, mara)
    for words in ("Docker is not responding", "a warm version can still be switched to", "sudo systemctl start docker",
                  "Roll back to v1"):
        assert words in told, words
    assert mara.get("/apps/shop/logs").status_code == mara.get("/server").status_code == 200
    mara.get("/apps/shop")
    assert mara.post("/apps/shop/rollback", to_version="v1").status_code == 303
    assert shop.w.serving == "v1"


def test_a_proxy_that_is_away_leaves_the_state_unknown(shop: Site, mara: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bool:
        raise ProxyUnavailable("HAProxy is not responding.")

    monkeypatch.setattr(shop.w.traffic, "ensure_up", away)
    told = fresh(shop, mara)
    assert "Unknown" in told
    assert "HAProxy is not responding." in told
    assert "The live version is shown as the ledger has it." in told


def test_figures_of_the_meter_are_shown_and_nothing_is_made_up_without_them(shop: Site, mara: Browser) -> None:
    assert "requests / s" in fresh(shop, mara)
    shop.meter.shown[SHOP] = {2: Now(0.0, 214.0, 0.0, 4.4, 174.0, 38.0, 212 * 2**20, 512 * 2**20, 3)}
    page = mara.get("/apps/shop").text
    for words in ("214", "38 %", "212 / 512 MB"):
        assert words in text_of(page), words
    assert re.search(r'data-metric="restarts" data-release="2">\s*3\s*<', page)
    table = text_of(mara.get("/").text)
    assert "214 / s" in table
    assert "2.1 %" in table


def test_a_reading_that_is_old_says_so_and_its_figures_are_grey(shop: Site, mara: Browser,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shop.web_state.status_cache.whole(SHOP)
    late = replace(whole, stale=True, age=14.0, why="Docker or HAProxy did not respond in time.")
    monkeypatch.setattr(type(shop.web_state.status_cache), "whole", lambda *_words, **_more: late)
    page = mara.get("/apps/shop").text
    assert "Last known state, from" in text_of(page)
    assert "HAProxy keeps serving as last set." in text_of(page)
    assert "stage stale" in page


def test_who_is_at_it_with_another_verb_is_named_and_what_was_interrupted_is_told(shop: Site, mara: Browser) -> None:
    token = shop.w.ledger.take_lease(SHOP, holder="jonas (cli)", verb="prune", at=shop.w.clock.utc())
    told = fresh(shop, mara)
    assert "Busy" in told
    assert "jonas is running prune." in told
    assert "Abort and roll back to v1" in told
    assert isinstance(token, int)
    plan = Plan(SHOP, PlanKind.UPGRADE, 2, 1, (Step(StepKind.HEALTH, 1, "prove v1"),), "shop: v2 → v1")
    shop.w.ledger.open_deployment(plan, actor="jonas (cli)", note="", at=shop.w.clock.utc(), token=token)
    shop.w.ledger.give_lease_back(SHOP, token)
    told = fresh(shop, mara)
    assert "The upgrade by jonas (cli) was interrupted." in told
    assert "deployctl abort shop" in told


# -- in progress -----------------------------------------------------------------------------------------------------------
class Held:
    """An upgrade in another thread that stands still until it is let go."""

    def __init__(self, made: Site, version: str) -> None:
        self.made, self.go, self.there = made, threading.Event(), threading.Event()
        made.w.sick[version] = self._answer  # type: ignore[assignment]  # the prober calls what it finds
        self.thread = threading.Thread(target=self._run, args=(version,))

    def _answer(self, *_asked: Any) -> int:
        self.there.set()
        self.go.wait(20)
        return 200

    def _run(self, version: str) -> None:
        ledger = self.made.w.open_ledger()
        try:
            upgrade(SHOP, Version(version), self.made.w.services(actor="ci (token)", ledger=ledger), options=ChangeOptions())
        except DeployctlError:
            pass
        finally:
            ledger.close()

    def __enter__(self) -> Held:
        self.thread.start()
        assert self.there.wait(20)
        self.made.web_state.status_cache.forget()
        return self

    def __exit__(self, *_why: object) -> None:
        self.go.set()
        self.thread.join(20)


@pytest.fixture
def held(shop: Site) -> Iterator[Held]:
    health = shop.w._health

    def answer(container: str, version: str) -> Any:
        said = shop.w.sick.get(version)
        return said() if callable(said) else health(container, version)

    shop.w._health = answer  # type: ignore[method-assign]
    with Held(shop, "v3") as made:
        yield made


def test_deploying_shows_each_step_and_the_way_back_stays_open(shop: Site, mara: Browser, held: Held) -> None:
    page = mara.get("/apps/shop").text
    told = text_of(page)
    for words in ("Deploying v3", "NEW", "Starting, no traffic yet", "Image", "Start", "Health", "Switch",
                  "takes over from v2", "Abort this deployment", "Abort and roll back to v1",
                  "Aborts the upgrade of v3 by ci (token)"):
        assert words in told, words
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page
    assert 'name="abort" value="yes"' in page
    check_form(page, "deploying")


def test_a_rollback_from_the_page_ends_a_deploy_and_goes_back_at_once(shop: Site, mara: Browser, held: Held) -> None:
    mara.get("/apps/shop")
    threading.Timer(0.5, held.go.set).start()
    assert mara.post("/apps/shop/rollback", to_version="v1", abort="yes").status_code == 303
    assert shop.w.serving == "v1"


def test_who_meets_somebody_at_work_may_wait_or_stop_it_or_leave(shop: Site, mara: Browser, held: Held) -> None:
    mara.get("/apps/shop")
    busy = mara.post("/apps/shop/rollback", to_version="v1")
    told = text_of(busy.text)
    assert busy.status_code == 423
    for words in ("shop is busy", "ci (token) has been running upgrade", "Wait for it", "Abort it and roll back now", "Cancel"):
        assert words in told, words
    check_form(busy.text, "busy")
    assert shop.w.serving == "v2"


def test_stop_this_deploy_stops_it(shop: Site, mara: Browser, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.w.clock, "sleep", lambda _seconds: time.sleep(0.01))  # else its patience is over at once
    mara.get("/apps/shop")
    threading.Timer(0.3, held.go.set).start()
    assert mara.post("/apps/shop/abort").status_code == 303
    held.thread.join(10)
    assert shop.w.serving == "v2"


# -- without JavaScript -----------------------------------------------------------------------------------------------------
def followed(browser: Browser, answer: Any) -> str:
    assert answer.status_code == 303, text_of(answer.text)
    return text_of(browser.get(answer.location).text)


def test_deploy_roll_back_undo_hold_lift_start_and_stop_by_plain_forms(shop: Site, mara: Browser) -> None:
    mara.get("/apps/shop/deploy")
    assert "v3" in followed(mara, mara.post("/apps/shop/upgrade", version="v3", note="third"))
    for job in shop.web_state.jobs.under_way(SHOP):
        assert job.wait(10)
    assert shop.w.serving == "v3"
    mara.get("/apps/shop")
    assert "Traffic is on v2. Took" in followed(mara, mara.post("/apps/shop/rollback", to_version="v2"))
    assert "Traffic is on v3." in followed(mara, mara.post("/apps/shop/undo"))
    assert (shop.w.serving, shop.w.held()) == ("v3", set())
    assert "v2 is on hold" in followed(mara, mara.post("/apps/shop/hold", version="v2", note="slow"))
    assert shop.w.held() == {"v2"}
    assert "v2 can be deployed" in followed(mara, mara.post("/apps/shop/unhold", version="v2"))
    followed(mara, mara.post("/apps/shop/stop", version="v2"))
    assert "v2" not in shop.w.running()
    followed(mara, mara.post("/apps/shop/start", version="v2"))
    assert "v2" in shop.w.running()


def test_two_releases_of_one_version_are_told_apart_on_the_page_and_gone_back_to_by_number(shop: Site, mara: Browser) -> None:
    shop.w.upgrade("v2", env={"MODE": "sale"})
    page = mara.get("/apps/shop").text
    words = text_of(page)
    assert "Roll back to v2@2" in words
    assert "Restores: without MODE" in words
    assert "Same from a terminal: deployctl rollback shop v2@2" in words
    assert page.count('data-key="r"') == 1
    compared = mara.get("/apps/shop/compare", follow_redirects=True).text
    assert "v2@2 → v2@3" in text_of(compared)
    assert "deployctl diff shop v2@2 v2@3" in text_of(compared)
    assert "MODE" in compared
    assert "v2@2 → v2@3" in text_of(mara.get("/apps/shop/compare?a=v2@3", follow_redirects=True).text)
    assert "Roll back to v2@2?" in text_of(mara.get("/apps/shop/ask?verb=rollback").text)
    mara.get("/apps/shop")
    assert mara.post("/apps/shop/rollback", to_version="v2", release="2").status_code == 303
    assert shop.w.traffic.routes() == {SHOP: 2}
    assert "Traffic is on v2@2." in text_of(mara.get("/apps/shop").text)


@pytest.mark.parametrize("lifted", [False, True])
def test_button_key_and_terminal_name_the_same_release_whatever_holds_were_lifted(
    shop: Site, mara: Browser, lifted: bool
) -> None:
    shop.w.rollback()
    shop.w.upgrade("v3")
    if lifted:
        shop.w.use(unhold, V2)
    page = mara.get("/apps/shop").text
    assert "deployctl rollback shop v1" in text_of(page)
    keyed = re.findall(r'data-key="r"[^>]*>.*?</(?:a|button)>', page, re.S)
    assert keyed
    assert all("Roll back to v1" in text_of(one) for one in keyed)
    assert "Roll back to v1?" in text_of(mara.get("/apps/shop/ask?verb=rollback").text)


def test_what_must_be_asked_first_is_asked_on_a_page_and_then_done(shop: Site, mara: Browser) -> None:
    shop.w.upgraded("v3", "v4")
    mara.get("/apps/shop")
    asked = mara.post("/apps/shop/rollback", to_version="v1")
    assert asked.status_code == 303
    assert "/apps/shop/ask?verb=rollback&to=v1" in asked.location
    page = text_of(mara.get(asked.location).text)
    for words in ("Roll back to v1?", "Three versions back.", "Databases and volumes are not changed.",
                  "v1 is not running; v4 stays live until v1 is healthy.", "Start v1 and roll back", "v4 is put on hold",
                  "v3 is warm. Roll back to v3 instead, in under a second", "Same settings"):
        assert words in re.sub(r"\s+([.,])", r"\1", page), words
    assert shop.w.serving == "v4"
    followed(mara, mara.post("/apps/shop/rollback", to_version="v1", yes="yes", note="all of it"))
    for job in shop.web_state.jobs.under_way(SHOP):
        assert job.wait(10)
    assert shop.w.serving == "v1"
    assert shop.w.ledger.changes(SHOP, limit=1)[0].note == "all of it"


def test_stopping_what_serves_and_removing_what_is_not_kept_ask_first(shop: Site, mara: Browser) -> None:
    mara.get("/apps/shop")
    asked = mara.post("/apps/shop/stop", version="v2")
    assert (asked.status_code, "verb=stop" in asked.location) == (303, True)
    assert "Visitors get 503." in text_of(mara.get(asked.location).text)
    assert "Nothing to remove." in text_of(mara.get("/apps/shop/ask?verb=prune").text)
    assert shop.w.serving == "v2"


def test_different_settings_are_named_and_no_secret_is_told(shop: Site, mara: Browser) -> None:
    shop.w.edit(env={"WORKERS": "6", "DB_PASSWORD": "hunter2"})
    shop.w.upgrade("v3")
    page = text_of(mara.get("/apps/shop/ask?to=v2").text)
    assert "Different settings: DB_PASSWORD , WORKERS" in page
    for path in ("/apps/shop/versions/v3", "/apps/shop/compare?a=v2&b=v3", "/apps/shop"):
        told = mara.get(path).text
        assert "hunter2" not in told, path
    assert "hidden" in text_of(mara.get("/apps/shop/versions/v3").text)
    assert "WORKERS" in mara.get("/apps/shop/compare?a=v2&b=v3").text


def test_a_click_on_a_page_that_is_behind_is_not_carried_out_and_shows_what_is_so(shop: Site, mara: Browser) -> None:
    mara.get("/apps/shop")
    shop.w.rollback()
    late = mara.post("/apps/shop/rollback", to_version="v1")
    assert late.status_code == 409
    told = text_of(late.text)
    assert "by mara, from the CLI. Your click was not carried out." in told
    assert "Switch traffic to v2" in told
    check_form(late.text, "behind")


def test_a_problem_says_what_serves(mara: Browser) -> None:
    for path in ("/apps/shop/versions/v9", "/apps/shop/ask?verb=dance", "/apps/shop/ask?to=v9"):
        told = mara.get(path)
        assert told.status_code in {400, 404}
        assert "v2 is the live version of shop." in text_of(told.text), path
        check_form(told.text, path)


# -- other pages ------------------------------------------------------------------------------------------------------------
def test_logs_are_filtered_here_by_text_or_to_errors_and_escaped(shop: Site, mara: Browser) -> None:
    container = next(i.container for i in shop.w.ledger.instances(SHOP) if i.release == 2)
    log = shop.w.engine._require(container or "").log
    log += [LogLine(f"2026-01-01T00:00:0{n}.000Z", "stdout", text) for n, text in enumerate(
        ("GET /a 200", f"POST /pay 500 {XSS}", "\x1b[31mred\x1b[0m", "WARN slow"))]
    page = mara.get("/apps/shop/logs").text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    check_form(page, "logs")
    assert text_of(mara.get("/apps/shop/logs?q=post").text).count("POST /pay") == 1
    only = text_of(mara.get("/apps/shop/logs?errors=1&version=v2").text)
    assert "POST /pay" in only
    assert "GET /a" not in only
    assert "WARN slow" not in only
    assert "No matching lines." in text_of(mara.get("/apps/shop/logs?q=/a**/").text), "it is a text, not a pattern"
    assert "No matching lines." in text_of(mara.get("/apps/shop/logs?q=GET&errors=1").text)
    assert mara.get("/apps/shop/logs.txt?errors=1").text.count("\n") == 1
    assert mara.get("/apps/shop/logs?n=9999999").status_code == 200
    assert mara.get("/apps/shop/logs?version=v9").status_code == 404
    saved = mara.get("/apps/shop/logs.txt?q=GET")
    assert saved.mimetype == "text/plain"
    assert 'filename="shop.log"' in saved.headers["Content-Disposition"]
    assert saved.text == "2026-01-01T00:00:00.000Z v2 GET /a 200\n"
    more = mara.get("/apps/shop/logs/more?after=2026-01-01T00:00:02.000Z").text
    assert more.count("<li") == 1


def test_spans_of_the_log_page_leave_out_what_is_older_and_kept_logs_have_a_tab(shop: Site, mara: Browser) -> None:
    container = next(i.container for i in shop.w.ledger.instances(SHOP) if i.release == 2)
    shop.w.clock.sleep(7200)
    log = shop.w.engine._require(container or "").log
    lines = (("0:00:01", "two hours"), ("1:58:00", "minutes"))
    log += [LogLine(f"2026-01-01T0{at}.000Z", "stdout", text) for at, text in lines]
    for span, there in (("10m", {"minutes"}), ("1h", {"minutes"}), ("24h", {"minutes", "two hours"})):
        told = mara.get(f"/apps/shop/logs?since={span}").text
        assert {text for text in ("minutes", "two hours") if f"<span>{text}</span>" in told} == there, span
    shop.w.kept_logs.keep(SHOP, InstanceId(1), [LogLine("2026-01-01T00:00:00.000Z", "stderr", "kept")])
    instance = shop.w.ledger.find_instance(SHOP, InstanceId(1))
    shop.w.engine.ensure_removed(instance.container or "" if instance else "")
    shop.w.ledger.remove_instance(SHOP, InstanceId(1))
    shop.web_state.status_cache.forget(SHOP)
    told = mara.get("/apps/shop/logs?version=v1").text
    assert ">v1</a>" in told
    assert "<span>kept</span>" in told


@pytest.mark.parametrize(("text", "level"), [
    ("2026 ERROR boom", "error"), ("KeyError: 'x'", "error"), ("warn: slow", "warn"), ("info GET /", "info"), ("plain", "out"),
    ("level=debug x", "out"), ("[Error] x", "error"), ("terror at sea", "out")])
def test_the_level_of_a_line_is_read_from_it(text: str, level: str) -> None:
    assert level_of(LogLine("2026-01-01T00:00:00.000Z", "stdout", text)) == level


@pytest.mark.parametrize("text", ["GET / HTTP/1.1\" 503 12", "status=500", "took 1 s: 502", "ERROR boom", "fatal: no memory"])
def test_a_line_that_tells_of_an_error_is_among_the_errors(text: str) -> None:
    assert tells_of_error(LogLine("2026-01-01T00:00:00.000Z", "stdout", text))


@pytest.mark.parametrize("text", ["GET / 200 5000", "port 5432", "took 0.500 s", "15000", "WARN slow", "plain"])
def test_a_line_that_tells_of_none_is_not(text: str) -> None:
    assert not tells_of_error(LogLine("2026-01-01T00:00:00.000Z", "stdout", text))


@pytest.mark.parametrize("piece", ["!", "! ", "!! ", "a ", " !", "!\t ", "[ ", "x\t"])
def test_no_line_keeps_the_filter_busy(piece: str) -> None:
    line = LogLine("2026-01-01T00:00:00.000Z", "stdout", (piece * 3000)[:3000])
    began = time.thread_time()
    tells_of_error(line)
    assert time.thread_time() - began < 0.05


def test_the_audit_is_filtered_paged_and_saved_safely(shop: Site, mara: Browser) -> None:
    shop.w.use(hold, Version("v1"), note="=HYPERLINK(\"http://evil\")")
    told = text_of(mara.get("/activity?kind=held").text)
    assert "=HYPERLINK" in told
    rows = list(csv.DictReader(io.StringIO(mara.get("/activity.csv?kind=held").text)))
    assert rows[0]["note"].startswith("'=")
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert json.loads(mara.get("/activity.jsonl?app=shop").text.splitlines()[0])["app"] == "shop"
    assert "No matching entries." in text_of(mara.get("/activity?user=nobody").text)
    assert mara.get("/activity?app=nothing").status_code == 404
    for bad in ("x", "-1", "9" * 40):
        assert mara.get(f"/activity?before={bad}").status_code == 200


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@x", "＝1", "＠x", "\tx", "\rx", "\nx", "=cmd|' /C calc'!A0"])
def test_no_cell_is_taken_for_a_formula(value: str) -> None:
    assert safe_cell(value).startswith("'")
    assert safe_cell("plain é\nand more") == "plain é\nand more"
    assert safe_cell(None) == ""


def test_a_cell_steers_no_terminal_and_turns_no_text_around() -> None:
    assert safe_cell("a\x1b[2J\x9b2J\x7f\u202e\u2066\u061c\u200fb") == (
        r"a\x1b[2J\x9b2J\x7f\u202e\u2066\u061c\u200fb")


def test_who_may_see_one_app_sees_no_other_in_the_audit(shop: Site) -> None:
    shop.w.add_file(AppName("blog"))
    upgrade(AppName("blog"), Version("v1"), shop.w.s, options=ChangeOptions())
    jonas = shop.signed_in("jonas", Role.VIEWER, "blog")
    told = text_of(jonas.get("/activity").text)
    assert "blog" in told
    assert "shop" not in told
    assert "server" not in told
    assert jonas.get("/activity?app=shop").status_code == 404
    assert "shop" not in jonas.get("/activity.csv").text
    assert jonas.get("/server").status_code == 403


def test_the_server_page_tells_what_doctor_finds(mara: Browser) -> None:
    told = text_of(mara.get("/server").text)
    for words in ("Docker 20.10.24", "HAProxy", "GiB free", "Home", "Version"):
        assert words in told, words


def test_a_version_page_tells_what_it_runs_with_and_how_its_deployment_went(shop: Site, mara: Browser) -> None:
    shop.w.sick["v3"] = 503
    with pytest.raises(NotHealthy):
        shop.w.upgrade("v3", note="third")
    shop.web_state.status_cache.forget()
    told = text_of(mara.get("/apps/shop/versions/v3").text)
    for words in ("Never went live", "acme/shop:v3", "512 MB memory", "The last deployment failed.", "was reverted",
                  "third", "never", "Try again"):
        assert words in told, words
    assert "Roll back to v1" in text_of(mara.get("/apps/shop/versions/v1").text)
    assert mara.get("/apps/shop/versions/v3?release=abc").status_code == 200
    for number in ("1", "9", "99999999999999999999"):
        assert mara.get(f"/apps/shop/versions/v3?release={number}").status_code == 404, number
    assert "Release 1 of shop is v1; v3 has v3@3." in text_of(mara.get("/apps/shop/compare?a=v3@1&b=v1").text)


def test_a_version_page_has_the_charts_and_the_log_of_that_version_alone(shop: Site, mara: Browser) -> None:
    now = datetime.fromisoformat(shop.w.clock.utc()).timestamp()
    shop.w.meter.add([Point(SHOP, release, int(now) - 5, 10, requests=10 * release) for release in (1, 2)])
    for path in ("/apps/shop/versions/v1", "/apps/shop/charts?release=1"):
        page = mara.get(path).text
        assert re.search(r"<b>1.0 <small>/ s", page), path
        assert "2.0" not in text_of(page), path
        assert 'href="/apps/shop/versions/v1?release=1&amp;span=1h"' in page, path
    assert 'data-refresh="/apps/shop/logs/tail?version=v1"' in mara.get("/apps/shop/versions/v1").text
    for one in shop.w.ledger.instances(SHOP):
        shop.w.engine._require(one.container or "").log.append(LogLine(shop.w.clock.utc(), "stdout", f"{one.release} says"))
    assert "1 says" in (tail := mara.get("/apps/shop/logs/tail?version=v1").text)
    assert "2 says" not in tail
    assert mara.get("/apps/shop/charts?release=99999999999999999999").status_code == 200


def test_the_comparison_without_names_is_what_a_rollback_would_bring(shop: Site, mara: Browser) -> None:
    shop.w.edit(env={"MODE": "b"})
    shop.w.upgrade("v3")
    shop.web_state.status_cache.forget()
    told = mara.get("/apps/shop/compare")
    assert told.location == "/apps/shop/compare?a=v2&b=v3"
    page = text_of(mara.get(told.location).text)
    for words in ("v2 → v3", "Variables", "MODE", "Identical:"):
        assert words in page, words
    assert mara.get("/apps/shop/compare?a=v2").location == "/apps/shop/compare?a=v2&b=v3", "the other one is what serves"


# -- oneself and others -------------------------------------------------------------------------------------------------------
def test_a_password_is_set_once_known_it_must_be_said_and_other_sessions_end(shop: Site, mara: Browser) -> None:
    other = shop.signed_in("mara")
    mara.get("/settings")
    phrase = "correct horse battery"
    assert mara.post("/settings/password", password=phrase, again="something else").status_code == 400
    assert mara.post("/settings/password", password="short", again="short").status_code == 400
    assert mara.post("/settings/password", password=phrase, again=phrase).status_code == 303
    assert mara.get("/").status_code == 200
    assert other.get("/").status_code == 401
    mara.get("/settings")
    made = {"password": phrase + "2", "again": phrase + "2"}
    assert mara.post("/settings/password", current_password="wrong", **made).status_code == 403
    assert mara.post("/settings/password", current_password=phrase, **made).status_code == 303


def test_a_session_is_ended_from_another_and_nobody_ends_those_of_others(shop: Site, mara: Browser) -> None:
    other, jonas = shop.signed_in("mara"), shop.signed_in("jonas")
    page = mara.get("/settings").text
    number = re.findall(r"/settings/sessions/(\d+)/end", page)[0]
    jonas.get("/settings")
    assert jonas.post(f"/settings/sessions/{number}/end").status_code == 404
    assert jonas.post("/settings/sessions/abc/end").status_code == 404
    assert mara.post(f"/settings/sessions/{number}/end").status_code == 303
    assert other.get("/").status_code == 401


def test_theme_and_keys_are_in_the_first_byte_of_the_page(shop: Site, mara: Browser) -> None:
    assert 'data-theme="auto"' in mara.get("/").text
    answer = mara.post("/settings/appearance", theme="dark", keys="off", next="/apps/shop")
    assert (answer.status_code, answer.location) == (303, "/apps/shop")
    page = mara.get("/").text
    assert 'data-theme="dark"' in page
    assert '<meta name="keys" content="off">' in page
    assert mara.post("/settings/appearance", theme="<script>", next="//evil.example").location == "/"
    assert 'data-theme="dark"' in mara.get("/").text


def test_an_admin_adds_people_and_tokens_and_secrets_are_shown_once(shop: Site, mara: Browser) -> None:
    assert "<option selected>admin</option>" in mara.get("/settings").text, "what somebody is already is chosen"
    made = mara.post("/settings/users", name="jonas", role="deployer", apps="shop")
    link = re.search(r"http://127.0.0.1:8900(/start/[\w-]+)", made.text)
    assert link
    jonas = shop.browser()
    jonas.get(link[1])
    assert jonas.post(link[1]).status_code == 302
    assert jonas.get("/apps/shop").status_code == 200
    assert link[1] not in mara.get("/settings").text
    assert mara.post("/settings/users/jonas/role", role="viewer", app="shop").status_code == 303
    assert "Needs the deployer role" in jonas.get("/apps/shop").text
    token = mara.post("/settings/tokens", name="ci", scope="read", days="0")
    secret = re.search(r"dctl_[\w-]+", token.text)
    assert secret
    assert secret[0] not in mara.get("/settings").text
    assert secret[0] not in str(mara.client.get_cookie(mara.session_name, domain="127.0.0.1"))
    assert shop.browser().get("/api/v1/apps", headers={"Authorization": f"Bearer {secret[0]}"}).status_code == 200
    assert mara.post("/settings/tokens/ci/revoke").status_code == 303
    assert shop.browser().get("/api/v1/apps", headers={"Authorization": f"Bearer {secret[0]}"}).status_code == 401
    assert mara.post("/settings/tokens", name="ci", scope="root").status_code == 400
    assert mara.post("/settings/tokens", name="ci2", scope="read", days="1e9").status_code == 400
    assert mara.post("/settings/users/jonas/remove").status_code == 303
    assert jonas.get("/").status_code == 401
    assert mara.post("/settings/users/mara/remove").status_code == 409, "the last admin stays"


def test_who_is_no_admin_sees_and_changes_no_people(shop: Site, mara: Browser) -> None:
    jonas = shop.signed_in("jonas", Role.DEPLOYER)
    page = text_of(jonas.get("/settings").text)
    assert "People" not in page
    assert "API tokens" not in page
    for path in ("/settings/users", "/settings/users/mara/role", "/settings/users/mara/link", "/settings/users/mara/remove",
                 "/settings/tokens", "/settings/tokens/x/revoke"):
        assert jonas.post(path, name="x", role="admin", scope="admin").status_code == 403, path
    assert jonas.get("/api/v1/users").status_code == 403


# -- what people type is never markup ---------------------------------------------------------------------------------------
def test_markup_in_every_text_comes_out_as_text(shop: Site, mara: Browser) -> None:
    shop.w.rollback(note=XSS)
    shop.w.sick["v3"] = XSS
    with pytest.raises(NotHealthy):
        shop.w.upgrade("v3", note=XSS)
    shop.w.sick["v1"] = XSS
    shop.w.edit(env={"TITLE": XSS})
    shop.w.upgrade("v4", note=XSS)
    shop.w.ledger.event("readiness", XSS, at=shop.w.clock.utc(), actor=f"{XSS} (cli)", app=SHOP)
    shop.w.engine.away = XSS
    shop.web_state.status_cache.forget()
    paths = [*PAGES, "/apps/shop/versions/v3", "/apps/shop/versions/v4", "/apps/shop/compare?a=v1&b=v4",
             f"/apps/shop/logs?q={XSS}", f"/activity?user={XSS}", f"/apps/shop/ask?to={XSS}", f"/apps/{XSS}"]
    for path in paths:
        page = mara.get(path).text
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
        check_form(page.strip(), path)
    assert "&lt;script&gt;" in mara.get("/apps/shop").text


def test_control_characters_of_a_note_reach_no_header(shop: Site, mara: Browser) -> None:
    mara.get("/apps/shop")
    told = mara.post("/apps/shop/rollback", to_version="v1", note="a\r\nSet-Cookie: x=y")
    assert "x=y" not in str(told.headers)
    assert mara.get("/apps/shop").status_code == 200


def test_start_beside_shows_a_row_without_traffic(shop: Site, mara: Browser) -> None:
    shop.w.use(start, Version("v3"))
    told = fresh(shop, mara)
    assert "Running, no traffic" in told
    assert "Runs without traffic" in told
