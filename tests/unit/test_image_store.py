"""An engine whose image store was switched hides what is in the other one: that is reported, and nothing counts as
removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.domain.images.component import InstanceId
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.setup.doctor_containers import containers
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, World, world

BEFORE, NOW = "overlay2", "containerd overlayfs"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.engine.engine_info = replace(made.engine.engine_info, store=BEFORE)
        yield made.upgraded("v1", "v2")


def switch(w: World) -> None:
    """Let a person switch the store: containers and images of the other one are hidden."""
    w.engine.engine_info = replace(w.engine.engine_info, store=NOW)
    for container in w.engine.containers():
        w.engine.lose(container.id)
    for version in ("v1", "v2"):
        w.engine.images.drop(w.release(version).digest)


def test_each_container_is_remembered_with_the_store_that_it_was_made_in(w: World) -> None:
    assert {i.store for i in w.ledger.instances(SHOP)} == {BEFORE}


@pytest.mark.parametrize("named", [True, False])
def test_the_status_says_it_in_one_sentence_with_both_ways_out(w: World, named: bool) -> None:
    switch(w)
    [drift] = status(w.s, app=SHOP if named else None).apps[0].drift
    for words in (BEFORE, NOW, "switch it back", "deployctl upgrade shop v2"):
        assert words in str(drift)


def test_reconcile_makes_nothing_anew_and_removes_nothing(w: World) -> None:
    switch(w)
    before = w.everything()
    assert [(line.kind, line.done, line.repair) for line in reconcile(w.s).lines] == [("image_store_switched", False, None)]
    assert w.everything() == before


def test_doctor_says_it_too(w: World) -> None:
    assert [one for one in containers(w.s) if one.code] == []
    switch(w)
    [told] = [one for one in containers(w.s) if one.code]
    assert (told.ok, told.code) == (False, "image_store_switched")


def test_an_upgrade_in_the_other_store_ends_it(w: World) -> None:
    switch(w)
    w.upgrade("v3")
    assert w.serving == "v3"
    found = w.ledger.find_instance(SHOP, InstanceId(w.release("v3").number))
    assert found is not None
    assert found.store == NOW
    assert not any("could not stop" in text for text in w.told.warnings)


def test_switched_back_nothing_is_told(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, store=NOW)
    assert status(w.s, app=SHOP).apps[0].drift == ()  # all are to be seen: whatever the engine calls its store
