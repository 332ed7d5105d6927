"""Kill the process before each of its acts: the next verb brings all to one of the two legal ends, and twice is once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.change.deployment import Phase
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.images.component import InstanceId
from deployctl.ports import Services
from deployctl.testing.fake_engine import Behaviour
from deployctl.usecases.change.abort import abort
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.rollback import rollback
from deployctl.usecases.change.scale import scale
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.undo import undo
from deployctl.usecases.change.upgrade import upgrade
from deployctl.usecases.steps.lease import lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.usecases.view.status import status
from tests.unit.mortal import Died, Life, mortal
from tests.unit.world import SHOP, V1, V2, V3, YES, World, world

Verb = Callable[[Services], object]


@dataclass(frozen=True)
class Story:
    """`begin` sets the scene; the verb dies; afterwards one of `ends` serves."""

    begin: Callable[[World], Any]
    verb: Verb
    ends: tuple[str | None, ...]


def cold(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V1)


def bad_candidate(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503


def moved(w: World) -> None:
    w.upgraded("v1")
    w.edit(listen=9000, keep_warm=0, keep_stopped=0)


def much(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.edit(keep_stopped=0)
    w.upgrade("v3")


def with_replicas(w: World) -> None:
    w.edit(replicas=2)
    w.upgraded("v1", "v2")


def exclusive(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1", "v2")


def scheduler(w: World) -> None:
    w.edit(components={"clock": {"kind": "exclusive", "command": ["tick"], "health": {"uptime": "1s"}}})
    w.upgraded("v1", "v2")


def job(w: World) -> None:
    w.engine.behaviours["migrate",] = Behaviour(exits=0)
    w.edit(needs={"migrate": "completed"}, components={"migrate": {"kind": "job", "command": ["migrate"]}})


def attached(w: World) -> None:
    """Have a volume and a config file."""
    folder = w.home / "config/shop"
    folder.mkdir(parents=True)
    (w.home / "state").mkdir()
    (folder / "a").write_text("a")
    w.edit(mounts=["data:/data"], volumes={"data": {"shared": True}}, files={"/a": "shop/a"})


def attached_twice(w: World) -> None:
    attached(w)
    w.upgraded("v1", "v2")
    (w.home / "config/shop/a").write_text("b")


def bad_exclusive(w: World) -> None:
    w.edit(kind="exclusive")
    w.upgraded("v1")
    w.sick["v2"] = 503


STORIES = {
    "first upgrade with a volume and a file": Story(attached, partial(upgrade, SHOP, V1), (None, "v1")),
    "upgrade with a volume and another file": Story(attached_twice, partial(upgrade, SHOP, V3), ("v2", "v3")),
    "upgrade of an exclusive one": Story(exclusive, partial(upgrade, SHOP, V3), ("v2", "v3")),
    "upgrade to a bad exclusive one": Story(bad_exclusive, partial(upgrade, SHOP, V2), ("v1",)),
    "rollback of an exclusive one": Story(exclusive, partial(rollback, SHOP, options=YES), ("v2", "v1")),
    "upgrade with a scheduler": Story(scheduler, partial(upgrade, SHOP, V3), ("v2", "v3")),
    "rollback with a scheduler": Story(scheduler, partial(rollback, SHOP), ("v2", "v1")),
    "first upgrade with a job": Story(job, partial(upgrade, SHOP, V1), (None, "v1")),
    "upgrade with replicas": Story(with_replicas, partial(upgrade, SHOP, V3), ("v2", "v3")),
    "rollback with replicas": Story(with_replicas, partial(rollback, SHOP), ("v2", "v1")),
    "more replicas": Story(with_replicas, partial(scale, SHOP, 3), ("v2",)),
    "fewer replicas": Story(with_replicas, partial(scale, SHOP, 1), ("v2",)),
    "first upgrade": Story(lambda w: None, partial(upgrade, SHOP, V1), (None, "v1")),
    "upgrade": Story(lambda w: w.upgraded("v1", "v2"), partial(upgrade, SHOP, V3), ("v2", "v3")),
    "upgrade that moves the address": Story(moved, partial(upgrade, SHOP, V2, options=YES), ("v1", "v2")),
    "upgrade to a bad one": Story(bad_candidate, partial(upgrade, SHOP, V2), ("v1",)),
    "warm rollback": Story(lambda w: w.upgraded("v1", "v2"), partial(rollback, SHOP), ("v2", "v1")),
    "cold rollback": Story(cold, partial(rollback, SHOP, options=YES), ("v2", "v1")),
    "undo of a rollback": Story(lambda w: w.upgraded("v1", "v2").rollback(), partial(undo, SHOP), ("v1", "v2")),
    "start": Story(lambda w: w.upgraded("v1"), partial(start, SHOP, V2), ("v1",)),
    "stop of what serves": Story(lambda w: w.upgraded("v1", "v2"), partial(stop, SHOP, V2, options=YES), ("v2", None)),
    "stop of a standby": Story(lambda w: w.upgraded("v1", "v2"), partial(stop, SHOP, V1, options=YES), ("v2",)),
    "prune": Story(much, partial(prune, SHOP, options=YES), ("v3",)),
}  # fmt: skip


def die_in(w: World, verb: Verb, acts: int) -> bool:
    """Run the verb in a process that dies before its next act after so many; False when it lived to its end."""
    life = Life(acts)
    try:
        verb(mortal(w.s, life))
    except Died:
        pass
    except Exception:
        assert not life.dead, "a dead process said something"
    w.ledger.db.execute("update leases set pid_start = -1")  # its holder is gone
    return life.dead


def settle(w: World) -> None:
    """Do what every changing verb begins with."""
    with lease(SHOP, "test", w.s, ChangeOptions()) as token:
        recover(SHOP, w.s, token)


def require_settled(w: World, ends: tuple[str | None, ...]) -> None:
    assert w.active == w.serving, "ledger and HAProxy agree"
    assert w.serving in ends
    assert w.ledger.open_deployments() == []
    instances = {i.container: i for i in w.ledger.instances(SHOP)}
    ours = {c.id: c for c in w.engine.containers()}
    assert ours.keys() == instances.keys(), "no orphan, and nothing lost"
    for instance in instances.values():
        assert not instance.routed or ours[instance.container or ""].running
        kept = f"deployctl/{SHOP}:r{instance.release}-"
        assert any(tag.startswith(kept) for tag in w.engine.images.find(ours[instance.container or ""].image).tags)  # type: ignore[union-attr]
    assert not w.traffic.queues(), "nobody waits"
    require_one_at_a_time(w)
    if w.serving:
        release = w.release(w.serving)
        assert w.ledger.find_instance(SHOP, InstanceId(release.number)).routed  # type: ignore[union-attr]
        of = {i.id: i.container or "" for i in instances.values()}
        assert all(ours[of[one]].running for one in release.serving)


def require_one_at_a_time(w: World) -> None:
    """Of each exclusive component at most one program runs: what serves, or else what will be repaired."""
    at_work = [c.labels["deployctl.component"] for c in w.engine.containers()
               if c.labels.get("deployctl.kind") == "exclusive" and c.running and not w.engine.is_waiting(c.id)]
    assert len(at_work) == len(set(at_work))


def require_history(w: World) -> None:
    changes = w.ledger.changes(SHOP)
    assert [c.revision for c in changes] == list(range(len(changes), 0, -1))
    assert all(after.source == before.target for after, before in pairwise(changes))


@pytest.mark.parametrize("name", STORIES)
def test_wherever_it_dies_the_next_verb_settles_it_and_doing_so_again_changes_nothing(tmp_path: Path, name: str) -> None:
    story, acts, reached = STORIES[name], 0, set[str | None]()
    while True:
        home = tmp_path / f"{acts}"
        home.mkdir()
        with world(home) as w:
            story.begin(w)
            before = w.everything()
            died = die_in(w, story.verb, acts)
            settle(w)
            require_settled(w, story.ends)
            require_history(w)
            reached.add(w.serving)
            if w.active == story.ends[0] and len(story.ends) > 1:
                require_as_it_was(w, before)
            require_attached(w)
            settled = w.everything()
            settle(w)
            assert w.everything() == settled
        if not died:
            break
        acts += 1
    assert reached == set(story.ends)
    assert acts > 3


def require_attached(w: World) -> None:
    """What a container mounts is there: a volume of the app's, filled by its owner, and the very file of its release."""
    for made in (c for c in w.engine._containers.values() if c.spec):
        for mount in made.spec.mounts if made.spec else ():
            if mount.is_path:
                assert Path(mount.source).is_file()
            else:
                there = w.engine.volumes_here.here[mount.source]
                assert there.facts.labels["deployctl.volume"] == "data"
                assert there.filled_from == w.engine.images.find("acme/shop:v1").digest  # type: ignore[union-attr]
    for release in w.ledger.kept_releases():
        assert all(w.s.files().find_fault(file) is None for file in release.bundle.files)


