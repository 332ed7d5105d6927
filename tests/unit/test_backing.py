"""Backing components: one for all releases of an app, with versions, history and rollback of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deployctl.cli.rendering.change import preview_text
from deployctl.cli.rendering.status import status_text
from deployctl.config.app import parse_app_spec
from deployctl.domain.inputs.names import AppName, ComponentName, Version
from deployctl.errors import ConfirmationNeeded, DeployctlError, Invalid, NotFound, NotHealthy, Refused
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import preview_reconcile, reconcile
from deployctl.usecases.change.restart import restart
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.scale import scale
from deployctl.usecases.change.start import preview_start, start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.secrets.list_secrets import list_secrets
from deployctl.usecases.secrets.remove_secret import remove_secret
from deployctl.usecases.secrets.set_secret import set_secret
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.usecases.view.status import status
from deployctl.usecases.views import as_json
from tests.unit.cli_results import PIPE
from tests.unit.test_components import kinds
from tests.unit.test_crashes import die_in
from tests.unit.world import SHOP, YES, World, runnable, world

DB = AppName("shop/db")
V16, V17 = Version("16"), Version("17")
KEYS: dict[str, Any] = {
    "needs": {"db": "healthy"},
    "components": {"db": {"kind": "backing", "image": "postgres:16", "port": 5432, "aliases": ["my_db"],
                          "mounts": ["data:/var/lib/postgresql/data"]}}}


@contextmanager
def prepared(home: Path) -> Iterator[World]:
    with world(home) as made:
        for version in (V16, V17):
            made.engine.images.add(f"postgres:{version}", image=runnable(f"postgres:{version}"))
        made.edit(**KEYS)
        yield made


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with prepared(tmp_path) as made:
        yield made


def at_work(w: World) -> set[str]:
    return {c.labels["deployctl.version"] for c in w.engine.containers()
            if c.labels.get("deployctl.app") == DB and c.running and not w.engine.is_waiting(c.id)}


def test_the_first_upgrade_starts_it_and_no_other_touches_it(w: World) -> None:
    w.upgraded("v1")
    (db,) = w.ledger.instances(DB)
    assert at_work(w) == {"16"}
    assert w.ledger.find_app(DB).active == 1  # type: ignore[union-attr]
    before = [call for call in w.engine.calls if "shop--db" in call]
    w.upgraded("v2")
    w.rollback()
    assert [call for call in w.engine.calls if "shop--db" in call] == before
    web = next(c.spec for c in w.engine._containers.values() if c.spec and c.spec.hostname == "shop-r2")
    assert ("db", db.address) in web.hosts
    assert ("my_db", db.address) in web.hosts
    assert ("db", "db.shop") in web.links
    assert not preview_reconcile(w.s).lines


def test_an_upgrade_of_it_hands_it_over_at_the_same_address(w: World) -> None:
    w.upgraded("v1")
    address = w.ledger.instances(DB)[0].address
    seen: list[tuple[set[str], bool]] = []
    w.told.begin = lambda step: seen.append((at_work(w), SHOP in w.traffic.queues()))  # type: ignore[method-assign]
    moved = upgrade(DB, V17, w.s, options=YES)
    assert (moved.source, moved.target) == ("16", "17")
    assert all(len(running) <= 1 for running, _ in seen)
    assert kinds(w) == ["image db", "network", "volume", "create db", "start db", "queue", "hand_over db", "health db",
                        "resume", "promote", "stop"]
    assert [waits for _, waits in seen] == [*[False] * 6, True, True, True, False, False]
    assert at_work(w) == {"17"}
    assert {one.address for one in w.ledger.instances(DB)} == {address}
    assert (w.serving, w.active) == ("v1", "v1")
    assert not w.traffic.queues()
    assert not preview_reconcile(w.s).lines


def test_a_rollback_of_it_asks_and_brings_image_and_configuration_back(w: World) -> None:
    w.upgraded("v1")
    upgrade(DB, V17, w.s, options=YES)
    with pytest.raises(ConfirmationNeeded, match="data"):
        rollback(DB, w.s)
    moved = rollback(DB, w.s, options=YES)
    assert (moved.target, at_work(w)) == ("16", {"16"})
    assert not preview_reconcile(w.s).lines


def test_one_that_does_not_come_up_leaves_the_former_one_serving(w: World) -> None:
    w.upgraded("v1")
    w.sick["17"] = "connection refused"
    with pytest.raises(NotHealthy):
        upgrade(DB, V17, w.s, options=YES)
    assert at_work(w) == {"16"}
    assert not w.traffic.queues()
    assert not preview_reconcile(w.s).lines


def test_a_file_that_asks_for_another_one_is_told_and_not_followed(w: World) -> None:
    w.upgraded("v1")
    w.edit(components={"db": {**KEYS["components"]["db"], "image": "postgres:17"}})
    w.upgrade("v2")
    assert at_work(w) == {"16"}
    assert any("shop/db runs 16, and config/shop.toml asks for 17" in text for text in w.told.warnings)


def test_a_changed_file_makes_a_new_release_of_the_same_version(w: World) -> None:
    w.upgraded("v1")
    w.edit(components={"db": {**KEYS["components"]["db"], "env": {"MODE": "x"}}})
    assert upgrade(DB, V16, w.s, options=YES).target_release == 2
    assert not upgrade(DB, V16, w.s, options=YES).changed


def test_what_ended_is_started_again_and_what_is_gone_is_created_again(w: World) -> None:
    w.upgraded("v1")
    (db,) = w.ledger.instances(DB)
    w.engine.ensure_stopped(db.name, grace=1)
    reconcile(w.s, options=YES)
    assert at_work(w) == {"16"}
    w.engine.ensure_removed(db.name)
    reconcile(w.s, options=YES)
    assert at_work(w) == {"16"}
    assert not preview_reconcile(w.s).lines


def test_status_lists_it_under_its_app_and_tells_of_it_alone(w: World) -> None:
    w.upgraded("v1")
    told = as_json(status(w.s))
    assert [one["app"] for one in told["apps"]] == ["shop"]
    assert {"name": "db", "kind": "backing", "version": "16", "health": "passing"}.items() <= next(
        one for one in told["apps"][0]["components"] if one["name"] == "db").items()
    alone = as_json(status(w.s, app=DB))
    assert alone["apps"][0]["app"] == "shop/db"
    assert alone["apps"][0]["state"] == "healthy"


def test_with_its_app_it_goes_and_its_data_stays(w: World) -> None:
    w.upgraded("v1")
    upgrade(DB, V17, w.s, options=YES)
    prune(DB, w.s, options=YES)
    remove_app(SHOP, w.s, options=ChangeOptions(confirmed=True))
    assert not w.engine.containers()
    assert w.ledger.find_app(DB) is None
    assert [one.name for one in w.engine.volumes()]


def test_it_has_no_network_before_its_app_has(w: World) -> None:
    with pytest.raises(NotFound, match="never been deployed"):
        upgrade(DB, V16, w.s)


def test_a_first_upgrade_whose_database_does_not_start_changes_nothing(w: World) -> None:
    w.sick["16"] = "connection refused"
    with pytest.raises(DeployctlError):
        w.upgrade("v1")
    assert w.serving is None
    del w.sick["16"]
    assert w.upgrade("v1").target == "v1"
    assert at_work(w) == {"16"}


@pytest.mark.parametrize(("keys", "why"), [
    ({"image": None}, r"components\.db\.image is missing"),
    ({"replicas": 2}, r"components\.db\.replicas"),
    ({"kind": "job", "port": None, "mounts": []}, r"components\.db\.aliases"),
])
def test_what_it_cannot_be_is_told(keys: dict[str, Any], why: str) -> None:
    table = {name: value for name, value in {**KEYS["components"]["db"], **keys}.items() if value is not None}
    with pytest.raises(Invalid, match=why):
        parse_app_spec({"image": "acme/shop", "port": 8080, "listen": 8000, "components": {"db": table}}, where="shop.toml")


def test_wherever_its_upgrade_dies_it_is_settled_and_never_do_two_run(tmp_path: Path) -> None:
    acts, ends = 0, set[str]()
    while True:
        home = tmp_path / f"{acts}"
        home.mkdir()
        with prepared(home) as w:
            w.upgraded("v1")
            died = die_in(w, partial(upgrade, DB, V17, options=YES), acts)
            with lease(DB, "test", w.s, ChangeOptions()) as token:
                recover(DB, w.s, token)
            (live,) = at_work(w)
            assert w.ledger.find_release(DB, w.ledger.find_app(DB).active).version == live  # type: ignore[union-attr,arg-type]
            assert not w.traffic.queues()
            assert w.ledger.open_deployments() == []
            assert w.serving == "v1"
            reconcile(w.s, options=YES)
            assert not preview_reconcile(w.s).lines
            ends.add(live)
        if not died:
            break
        acts += 1
    assert ends == {"16", "17"}


def test_status_has_it_below_its_app_and_says_what_is_not_deployed_until_it_is(w: World) -> None:
    w.upgraded("v1")
    upgrade(DB, V17, w.s, options=YES)
    table = status_text(status(w.s), PIPE, one=False)
    assert [line.split()[:2] for line in table[1:]] == [["shop", "v1"], ["shop/db", "17"]]
    page = "\n".join(status_text(status(w.s, app=SHOP), PIPE, one=True))
    assert re.search(r"BACKING +LIVE .*\n +shop/db +17 +✓ passing .* 16 stopped", page)
    own = "\n".join(status_text(status(w.s, app=DB), PIPE, one=True))
    assert own.startswith("shop/db   for shop alone")
    assert "127.0.0.1" not in own
    w.edit(components={"db": {**KEYS["components"]["db"], "env": {"MODE": "fast"}}})
    told = "config/shop.toml has changes that are not deployed"
    for app in (SHOP, DB):
        page = "\n".join(status_text(status(w.s, app=app), PIPE, one=True))
        assert told in page
        assert "Deploy: deployctl upgrade shop/db 17" in page
    upgrade(DB, V17, w.s, options=YES)
    assert told not in "\n".join(status_text(status(w.s, app=DB), PIPE, one=True))


def test_one_that_is_stopped_is_told_in_its_own_words_and_none_is_started_beside_another(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(ConfirmationNeeded, match="shop cannot reach it"):
        stop(DB, V16, w.s)
    with pytest.raises(Refused, match="only one version of shop/db runs"):
        start(DB, V17, w.s)
    with pytest.raises(Refused, match="only one version of shop/db runs"):
        preview_start(DB, V17, w.s)
    assert stop(DB, V16, w.s, options=YES).details == ("Start it again: deployctl upgrade shop/db 16",)
    text = "\n".join(status_text(status(w.s), PIPE, one=False))
    assert "shop/db: no live version, shop cannot reach it" in text
    assert "503" not in text


def test_it_is_restarted_and_entered_by_its_name(w: World) -> None:
    w.upgraded("v1")
    before = len(w.engine.calls)
    done = restart(SHOP, w.s, component=ComponentName("db"), options=YES)
    assert (done.app, done.sentence) == ("shop/db", "shop/db 16 restarted")
    assert len(w.engine.calls) > before
    with pytest.raises(NotFound, match="shop/db has no component worker"):
        restart(DB, w.s, component=ComponentName("worker"), options=YES)
    with pytest.raises(Refused, match="exactly one of it runs"):
        scale(SHOP, 2, w.s, component=ComponentName("db"))


# -- secrets --------------------------------------------------------------------------------------------------------------
def with_secret(w: World, value: str) -> None:
    set_secret(SHOP, "PASSWORD", value.encode(), w.s)
    database = {**KEYS["components"]["db"], "secrets": ["PASSWORD"]}
    w.edit(**{**KEYS, "components": {"db": database}})


def password(w: World) -> set[str]:
    """Return what lies in memory for it."""
    return {value.decode() for (app, _), files in w.secrets.laid.items() if app == DB for value, _ in files.values()}


def test_its_secrets_are_those_of_its_app(w: World) -> None:
    with_secret(w, "canary-first")
    w.upgraded("v1")
    assert at_work(w) == {"16"}
    assert password(w) == {"canary-first"}
    [line] = list_secrets(SHOP, w.s)
    assert (line.name, line.used_by) == ("PASSWORD", ("shop/db 16",))
    with pytest.raises(Refused, match="needed by shop/db 16") as needed:
        remove_secret(SHOP, "PASSWORD", w.s, confirmed=True)
    assert needed.value.code == "secret_needed"


def test_its_upgrade_takes_the_value_of_now_and_its_rollback_the_former_one(w: World) -> None:
    with_secret(w, "canary-first")
    w.upgraded("v1")
    with_secret(w, "canary-second")
    assert password(w) == {"canary-first"}, "what runs keeps what it has"
    upgrade(DB, V17, w.s)
    assert "canary-second" in password(w)
    rollback(DB, w.s, options=YES)
    assert at_work(w) == {"16"}
    assert "canary-first" in password(w)


def test_a_secret_that_is_not_set_is_named_with_what_to_type(w: World) -> None:
    w.edit(**{**KEYS, "components": {"db": {**KEYS["components"]["db"], "secrets": ["PASSWORD"]}}})
    with pytest.raises(Invalid) as missing:
        w.upgrade("v1")
    assert missing.value.code == "secret_not_set"
    assert missing.value.remedy == ["deployctl secret set shop PASSWORD"]


def test_of_a_removed_app_neither_secrets_nor_locks_are_left(w: World) -> None:
    with_secret(w, "canary-first")
    w.upgraded("v1")
    assert w.exclusion.locks
    remove_app(SHOP, w.s, options=YES)
    assert (w.exclusion.locks, w.secrets.laid, w.secrets.held(SHOP)) == (set(), {}, [])


def test_a_dry_run_has_the_plan_of_each_that_would_be_started_first_and_changes_nothing(w: World) -> None:
    before = list(w.engine.calls)
    preview = preview_upgrade(SHOP, Version("v1"), w.s)
    text = preview_text(preview, PIPE)
    assert [line.split(":")[0] for line in text if line.startswith("Plan for")] == ["Plan for shop/db", "Plan for shop"]
    assert sum(line == "Nothing was changed." for line in text) == 1
    (first,) = preview.first
    assert [step.kind for step in first.plan.steps][-1] == "promote"
    assert w.ledger.apps() == []
    assert not [call for call in w.engine.calls[len(before):] if call.startswith(("create", "start"))]
    assert [one["app"] for one in as_json(preview)["first"]] == ["shop/db"]
    w.upgraded("v1")
    assert preview_upgrade(SHOP, Version("v2"), w.s).first == ()
    w.edit(components={**KEYS["components"], "cache": {"kind": "backing", "image": "postgres:16", "port": 5432}})
    again = preview_upgrade(SHOP, Version("v1"), w.s)
    assert [one.plan.app for one in again.first] == ["shop/cache"]
    upgrade(DB, V17, w.s, options=YES)
    assert any("shop/db runs 17, and config/shop.toml asks for 16" in one
               for one in preview_upgrade(SHOP, Version("v2"), w.s).warnings)
