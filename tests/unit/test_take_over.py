"""A Compose project gives its place to an app and gets it back, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.inputs.names import Version
from deployctl.errors import DeployctlError, NotFound, Refused
from deployctl.ports import VolumeFacts
from deployctl.ports.foreign import ForeignContainer
from deployctl.testing.compose.fake_foreign import FakeForeigners
from deployctl.testing.fake_engine import Behaviour
from deployctl.testing.fake_volumes import FakeVolume
from deployctl.usecases.change.abort import abort
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.take_over.begin import TakenOver, take_over
from deployctl.usecases.take_over.give_back import confirm
from tests.unit.world import SHOP, World, world

V1 = Version("v1")
VOLUME = "proj_data"
WEB = ForeignContainer("1", "proj-web-1", "proj", "web", "acme/shop", True, "always")
DB = ForeignContainer("2", "proj-db-1", "proj", "db", "postgres", True, "on-failure", 3, (VOLUME,))
IDLE = ForeignContainer("3", "proj-idle-1", "proj", "idle", "acme/idle", False, "unless-stopped")
OTHERS = ForeignContainer("4", "blog-web-1", "blog", "web", "blog", True, "always")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.foreign = FakeForeigners(WEB, DB, IDLE, OTHERS)
        made.engine.volumes_here.here[VOLUME] = FakeVolume(VolumeFacts(VOLUME, {}))
        made.edit(kind="exclusive", mounts=["data:/data"], volumes={"data": {"external": VOLUME}})
        yield made


def begin(w: World, may_stop: Callable[[ForeignContainer], bool] = lambda one: True) -> TakenOver:
    return take_over(SHOP, "proj", V1, w.s, may_stop=may_stop)


def as_before(w: World) -> bool:
    return w.foreign.here == {one.id: one for one in (WEB, DB, IDLE, OTHERS)}


def test_the_project_is_stopped_and_kept_from_coming_back_and_the_app_serves(w: World) -> None:
    done = begin(w)
    assert done.stopped == ("proj-db-1", "proj-web-1")
    assert done.gap_ms >= 0
    seen = w.foreign.here
    assert [(seen[one].running, seen[one].restart) for one in "123"] == [(False, "no")] * 3
    assert seen["4"] == OTHERS
    assert w.active == "v1"


def test_each_container_is_asked_for_and_one_no_stops_nothing(w: World) -> None:
    asked: list[str] = []
    with pytest.raises(Refused, match="proj-web-1 stays"):
        begin(w, lambda one: not asked.append(one.name) and one.name != "proj-web-1")  # type: ignore[func-returns-value]
    assert asked == ["proj-db-1", "proj-web-1"]
    assert as_before(w)
    assert w.imports.open == {}


def test_an_app_that_does_not_become_healthy_gives_the_place_back(w: World) -> None:
    w.engine.behaviours["crash",] = Behaviour(exits=3)
    w.edit(kind="exclusive", command=["crash"], mounts=["data:/data"], volumes={"data": {"external": VOLUME}})
    with pytest.raises(DeployctlError) as failed:
        begin(w)
    assert failed.value.message.endswith("The Compose project proj runs again.")
    assert as_before(w)
    assert w.engine.containers() == []


def test_abort_puts_policies_and_containers_back_and_keeps_every_volume(w: World) -> None:
    begin(w)
    done = abort(SHOP, w.s)
    assert "proj runs again" in done.sentence
    assert as_before(w)
    assert w.engine.containers() == []
    assert VOLUME in {one.name for one in w.engine.volumes()}
    assert w.imports.open == {}


def test_confirm_ends_it_and_removes_nothing(w: World) -> None:
    begin(w)
    before = dict(w.foreign.here)
    confirm(SHOP, w.s)
    assert w.foreign.here == before
    assert w.active == "v1"
    with pytest.raises(NotFound):
        confirm(SHOP, w.s)


def test_an_upgrade_is_refused_while_others_use_the_only_ones_volume(w: World) -> None:
    with pytest.raises(Refused) as refused:
        upgrade(SHOP, V1, w.s)
    assert refused.value.code == "volume_in_use"
    assert refused.value.remedy == ["docker stop proj-db-1"]
    w.foreign.here["2"] = replace(DB, running=False)
    upgrade(SHOP, V1, w.s)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(("verb", "number"), [("put", 0), ("put", 1), ("set_restart", 0), ("set_restart", 1),
                                              ("set_restart", 2), ("ensure_stopped", 0), ("ensure_stopped", 1)])
@pytest.mark.parametrize("end", ["again", "abort"])
def test_killed_anywhere_it_goes_on_or_goes_back(w: World, monkeypatch: pytest.MonkeyPatch, verb: str, number: int,
                                                  end: str) -> None:
    target: Any = w.imports if verb == "put" else w.foreign
    real, calls = getattr(target, verb), iter(range(100))

    def dying(*words: Any, **more: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return real(*words, **more)

    monkeypatch.setattr(target, verb, dying)
    with pytest.raises(Killed):
        begin(w)
    monkeypatch.setattr(target, verb, real)
    if end == "again":
        begin(w)
        assert [w.foreign.here[one].running for one in "123"] == [False] * 3
        assert w.active == "v1"
    elif SHOP in w.imports.open:
        abort(SHOP, w.s)
        assert as_before(w)
    else:
        assert as_before(w), "nothing was written down, so nothing was touched"
