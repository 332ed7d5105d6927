"""Another engine than the one with this home's containers: nothing is called gone, and a person decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployctl.errors import AnotherEngine, ConfirmationNeeded, EngineUnavailable
from deployctl.testing.fake_engine import FakeEngine
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.take_engine import take_engine
from deployctl.usecases.view.status import status
from tests.unit.world import V1, V2, V3, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.use(upgrade, V1)
        made.use(upgrade, V2)
        yield made


def elsewhere(w: World) -> FakeEngine:
    """Let another engine answer, which has the images and nothing else."""
    former = w.engine
    other = FakeEngine(former.home, clock=w.clock)
    other.images, other.known = former.images, lambda: w.ledger.engine
    other.engine_info = replace(former.engine_info, id="OTHER")
    other._made = 100  # its containers have ids of their own
    w.engine = other
    return former


def test_the_first_container_tells_which_engine_is_the_homes(w: World) -> None:
    assert w.ledger.engine == w.engine.engine_info.id == "FAKE"


def test_another_engine_is_told_as_that_and_nothing_is_gone(w: World) -> None:
    elsewhere(w)
    with pytest.raises(AnotherEngine):
        w.engine.containers()
    seen = status(w.s)
    assert seen.engine
    assert "another one" in seen.engine
    assert seen.apps[0].drift == ()
    assert seen.apps[0].active
    assert seen.apps[0].active.version == "v2"
    with pytest.raises(EngineUnavailable):
        reconcile(w.s)
    with pytest.raises(EngineUnavailable):
        w.use(upgrade, V3)
    assert w.ledger.engine == "FAKE"


def test_a_person_says_whether_to_go_on_with_another_engine(w: World) -> None:
    elsewhere(w)
    with pytest.raises(ConfirmationNeeded):
        take_engine(w.s, confirmed=False)
    assert w.ledger.engine == "FAKE"
    take_engine(w.s, confirmed=True)
    assert w.ledger.engine == "OTHER"
    assert w.engine.containers() == []
    assert {line.kind for line in reconcile(w.s).lines} >= {"removed"}


def test_the_same_engine_needs_no_word(w: World) -> None:
    take_engine(w.s, confirmed=False)
    for container in w.engine.containers():
        w.engine.lose(container.id)
    take_engine(w.s, confirmed=False)
    assert w.ledger.engine == "FAKE"
