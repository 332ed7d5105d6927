"""New containers drop four capabilities; one that a file adds back is reported, and existing containers stay as they
were created."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.domain.change.drift import DriftKind
from deployctl.domain.host.server import Allowance, ServerSpec
from deployctl.domain.images.capabilities import GIVES_UP, given_back, kept_text, to_drop
from deployctl.domain.images.component import Component, InstanceId, release_hash
from deployctl.domain.images.release import Release
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import Invalid, NotPermitted
from deployctl.ports import ContainerFacts
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.start import start
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.setup.doctor_containers import containers
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.show import show
from deployctl.usecases.views import as_json
from tests.unit.world import SHOP, V1, V2, World, world

ALL = ("AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """v2 serves, v1 is its warm standby."""
    with world(tmp_path) as made:
        yield made.upgraded("v1", "v2")


def made_before(w: World) -> None:
    """Let all of it have been made by 0.2.0: nothing is dropped, and no label says so."""
    w.ledger.db.execute("update releases set cap_drop = '[]'")
    for instance in w.ledger.instances(SHOP):
        labels = dict(container(w, instance.release).labels)
        labels.pop("deployctl.cap-drop")
        w.engine.meddle(instance.name, labels=labels, cap_drop=())


def container(w: World, release: int) -> ContainerFacts:
    instance = w.ledger.find_instance(SHOP, InstanceId(release))
    assert instance is not None
    found = w.engine.find_container(instance.name)
    assert found is not None
    return found


def releases(w: World) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(r.number, str(r.version), r.cap_drop) for r in reversed(w.ledger.releases(SHOP))]


# -- what is made now --------------------------------------------------------------------------------------------
def test_a_new_container_drops_all_four(w: World) -> None:
    assert tuple(sorted(GIVES_UP)) == ALL
    assert container(w, 2).cap_drop == w.release("v2").cap_drop == ALL


def test_one_that_the_file_asks_back_is_kept_and_makes_another_release(w: World) -> None:
    w.edit(cap_add=["NET_RAW"])
    w.upgrade("v2")
    assert releases(w)[-1] == (3, "v2", ("AUDIT_WRITE", "MKNOD", "SETFCAP"))
    assert container(w, 3).cap_drop == ("AUDIT_WRITE", "MKNOD", "SETFCAP")
    assert w.ledger.releases(SHOP)[0].bundle.cap_add == ("NET_RAW",)


def test_it_is_told_with_what_it_gives_up_before_and_when_it_is_done(w: World) -> None:
    w.edit(cap_add=["NET_RAW"])
    (sentence,) = given_back(["NET_RAW"])
    assert "address of another version" in sentence
    preview = preview_upgrade(SHOP, V2, w.s)
    assert sentence in preview.warnings
    assert [(line.group, line.sign, line.name) for line in preview.changes] == [("cap_add", "+", "NET_RAW")]
    assert sentence in w.upgrade("v2").warnings


@pytest.mark.parametrize("value", [
    "NET_RAW", ["net_raw"], ["NET_RAW", "NET_RAW"], [1], [["NET_RAW"]], {"NET_RAW": 1}])
def test_nothing_else_can_be_asked_for(value: Any) -> None:
    with pytest.raises(Invalid, match="cap_add"):
        parse_app_spec({"image": "acme/shop", "port": 80, "listen": 80, "cap_add": value}, where="config/shop.toml")


@pytest.mark.parametrize("name", ["SYS_ADMIN", "NET_ADMIN", "ALL"])
def test_one_that_docker_gives_to_nobody_needs_a_word_in_server_toml(w: World, name: str) -> None:
    w.edit(cap_add=[name])
    with pytest.raises(NotPermitted, match="cap_add"):
        w.upgrade("v2")
    w.spec = ServerSpec(allow=((SHOP, Allowance(keys=("cap_add",))),))
    w.upgrade("v2")
    assert w.ledger.releases(SHOP)[0].bundle.cap_add == (name,)


def test_each_component_drops_what_it_does_not_add_back(w: World) -> None:
    w.edit(cap_add=["NET_RAW"], components={"api": {"port": 9000, "cap_add": ["MKNOD"]},
                                            "none": {"port": 9001, "cap_drop": ["ALL"], "cap_add": ["CHOWN"]}})
    w.upgrade("v3")
    made = {str(c.spec.labels["deployctl.component"]): c.facts.cap_drop for c in w.engine._containers.values()
            if c.spec and c.spec.labels["deployctl.version"] == "v3"}
    assert made == {"web": ("AUDIT_WRITE", "MKNOD", "SETFCAP"), "api": ("AUDIT_WRITE", "NET_RAW", "SETFCAP"),
                    "none": ("ALL", *ALL)}
    assert not reconcile(w.s).lines
    assert not w.upgrade("v3").changed


def test_the_order_in_the_file_makes_no_other_release() -> None:
    one, other = (parse_app_spec({"image": "acme/shop", "port": 80, "listen": 80, "cap_add": names}, where="x").templates()
                  for names in (["NET_RAW", "MKNOD"], ["MKNOD", "NET_RAW"]))
    assert release_hash(one) == release_hash(other)


# -- what was made before -------------------------------------------------------------------------------------------
def test_a_release_of_before_keeps_what_docker_gives_where_its_container_is_made_again(w: World) -> None:
    made_before(w)
    w.engine.lose(w.ledger.instances(SHOP)[1].name)
    w.rollback("v1")
    assert (w.serving, container(w, 1).cap_drop) == ("v1", ())
    assert "deployctl.cap-drop" not in container(w, 1).labels


def test_so_it_does_when_reconcile_makes_what_serves_again(w: World) -> None:
    made_before(w)
    w.engine.lose(w.ledger.instances(SHOP)[0].name)
    assert not reconcile(w.s).left
    assert container(w, 2).cap_drop == ()


def test_so_it_does_by_undo_and_start(w: World) -> None:
    made_before(w)
    w.engine.lose(w.ledger.instances(SHOP)[1].name)
    start(SHOP, V1, w.s)
    assert container(w, 1).cap_drop == ()
    w.rollback("v1")
    w.engine.lose(w.ledger.instances(SHOP)[0].name)
    w.undo()
    assert (w.serving, container(w, 2).cap_drop) == ("v2", ())


def test_an_upgrade_to_the_very_version_that_serves_makes_another_release_with_less(w: World) -> None:
    made_before(w)
    preview = preview_upgrade(SHOP, V2, w.s)
    assert [(line.group, line.sign, line.name) for line in preview.changes] == [("capabilities", "-", name) for name in ALL]
    assert w.upgrade("v2").changed
    assert releases(w) == [(1, "v1", ()), (2, "v2", ()), (3, "v2", ALL)]
    assert container(w, 3).cap_drop == ALL
    assert not w.upgrade("v2").changed, "it is the same by now"


def test_the_way_back_is_to_the_release_as_it_was(w: World) -> None:
    made_before(w)
    w.upgrade("v2")
    assert w.rollback().target_release == 2
    assert container(w, 2).cap_drop == ()


def test_show_and_diff_tell_what_it_has(w: World) -> None:
    made_before(w)
    w.upgrade("v2")
    assert as_json(show(SHOP, V2, w.s, release=2))["cap_drop"] == []
    assert as_json(show(SHOP, V2, w.s, release=3))["cap_drop"] == list(ALL)
    told = diff(SHOP, V2, V2, w.s, before_release=2, after_release=3).lines
    assert {(line.group, line.sign, line.before) for line in told} == {("capabilities", "-", "as Docker sets it")}


def test_the_doctor_lists_the_apps_that_keep_such_releases(w: World) -> None:
    assert "capabilities_kept" not in {one.code for one in containers(w.s)}
    made_before(w)
    (found,) = (one for one in containers(w.s) if one.code == "capabilities_kept")
    assert (found.ok, found.fatal, found.fix) == (False, False, "deployctl upgrade shop v2")
    assert found.message.endswith("v1@1, v2@2")
    w.upgrade("v2")
    (found,) = (one for one in containers(w.s) if one.code == "capabilities_kept")
    assert found.message.endswith("v2@2") or found.message.endswith("v1@1, v2@2")
    assert (found.ok, found.fix) == (True, None), "prune removes none of what can be gone back to"
    w.rollback()
    (found,) = (one for one in containers(w.s) if one.code == "capabilities_kept")
    assert (found.ok, found.fix) == (False, "deployctl upgrade shop v2")


def test_what_a_release_may_have_is_not_told_as_kept() -> None:
    assert kept_text(to_drop(["NET_RAW"]), ["NET_RAW"]) is None
    assert "NET_RAW" in (kept_text((), []) or "")


# -- a container that somebody made again -----------------------------------------------------------------------------
def test_a_container_with_more_than_its_release_has_is_told_and_serves_on(w: World) -> None:
    w.engine.meddle(w.ledger.instances(SHOP)[0].name, cap_drop=("MKNOD",))
    told = [line for line in reconcile(w.s).lines if line.kind == DriftKind.CAPABILITIES]
    assert [(line.app, line.done) for line in told] == [("shop", False)]
    assert "AUDIT_WRITE, NET_RAW, SETFCAP" in told[0].summary
    assert w.serving == "v2"


def test_a_standby_with_more_is_made_again(w: World) -> None:
    w.engine.meddle(w.ledger.instances(SHOP)[1].name, cap_drop=())
    told = {line.kind: line.done for line in reconcile(w.s).lines}
    assert told == {DriftKind.CAPABILITIES: True, DriftKind.REMOVED: True}
    assert container(w, 1).cap_drop == ALL


def test_a_ledger_made_before_opens_and_its_releases_drop_nothing(w: World) -> None:
    release = Release(9, AppName("blog"), 1, Version("v1"), w.release("v1").components, "2026-01-01T00:00:00.000Z")
    assert release.cap_drop == (), "what is not said was not dropped"
    db = w.ledger.db
    db.execute("drop index idx_releases_app_version_bundle_hash_cap_drop")
    db.execute("alter table releases drop column cap_drop")
    db.execute("create unique index idx_releases_app_version_bundle_hash on releases(app, version, bundle_hash)")
    db.execute("delete from _sqlite_migrations where name = 'm012_cap_drop'")
    db.execute("pragma user_version = 11")
    ledger = w.open_ledger()
    try:
        assert [r.cap_drop for r in ledger.releases(SHOP)] == [(), ()]
        again = ledger.ensure_release(SHOP, V2, (Component(ledger.releases(SHOP)[0].bundle),), at=w.clock.utc())
        assert (again.number, again.cap_drop) == (3, ALL)
    finally:
        ledger.close()