def require_as_it_was(w: World, before: dict[str, Any]) -> None:
    """It went back: but for the unproven release nothing tells of the try."""
    after = w.everything()
    if before["apps"]:
        assert after["apps"] == before["apps"]
    assert {k: after[k] for k in ("routes", "history", "networks", "guards")} == {
        k: before[k] for k in ("routes", "history", "networks", "guards")}
    known = {r.number for r in before["releases"]}
    assert [r for r in after["releases"] if r.number in known] == before["releases"]  # type: ignore[attr-defined]
    assert all(r.number in known or not r.hold for r in after["releases"])  # type: ignore[attr-defined]


def test_a_rollback_that_died_after_its_switch_still_puts_on_hold_what_it_left(tmp_path: Path) -> None:
    for acts in range(40):
        home = tmp_path / f"{acts}"
        home.mkdir()
        with world(home) as w:
            w.upgraded("v1", "v2")
            died = die_in(w, partial(rollback, SHOP), acts)
            settle(w)
            assert w.held() == ({"v2"} if w.serving == "v1" else set())
            w.undo()
            if w.active == "v2":
                assert w.held() == set()
        if not died:
            return
    pytest.fail("it never came to its end")


def test_until_it_is_settled_status_tells_that_it_was_interrupted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1")
        assert die_in(w, partial(upgrade, SHOP, V2), 12)
        (view,) = status(w.s).apps
        assert view.deployment is not None
        assert view.deployment.interrupted
        assert (view.state, view.active.version if view.active else None) == ("healthy", "v1")
        assert NoteCode.INTERRUPTED in {note.code for note in view.notes}


