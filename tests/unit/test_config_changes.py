"""What a changed file of an app does: asked before an address closes, told while it is not deployed, listed in a dry run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployctl.cli.rendering.change import moved_text, preview_text
from deployctl.cli.rendering.status import status_text
from deployctl.domain.images.release import App
from deployctl.domain.inputs.addresses import covers
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.errors import ConfirmationNeeded, NotHealthy
from deployctl.usecases import views
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.results import AppView, ConfigCode
from deployctl.usecases.steps.app_address import closing
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.status import status
from deployctl_web.pages.parts.notices import notices_of
from tests.unit.cli_results import tty
from tests.unit.web_world import site
from tests.unit.world import SHOP, V1, V2, World, world

ANY, LOCAL = ("0.0.0.0", 8000), ("127.0.0.1", 8000)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made.upgraded("v1")


def view_of(w: World) -> AppView:
    return status(w.s, app=SHOP).apps[0]


def row(**more: Any) -> App:
    return App(SHOP, "172.30.0.0/26", "172.30.0.1", "n", "b", active=1, **more)


# -- an address that closes -------------------------------------------------------------------------------------------
def test_a_changed_listen_is_asked_before_anything_is_done(w: World) -> None:
    w.edit(listen=8123)
    before = w.everything()
    with pytest.raises(ConfirmationNeeded) as asked:
        w.upgrade("v2")
    assert asked.value.question == (
        "shop moves to 127.0.0.1:8123: 127.0.0.1:8000 closes, and clients can no longer connect there. "
        "A rollback does not restore that. Continue?")
    assert (asked.value.exit_code, asked.value.revision) == (5, 1)
    assert w.everything() == before


def test_it_is_asked_of_what_serves_already_too_and_a_yes_moves_it(w: World) -> None:
    w.edit(listen=8123)
    with pytest.raises(ConfirmationNeeded):
        w.upgrade("v1")
    w.upgrade("v1", confirmed=True)
    app = w.ledger.find_app(SHOP)
    assert app is not None
    assert app.address == "127.0.0.1:8123"


@pytest.mark.parametrize(("now", "wanted", "closed"), [
    ({"listen": LOCAL}, {"listen": ("127.0.0.1", 9000)}, ("127.0.0.1:8000",)),
    ({"listen": LOCAL}, {"listen": ANY}, ()),
    ({"listen": ANY}, {"listen": LOCAL}, ("0.0.0.0:8000",)),
    ({"listen": LOCAL}, {"hosts": ("shop.test",)}, ("127.0.0.1:8000",)),
    ({"hosts": ("a.test", "b.test")}, {"hosts": ("b.test", "c.test")}, ("a.test",)),
    ({}, {"listen": LOCAL}, ()),
])  # fmt: skip
def test_only_what_nobody_answers_at_afterwards_closes(
    now: dict[str, Any], wanted: dict[str, Any], closed: tuple[str, ...]
) -> None:
    assert closing(row(**now), row(**wanted)) == closed


def test_what_listens_on_every_address_covers_each_of_its_family() -> None:
    assert covers(("::", 80), ("127.0.0.1", 80))
    assert not covers(("0.0.0.0", 80), ("::1", 80))
    assert not covers(("0.0.0.0", 80), ("::", 80))


def test_an_app_that_nobody_comes_to_moves_without_a_question(tmp_path: Path) -> None:
    with world(tmp_path) as fresh:
        fresh.sick["v1"] = 503
        with pytest.raises(NotHealthy):
            fresh.upgrade("v1")
        fresh.sick.clear()
        fresh.edit(listen=8123)
        assert fresh.upgrade("v1").changed


# -- edited and not deployed ------------------------------------------------------------------------------------------
def test_an_edit_is_told_until_it_is_deployed(w: World) -> None:
    assert view_of(w).config is not None
    assert view_of(w).config.code is ConfigCode.DEPLOYED  # type: ignore[union-attr]
    w.edit(env={"MODE": "sale", "DB_PASSWORD": "hunter2"}, keep_warm=2)
    told = views.as_json(status(w.s, app=SHOP))["apps"][0]["config"]
    assert told["code"] == "changed_not_deployed"
    assert [(line["group"], line["name"], line["after"]) for line in told["differences"]] == [
        ("env", "DB_PASSWORD", "<hidden>"), ("env", "MODE", "sale"), ("policy", "keep_warm", "2")]
    assert "hunter2" not in json.dumps(told)
    text = "\n".join(status_text(status(w.s, app=SHOP), tty(120), one=True))
    assert "config/shop.toml has changes that are not deployed:" in text
    assert "env: + MODE=sale" in text
    [notice] = [one for one in notices_of(status(w.s, app=SHOP), view_of(w), under=None, failure=None, at="", age=0, stale="")
                if one.title == "Config changed, not deployed."]
    assert "env: MODE – → sale" in notice.lines
    w.upgrade("v1")
    assert view_of(w).config.code is ConfigCode.DEPLOYED  # type: ignore[union-attr]


def test_variables_of_the_command_line_and_a_rollback_are_no_edits(w: World) -> None:
    w.upgrade("v2", env={"X": "1"})
    assert view_of(w).config.code is ConfigCode.DEPLOYED  # type: ignore[union-attr]
    w.rollback()
    assert view_of(w).config.code is ConfigCode.DEPLOYED  # type: ignore[union-attr]


def test_a_failed_upgrade_deploys_no_file(w: World) -> None:
    w.edit(env={"MODE": "sale"})
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2")
    assert view_of(w).config.code is ConfigCode.CHANGED  # type: ignore[union-attr]


def test_a_file_that_is_wrong_and_what_is_not_known_are_told_apart(w: World) -> None:
    w.edit(port="x")
    state = view_of(w).config
    assert state is not None
    assert (state.code, "port" in state.why) == (ConfigCode.WRONG, True)
    app = w.ledger.find_app(SHOP)
    assert app is not None
    w.ledger.set_wishes(replace(app, file=None))  # as one that was deployed by 0.1.0
    assert view_of(w).config.code is ConfigCode.UNKNOWN  # type: ignore[union-attr]


def test_what_was_deployed_is_remembered_as_it_was(w: World) -> None:
    file = w.s.app_file(SHOP)
    again = AppFile.from_deployed(file.file)
    assert (again.listen, again.policy, again.template, again.image) == (file.listen, file.policy, file.template, file.image)


def test_of_a_home_made_before_a_dry_run_of_what_serves_plans_nothing(w: World) -> None:
    app = w.ledger.find_app(SHOP)
    assert app is not None
    w.ledger.set_wishes(replace(app, file=None))
    assert preview_upgrade(SHOP, V1, w.s).plan.steps == ()


# -- the dry run ------------------------------------------------------------------------------------------------------
def test_a_dry_run_lists_what_changes_beside_the_steps(w: World) -> None:
    w.edit(env={"MODE": "sale", "TOKEN": "abc"}, listen=8123)
    preview = preview_upgrade(SHOP, V2, w.s)
    assert [(one.group, one.name, one.after) for one in preview.changes][1:] == [
        ("env", "MODE", "sale"), ("env", "TOKEN", "<hidden>"), ("address", "listen", "127.0.0.1:8123")]
    text = preview_text(preview, tty(120))
    assert "  changes env: + MODE=sale" in text
    assert any("127.0.0.1:8000 closes" in line for line in text)
    assert views.as_json(preview)["changes"][0]["group"] == "image"


# -- the page and the API ---------------------------------------------------------------------------------------------
def test_the_page_asks_with_the_form_and_goes_on_after_a_yes(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as shop:
        mara = shop.signed_in("mara")
        shop.w.edit(listen=8123)
        mara.get("/apps/shop")
        asked = mara.post("/apps/shop/upgrade", version="v2", note="moved")
        assert asked.status_code == 409
        assert "127.0.0.1:8000 closes" in asked.text
        assert 'name="note" value="moved"' in asked.text
        assert shop.w.active == "v1"
        revision = mara.field("revision") or "1"
        mara.post("/apps/shop/upgrade", version="v2", note="moved", yes="yes", revision=revision)
        for job in shop.web_state.jobs.under_way(SHOP):
            job.wait(10)
        assert shop.w.active == "v2"
        answer = upgrade(SHOP, V2, shop.w.s, options=ChangeOptions())
        assert not answer.changed


def test_words_of_a_command_are_shown_as_the_file_has_them(w: World) -> None:
    w.edit(entrypoint=["/bin/sh", "-c"], command=["echo a"])
    shown = preview_text(preview_upgrade(SHOP, V1, w.s), tty(100))
    assert '  changes command: ~ not set → ["echo a"]' in shown
    assert '  changes command: ~ entrypoint not set → ["/bin/sh", "-c"]' in shown


def test_the_proxies_that_are_trusted_are_shown_by_the_name_of_their_key(w: World) -> None:
    w.edit(trusted_proxies=["10.0.0.0/8"])
    shown = preview_text(preview_upgrade(SHOP, V1, w.s), tty(100))
    assert '  changes proxy: ~ trusted_proxies not set → ["10.0.0.0/8"]' in shown


def test_two_releases_of_one_version_are_told_apart_where_one_stays_warm_and_one_ends(w: World) -> None:
    w.edit(env={"MODE": "b"})
    second = upgrade(SHOP, V1, w.s)
    assert "  v1@1 stays warm. Roll back: deployctl rollback shop" in moved_text(second, tty(100))
    w.edit(env={"MODE": "c"})
    shown = preview_text(preview_upgrade(SHOP, V1, w.s), tty(100))
    assert any(line.endswith("stop v1@1, its container is kept") for line in shown)