def test_the_verb_that_settles_goes_on_with_its_own_work(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.upgraded("v1")
        assert die_in(w, partial(upgrade, SHOP, V2), 15)
        assert w.upgrade("v3").target == "v3"
        assert [d.phase for d in w.ledger.deployments(SHOP)] == [Phase.SUCCEEDED, Phase.REVERTED, Phase.SUCCEEDED]
        assert any("interrupted upgrade of shop was reverted" in text for text in w.told.warnings)
        assert [e["kind"] for e in w.ledger.events(SHOP)] == ["promoted", "recovered", "ended", "promoted"]
        assert w.ledger.events(SHOP)[1]["data"]["outcome_code"] == "reverted"


def switched_and_dead(w: World) -> None:
    """Let an upgrade to v2 die between the switch and the promotion."""
    w.upgraded("v1")
    life = Life(10_000)
    s = mortal(w.s, life)
    switch = w.traffic.switch

    def switch_and_die(*args: Any, **more: Any) -> Any:
        switched = switch(*args)
        life.acts = 0
        return switched

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(w.traffic, "switch", switch_and_die)
        with pytest.raises(Died):
            upgrade(SHOP, V2, s)
    w.ledger.db.execute("update leases set pid_start = -1")


def test_a_switched_one_that_answers_is_promoted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        switched_and_dead(w)
        settle(w)
        assert (w.serving, w.active) == ("v2", "v2")


def test_a_switched_one_that_somebody_asked_to_stop_is_taken_back(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        switched_and_dead(w)
        assert abort(SHOP, w.s).sentence == "the upgrade of shop was stopped; v1 is live"
        assert (w.serving, w.active) == ("v1", "v1")


def test_a_switched_one_that_somebody_asked_to_stop_goes_on_when_nothing_else_answers(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        switched_and_dead(w)
        w.sick["v1"] = 503
        abort(SHOP, w.s)
        assert (w.serving, w.active) == ("v2", "v2")


def test_a_switched_one_that_does_not_answer_is_taken_back(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        switched_and_dead(w)
        w.sick["v2"] = 503
        settle(w)
        assert (w.serving, w.active) == ("v1", "v1")
        assert "v2" not in w.containers()


def test_when_neither_answers_nothing_is_touched_and_a_person_must_look(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        switched_and_dead(w)
        w.sick.update(v1=503, v2=503)
        before = w.containers()
        settle(w)
        assert (w.containers(), w.serving, w.active) == (before, "v2", "v1")
        assert w.ledger.deployments(SHOP)[0].phase is Phase.STUCK
        w.sick.clear()
        assert w.rollback("v1").target == "v1"
        assert (w.serving, w.active) == ("v1", "v1")


def test_a_removal_that_died_can_be_typed_again(tmp_path: Path) -> None:
    for acts in range(30):
        home = tmp_path / f"{acts}"
        home.mkdir()
        with world(home) as w:
            w.upgraded("v1", "v2")
            died = die_in(w, partial(remove_app, SHOP, options=YES), acts)
            begun = bool(w.ledger.open_deployments()) or SHOP not in w.traffic.routes()
            reconcile(w.s)
            assert (w.ledger.find_app(SHOP) is None) is begun, "what was begun is finished, not mended"
            if not begun:
                w.use(remove_app)
            assert (w.ledger.apps(), w.engine.containers(), w.traffic.routes(), w.guard.routes) == ([], [], {}, set())
            assert w.ledger.table(bridged=True).backends == ()
        if not died:
            return
    pytest.fail("it never came to its end")
