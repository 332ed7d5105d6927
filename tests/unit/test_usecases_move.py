"""Upgrade, rollback and undo: where the traffic is afterwards, what is held, what is refused, and that nothing else moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployctl.cli.rendering.change import moved_text
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Counters
from deployctl.errors import (
    ConfirmationNeeded,
    DeployctlError,
    EngineUnavailable,
    Invalid,
    LeaseHeld,
    NotFound,
    NotHealthy,
    NothingToGoBackTo,
    OnHold,
    ProxyUnavailable,
    RegistryUnavailable,
    StateChanged,
)
from deployctl.ports import Image
from deployctl.usecases.change.hold import hold, unhold
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.rollback import preview_rollback, rollback
from deployctl.usecases.change.start import start
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.undo import preview_undo, undo
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.views import as_json
from tests.unit.cli_results import tty
from tests.unit.world import SHOP, V1, V2, V3, V4, World, runnable, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def spec_of(w: World, version: str) -> Any:
    """Return what the container of that version was made from, as the engine has it."""
    return next(c.spec for c in w.engine._containers.values() if c.spec and c.spec.labels["deployctl.version"] == version)


# -- upgrade ------------------------------------------------------------------------------------------------------
def test_a_first_version_serves_at_the_address_of_its_file(w: World) -> None:
    moved = w.upgrade("v1", note="first light")
    assert (moved.kind, moved.source, moved.target, moved.revision) == ("Upgrade", None, "v1", 1)
    assert (moved.confirmed, moved.changed, moved.colour, moved.standby) == (True, True, "blue", None)
    assert (w.serving, w.active, w.containers()) == ("v1", "v1", {"v1": "running"})
    assert w.ledger.table(bridged=True).listens == {SHOP: ("127.0.0.1", 8000)}
    change = w.ledger.changes(SHOP)[0]
    assert (change.note, change.actor, change.kind) == ("first light", "mara (cli)", "upgrade")


def test_the_version_before_stays_warm_and_the_one_before_that_is_stopped(w: World) -> None:
    w.upgraded("v1", "v2")
    moved = w.upgrade("v3")
    assert (moved.source, moved.target, moved.standby, moved.colour) == ("v2", "v3", "v2", "blue")
    assert w.containers() == {"v1": "stopped", "v2": "running", "v3": "running"}
    assert w.held() == set(), "an upgrade holds nothing"


def test_what_was_measured_is_told(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    w.clock.after(3, w.sick.clear)
    w.traffic.count(SHOP, 1, Counters(failed=5))
    moved = w.upgrade("v2")
    assert moved.switch_ms == 0.1
    assert moved.total_ms >= 3_000
    assert moved.failed_requests == 0, "what failed before does not count"
    assert [step.kind for step in moved.steps][:2] == ["image", "image"]


def test_requests_that_failed_meanwhile_are_counted(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.upgraded("v1")
    switch = w.traffic.switch

    def switch_and_lose(app: AppName, to: int | None, **_: Any) -> Any:
        w.traffic.count(SHOP, 1, Counters(failed=2))
        w.traffic.count(SHOP, 2, Counters(failed=1))
        return switch(app, to)

    monkeypatch.setattr(w.traffic, "switch", switch_and_lose)
    assert w.upgrade("v2").failed_requests == 3


def test_the_same_version_again_does_nothing(w: World) -> None:
    w.upgraded("v1")
    before = w.everything()
    moved = w.upgrade("v1")
    assert (moved.changed, moved.source, moved.target, moved.revision) == (False, "v1", "v1", 1)
    assert w.everything() == before
    assert len(w.ledger.deployments(SHOP)) == 1


def test_the_same_version_whose_container_died_is_brought_up_again(w: World) -> None:
    w.upgraded("v1")
    w.engine.die(w.ledger.instances(SHOP)[0].container or "")
    moved = w.upgrade("v1")
    assert (moved.changed, w.containers(), w.serving) == (True, {"v1": "running"}, "v1")


def test_a_changed_bundle_is_a_release_of_its_own_of_the_same_version(w: World) -> None:
    w.upgraded("v1")
    moved = w.upgrade("v1", env={"MODE": "sale"})
    assert (moved.source, moved.target, moved.changed) == ("v1", "v1", True)
    assert [r.number for r in w.ledger.releases(SHOP) if r.version == "v1"] == [2, 1]
    assert spec_of(w, "v1") is not None
    assert w.traffic.routes() == {SHOP: 2}
    assert w.rollback().target == "v1"
    assert w.traffic.routes() == {SHOP: 1}
    assert [r.number for r in w.ledger.releases(SHOP) if r.hold] == [2], "what serves again is not on hold"


def test_variables_of_the_command_line_win_over_the_file_and_are_part_of_the_release(w: World) -> None:
    w.edit(env={"MODE": "shop", "SALT": "1"})
    w.upgrade("v1", env={"MODE": "sale"})
    assert w.release("v1").bundle.env == (("MODE", "sale"), ("SALT", "1"))


def test_a_rebuilt_image_under_the_same_name_is_a_release_of_its_own(w: World) -> None:
    w.upgraded("v1")
    w.engine.images.add("acme/shop:v1", image=runnable("another build"))
    assert w.upgrade("v1").changed
    assert len({r.digest for r in w.ledger.releases(SHOP)}) == 2


def test_a_changed_address_of_what_serves_already_is_taken_over(w: World) -> None:
    w.upgraded("v1")
    w.edit(listen=9000, keep_warm=3)
    moved = w.upgrade("v1", confirmed=True)
    assert not moved.changed
    assert moved_text(moved, tty(100)) == [
        "✓ shop v1 is already live. Applied from config/shop.toml:",
        "  address: ~ listen 127.0.0.1:8000 → 127.0.0.1:9000", "  policy: ~ keep_warm 1 → 3"]
    assert [line["after"] for line in as_json(moved)["taken_over"]] == ["127.0.0.1:9000", "3"]
    app = w.ledger.find_app(SHOP)
    assert app is not None
    assert (app.address, app.policy.keep_warm, app.revision) == ("127.0.0.1:9000", 3, 1)


def test_an_address_that_haproxy_refuses_is_not_kept_where_it_would_block_every_change(
    w: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    w.upgraded("v1")
    before = w.ledger.find_app(SHOP)
    w.edit(listen=9000, keep_warm=3)

    def refuse() -> None:
        raise ProxyUnavailable("cannot bind")

    with monkeypatch.context() as patched:
        patched.setattr(w.traffic, "sync", refuse)
        with pytest.raises(ProxyUnavailable, match="cannot bind"):
            w.upgrade("v1", confirmed=True)
    assert w.ledger.find_app(SHOP) == before


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_address_of_another_machine_is_refused_before_anything_is_done(w: World, version: str) -> None:
    w.upgraded("v1")
    w.guard.elsewhere.add("192.0.2.1")
    w.edit(listen="192.0.2.1:9000")
    before = w.everything()
    with pytest.raises(DeployctlError, match="no interface of this server has the address") as refused:
        w.upgrade(version, confirmed=True)
    assert refused.value.code == "address_elsewhere"
    assert w.everything() == before


def test_a_failed_upgrade_leaves_address_and_policy_as_they_were(w: World) -> None:
    w.upgraded("v1")
    before = w.ledger.find_app(SHOP)
    w.edit(listen=9000, keep_warm=3)
    w.sick["v2"] = 503
    with pytest.raises(NotHealthy):
        w.upgrade("v2", confirmed=True)
    assert w.ledger.find_app(SHOP) == before


def test_a_version_on_hold_is_refused_and_another_build_of_it_is_not(w: World) -> None:
    w.upgraded("v1", "v2").rollback()
    before = w.everything()
    with pytest.raises(OnHold, match="v2 is on hold") as refused:
        w.upgrade("v2")
    assert refused.value.remedy[0] == "deployctl unhold shop v2"
    with pytest.raises(OnHold):
        w.upgrade("v2", env={"MODE": "other"})
    assert w.everything() == before
    w.engine.images.add("acme/shop:v2", image=runnable("a better build"))
    assert w.upgrade("v2").target == "v2"


def test_a_hold_does_not_keep_other_versions_away(w: World) -> None:
    w.upgraded("v1", "v2").rollback()
    assert w.upgrade("v3").target == "v3"


@pytest.mark.parametrize("expected", [0, 2, 99])
def test_a_stale_revision_is_refused_and_nothing_is_done(w: World, expected: int) -> None:
    w.upgraded("v1")
    before = w.everything()
    verbs: list[Callable[[], object]] = [
        lambda: w.upgrade("v2", if_revision=expected), lambda: w.rollback(if_revision=expected),
        lambda: w.undo(if_revision=expected)]
    for verb in verbs:
        with pytest.raises(StateChanged, match=f"to v1 .revision 1, you expected {expected}") as refused:
            verb()
        assert refused.value.exit_code == 5
    assert w.everything() == before


def test_the_revision_that_was_seen_is_accepted(w: World) -> None:
    w.upgraded("v1")
    assert w.upgrade("v2", if_revision=1).revision == 2


def test_an_image_that_is_not_here_is_pulled_and_its_source_remembered(w: World) -> None:
    plain = runnable("from afar")
    pulled = Image(plain.digest, "amd64", "linux", 10, repo_digests=("acme/shop@sha256:" + "d" * 64,), command=("a",))
    w.engine.images.publish("acme/shop:v77", pulled)
    assert w.upgrade("v77").target == "v77"
    assert w.release("v77").bundle.repo_digest == "acme/shop@sha256:" + "d" * 64


def in_containerds_store(w: World, reference: str) -> Image:
    """Return an image as containerd's store reports one: a repository digest for each tag, whether or not a registry
    has it."""
    plain = runnable("from containerd")
    names = ("acme/shop", "deployctl/shop")
    image = replace(plain, repo_digests=tuple(f"{name}@{plain.digest}" for name in names))
    w.engine.images.publish(reference, image)
    return image


def test_what_was_pulled_is_still_known_to_be_pullable_when_it_is_found_here(w: World) -> None:
    image = in_containerds_store(w, "acme/shop:v77")
    w.upgrade("v77")
    w.edit(env={"A": "1"})
    w.upgrade("v77")
    assert {r.bundle.repo_digest for r in w.ledger.releases(SHOP)} == {f"acme/shop@{image.digest}"}


def test_an_image_of_this_server_alone_has_no_source_whatever_containerds_store_says(w: World) -> None:
    w.engine.images.add("acme/shop:v77", image=in_containerds_store(w, "acme/shop:v78"))
    w.upgrade("v77")
    assert w.release("v77").bundle.repo_digest is None


def test_an_image_that_nobody_has_changes_nothing(w: World) -> None:
    w.upgraded("v1")
    before = w.everything()
    with pytest.raises(NotFound):
        w.upgrade("v99")
    w.engine.images.registry_away = "no answer"
    with pytest.raises(RegistryUnavailable) as away:
        w.upgrade("v99")
    assert away.value.exit_code == 7
    assert w.everything() == before
    assert away.value.serving is not None
    assert away.value.serving.version == "v1"


def test_an_image_for_another_machine_is_refused_before_anything_starts(w: World) -> None:
    w.engine.images.add("acme/shop:v50", image=Image("sha256:" + "5" * 64, "arm64", "linux", 1, command=("serve",)))
    with pytest.raises(DeployctlError, match="is for arm64, but this server is amd64"):
        w.upgrade("v50")
    assert w.engine.containers() == []


def test_an_image_without_a_command_is_refused_unless_the_file_has_one(w: World) -> None:
    w.engine.images.add("acme/shop:v50", image=Image("sha256:" + "5" * 64, "amd64", "linux", 1))
    with pytest.raises(Invalid, match="no command"):
        w.upgrade("v50")
    w.edit(command=["serve"])
    assert w.upgrade("v50").target == "v50"


def test_the_images_own_check_is_refused_when_the_image_has_none(w: World) -> None:
    w.edit(health={"kind": "docker"})
    with pytest.raises(Invalid, match="no HEALTHCHECK"):
        w.upgrade("v1")


@pytest.mark.parametrize("image", ["evil.example.com/x:1", "10.0.0.5:80/x"])
def test_an_image_of_a_foreign_registry_is_refused_before_it_is_asked(w: World, image: str) -> None:
    with pytest.raises(Invalid, match="does not allow"):
        upgrade(SHOP, V1, w.s, image=image)
    assert w.engine.calls == []


def test_another_image_can_be_named_for_one_upgrade(w: World) -> None:
    w.engine.images.add("other/shop:hotfix", image=runnable("hotfix"))
    upgrade(SHOP, V1, w.s, image="other/shop:hotfix")
    assert w.release("v1").bundle.image == "other/shop:hotfix"


def test_an_address_that_another_program_has_is_refused_before_anything_starts(w: World) -> None:
    w.guard.taken.add(("127.0.0.1", 8000))
    with pytest.raises(DeployctlError, match="taken by another program"):
        w.upgrade("v1")
    assert (w.engine.containers(), w.ledger.apps()) == ([], [])


def test_an_address_that_another_app_has_is_refused(w: World) -> None:
    w.upgraded("v1")
    blog = AppName("blog")
    w.add_file(blog, listen=8000)
    with pytest.raises(Invalid, match="is used by the app shop"):
        upgrade(blog, V1, w.s)


def test_two_apps_live_side_by_side_and_one_does_not_touch_the_other(w: World) -> None:
    w.upgraded("v1")
    blog = AppName("blog")
    w.add_file(blog)
    before = w.everything()["history"], w.ledger.instances(SHOP), w.containers()
    upgrade(blog, V1, w.s)
    upgrade(blog, V2, w.s)
    rollback(blog, w.s)
    assert (w.everything()["history"], w.ledger.instances(SHOP), w.containers()) == before
    assert w.traffic.routes() == {SHOP: 1, blog: 1}
    assert len({app.subnet for app in w.ledger.apps()}) == 2


def test_an_upgrade_without_an_engine_changes_nothing_and_tells_who_serves(w: World) -> None:
    w.upgraded("v1")
    w.engine.away = "it was stopped"
    with pytest.raises(EngineUnavailable) as away:
        w.upgrade("v2")
    assert away.value.serving is not None
    assert away.value.serving.version == "v1"
    assert w.serving == "v1"


def test_a_candidate_beside_becomes_active_without_booting_again(w: World) -> None:
    w.upgraded("v1")
    w.use(start, V2)
    before = w.ledger.find_instance(SHOP, InstanceId(2))
    moved = w.upgrade("v2")
    after = w.ledger.find_instance(SHOP, InstanceId(2))
    assert before is not None
    assert after is not None
    assert (before.container, after.beside) == (after.container, False)
    assert "start" not in [step.kind for step in moved.steps]


def test_a_dead_haproxy_is_started_and_the_upgrade_goes_on(w: World) -> None:
    w.upgraded("v1")
    w.traffic.die()
    assert w.upgrade("v2").target == "v2"


# -- rollback -----------------------------------------------------------------------------------------------------
def test_a_warm_rollback_asks_nothing_boots_nothing_and_holds_what_it_left(w: World) -> None:
    w.upgraded("v1", "v2")
    calls = len(w.engine.calls)
    moved = w.rollback(confirmed=False, note="cart totals wrong")
    assert (moved.kind, moved.source, moved.target, moved.held, moved.standby) == ("Rollback", "v2", "v1", ("v2",), "v2")
    assert w.engine.calls[calls:] == []
    assert (w.serving, w.active, w.held()) == ("v1", "v1", {"v2"})
    assert w.running() == {"v1", "v2"}
    held = w.release("v2").hold
    assert held is not None
    assert (held.reason, held.actor) == ("cart totals wrong", "mara (cli)")


def test_a_rollback_restores_the_bundle_byte_for_byte_even_when_file_and_container_are_gone(w: World) -> None:
    w.edit(env={"MODE": "shop", "SALT": 'é"\n'}, resources={"memory": "64m"}, command=["serve", "--fast"],
           health={"path": "/first"}, keep_stopped=0)
    w.upgrade("v1")
    first = spec_of(w, "v1").bundle
    w.edit(env={"OTHER": "1"}, resources={"memory": "128m"}, command=["run"], health={"path": "/other"})
    w.upgraded("v2", "v3")
    w.use(prune)
    assert "v1" not in w.containers()
    w.files.clear()
    assert w.rollback("v1").target == "v1"
    assert spec_of(w, "v1").bundle == first
    assert spec_of(w, "v1").bundle.canonical() == first.canonical()
    assert w.prober.asked[-1].probe.path == "/first"


def test_a_rollback_to_a_stopped_one_asks_first(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    before = w.everything()
    with pytest.raises(ConfirmationNeeded, match="v1 is not running: it needs to boot") as asks:
        w.rollback("v1", confirmed=False)
    assert "v3 stays live" in asks.value.question
    assert asks.value.serving is not None
    assert w.everything() == before
    assert w.rollback("v1").target == "v1"
    assert w.containers()["v1"] == "running"


def test_a_rollback_to_a_removed_one_makes_it_again_from_its_image(w: World) -> None:
    w.edit(keep_stopped=0)
    w.upgraded("v1", "v2", "v3")
    w.use(prune)
    with pytest.raises(ConfirmationNeeded, match="was removed and has to be created again"):
        w.rollback("v1", confirmed=False)
    assert w.rollback("v1").target == "v1"


def test_a_rollback_to_one_whose_image_is_gone_too_fails_before_any_change(w: World) -> None:
    w.edit(keep_stopped=0)
    w.upgraded("v1", "v2", "v3")
    w.use(prune)
    w.engine.images.drop(w.release("v1").digest)
    before = w.everything()
    with pytest.raises(NotFound, match="no longer on this server"):
        w.rollback("v1")
    assert w.everything() == before


def test_each_container_has_a_host_name_of_its_own(w: World) -> None:
    w.upgraded("v1", "v2")
    found = [w.engine.find_container(c.id) for c in w.engine.containers()]
    assert {c.hostname for c in found if c} == {"shop-r1", "shop-r2"}, "the app's name would lead to all of them at once"


def test_what_retires_is_not_started_again_by_the_engine(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    always = {c.labels["deployctl.version"]: w.engine.restarts_always(c.id) for c in w.engine.containers()}
    assert always == {"v1": False, "v2": True, "v3": True}


def test_a_rollback_with_the_engine_away_works_when_the_target_is_warm(w: World) -> None:
    w.upgraded("v1", "v2")
    w.engine.away = "it was stopped"
    moved = w.rollback(confirmed=False)
    assert (moved.target, w.serving, w.active) == ("v1", "v1", "v1")


def test_a_rollback_with_the_engine_away_is_refused_when_the_probe_runs_inside(w: World) -> None:
    w.edit(health={"kind": "exec", "command": ["check"]})
    w.upgraded("v1", "v2")
    w.engine.away = "it was stopped"
    with pytest.raises(EngineUnavailable) as away:
        w.rollback()
    assert away.value.exit_code == 7
    assert (w.serving, w.active) == ("v2", "v2")


def test_a_rollback_with_the_engine_away_is_refused_when_the_target_must_boot(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    w.engine.away = "it was stopped"
    with pytest.raises(EngineUnavailable, match="v1 is not running and would have to be started"):
        w.rollback("v1")
    assert w.serving == "v3"


def test_a_rollback_with_nothing_behind_says_so_and_is_no_success(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NothingToGoBackTo, match="no other version has been live yet") as nothing:
        w.rollback()
    assert nothing.value.exit_code == 3


def test_rollback_after_rollback_goes_back_and_never_forward(w: World) -> None:
    w.upgraded("v1", "v2", "v3")
    assert [w.rollback().target, w.rollback().target] == ["v2", "v1"]
    with pytest.raises(NothingToGoBackTo, match="v2, v3 are on hold"):
        w.rollback()
    assert w.serving == "v1"


def test_a_version_that_failed_its_upgrade_is_never_gone_back_to(w: World) -> None:
    w.upgraded("v1")
    w.sick["v2"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v2")
    w.upgrade("v3")
    assert w.rollback().target == "v1"


def test_after_an_upgrade_back_to_an_earlier_version_the_later_one_is_behind(w: World) -> None:
    w.upgraded("v1", "v2", "v1")
    assert w.rollback().target == "v2"
    with pytest.raises(NothingToGoBackTo):
        w.rollback()


def test_after_a_stop_of_the_active_one_a_rollback_brings_it_back(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V2)
    moved = w.rollback()
    assert (moved.source, moved.target, moved.held) == (None, "v2", ())


@pytest.mark.parametrize(("version", "error", "word"), [
    ("v9", NotFound, 'no version "v9"'), ("v3", NotFound, "never passed"), ("v2", OnHold, "on hold"),
])  # fmt: skip
def test_a_named_version_that_cannot_be_gone_back_to_says_why(
    w: World, version: str, error: type[DeployctlError], word: str
) -> None:
    w.upgraded("v1", "v2").rollback()
    w.sick["v3"] = 503
    with pytest.raises(DeployctlError):
        w.upgrade("v3")
    before = w.everything()
    with pytest.raises(error, match=word):
        w.rollback(version)
    assert w.everything() == before


def test_a_rollback_to_what_serves_does_nothing(w: World) -> None:
    w.upgraded("v1", "v2")
    before = w.everything()
    assert not w.rollback("v2").changed
    assert w.everything() == before


def test_an_unknown_app_is_told_with_the_nearest_name(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NotFound, match=r'no app "shp". Did you mean shop\?'):
        rollback(AppName("shp"), w.s)


def test_a_rollback_of_a_held_active_version_keeps_the_first_hold(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(hold, V2, note="by hand")
    moved = w.rollback(note="later")
    assert moved.held == ()
    held = w.release("v2").hold
    assert held is not None
    assert held.reason == "by hand"
    w.undo()
    assert w.release("v2").hold == held, "an undo restores what was, holds too"


def test_rollback_in_a_later_version_of_a_release_that_has_moved_is_by_the_newest_proven_bundle(w: World) -> None:
    w.upgraded("v1")
    w.upgrade("v1", env={"MODE": "sale"})
    w.upgrade("v2")
    w.rollback("v1")
    assert w.traffic.routes() == {SHOP: 2}


# -- undo ---------------------------------------------------------------------------------------------------------
def test_undo_reverses_the_last_change_and_its_hold_and_twice_is_back_again(w: World) -> None:
    w.upgraded("v1", "v2").rollback()
    assert (w.serving, w.held()) == ("v1", {"v2"})
    moved = w.undo()
    assert (moved.kind, moved.target, moved.released, w.held()) == ("Undo", "v2", ("v2",), set())
    moved = w.undo()
    assert (moved.target, moved.held, w.serving, w.held()) == ("v1", ("v2",), "v1", {"v2"})


def test_undo_of_an_upgrade_goes_back_without_a_hold(w: World) -> None:
    w.upgraded("v1", "v2")
    assert (w.undo().target, w.held()) == ("v1", set())
    assert w.undo().target == "v2"


def test_undo_of_the_first_version_has_nothing_to_go_to(w: World) -> None:
    w.upgraded("v1")
    with pytest.raises(NothingToGoBackTo):
        w.undo()
    assert w.serving == "v1"


def test_undo_of_a_stop_asks_and_starts_it_again(w: World) -> None:
    w.upgraded("v1")
    w.use(stop, V1)
    with pytest.raises(ConfirmationNeeded):
        w.undo(confirmed=False)
    assert w.undo().target == "v1"
    assert (w.serving, w.running()) == ("v1", {"v1"})


@pytest.mark.parametrize("clock_went", [-3600, 0, 3600], ids=["back", "not", "forth"])
def test_undo_does_not_go_to_a_version_that_was_put_on_hold_since(w: World, clock_went: float) -> None:
    w.upgraded("v1", "v2")
    w.clock.sleep(clock_went)
    w.use(hold, V1)
    with pytest.raises(OnHold):
        w.undo()
    w.use(unhold, V1)
    assert w.undo().target == "v1"


@pytest.mark.parametrize("clock_went", [-3600, 3600], ids=["back", "forth"])
def test_undo_goes_to_a_version_whose_hold_is_older_than_the_change(w: World, clock_went: float) -> None:
    w.upgraded("v1", "v2")
    w.use(hold, V1)
    w.clock.sleep(clock_went)
    w.upgraded("v3").rollback()
    assert (w.serving, w.held()) == ("v2", {"v1", "v3"})
    assert w.undo().target == "v3"


# -- who is allowed to -----------------------------------------------------------------------------------------------
def test_a_second_person_is_told_who_is_at_it_and_nothing_is_done(w: World, tmp_path: Path) -> None:
    w.upgraded("v1", "v2")
    taken = w.ledger.take_lease(SHOP, holder="ci (cli)", verb="upgrade", at=w.clock.utc())
    assert isinstance(taken, int)
    before = w.everything()
    verbs: list[Callable[[], object]] = [
        lambda: w.upgrade("v3"), w.rollback, w.undo, lambda: w.use(prune), lambda: w.use(stop, V1)]
    for verb in verbs:
        with pytest.raises(LeaseHeld, match=r"shop is busy: ci \(cli\) has been running upgrade since .* \(pid ") as busy:
            verb()
        assert "deployctl abort shop" in busy.value.remedy
        assert busy.value.serving is not None
        assert busy.value.serving.version == "v2"
    assert w.everything() == before


def test_who_may_wait_gets_its_turn(w: World) -> None:
    w.upgraded("v1")
    taken = w.ledger.take_lease(SHOP, holder="ci (cli)", verb="upgrade", at=w.clock.utc())
    assert isinstance(taken, int)
    w.clock.after(3, lambda: w.ledger.give_lease_back(SHOP, taken))
    with pytest.raises(LeaseHeld):
        w.upgrade("v2", lock_wait=1)
    assert w.upgrade("v2", lock_wait=60).target == "v2"


def test_every_verb_gives_the_lease_back_whatever_happens(w: World) -> None:
    w.upgraded("v1")
    verbs: list[Callable[[], object]] = [lambda: w.upgrade("v99"), w.rollback, w.undo]
    for verb in verbs:
        with pytest.raises(DeployctlError):
            verb()
        assert w.ledger.find_lease(SHOP) is None


# -- previews -------------------------------------------------------------------------------------------------------
def same_plan(w: World, preview: Any, act: Any) -> None:
    before = w.everything()
    shown = preview().plan
    assert w.everything() == before, "a dry run changes nothing"
    act()
    opened = w.ledger.deployments(SHOP)[0]
    rows = w.ledger.steps(opened.id)
    assert [(r["kind"], r["release"], r["sentence"]) for r in rows] == [
        (step.kind, step.release, step.sentence) for step in shown.steps]
    assert (opened.kind, opened.source, opened.target) == (shown.kind, shown.source, shown.target)
    assert w.told.plans[-1] == shown


def test_a_dry_run_shows_the_very_steps_that_are_walked(w: World) -> None:
    w.edit(watch="1s", keep_warm=1, keep_stopped=1)
    for version in (V1, V2, V3, V4):
        same_plan(w, lambda v=version: preview_upgrade(SHOP, v, w.s), lambda v=version: w.upgrade(v))
    w.edit(keep_warm=0, keep_stopped=0, watch="0s", listen=9000)
    same_plan(w, lambda: preview_upgrade(SHOP, Version("v5"), w.s), lambda: w.upgrade("v5", confirmed=True))
    same_plan(w, lambda: preview_rollback(SHOP, w.s), w.rollback)
    same_plan(w, lambda: preview_undo(SHOP, w.s), w.undo)
    same_plan(w, lambda: preview_rollback(SHOP, w.s, version=V1), lambda: w.rollback("v1"))


def test_a_dry_run_tells_what_goes_on_hold_what_is_lifted_and_what_is_not_rolled_back(w: World) -> None:
    w.upgraded("v1", "v2")
    shown = preview_rollback(SHOP, w.s)
    assert shown.restores[0] == "Would put v2 on hold."
    assert any("Not rolled back: databases" in line for line in shown.restores)
    w.rollback()
    assert preview_undo(SHOP, w.s).restores == ("Would release the hold of v2.",)


def test_a_dry_run_pulls_nothing_and_refuses_what_the_verb_refuses(w: World) -> None:
    with pytest.raises(NotFound):
        preview_upgrade(SHOP, Version("v77"), w.s)
    w.upgraded("v1", "v2").rollback()
    calls = list(w.engine.calls)
    with pytest.raises(OnHold):
        preview_upgrade(SHOP, V2, w.s)
    with pytest.raises(StateChanged):
        preview_undo(SHOP, w.s, options=ChangeOptions(if_revision=1))
    assert w.engine.calls == calls


def test_the_preview_of_a_first_upgrade_writes_no_app(w: World) -> None:
    shown = preview_upgrade(SHOP, V1, w.s)
    assert shown.plan.target == 1
    assert (w.ledger.apps(), w.ledger.releases(SHOP)) == ([], [])


# -- any sequence -----------------------------------------------------------------------------------------------------
VERBS = st.lists(st.one_of(
    st.tuples(st.just("upgrade"), st.sampled_from(["v1", "v2", "v3", "v4"])), st.just(("rollback", "")),
    st.just(("undo", "")), st.tuples(st.sampled_from(["hold", "unhold", "stop"]), st.sampled_from(["v1", "v2", "v3"])),
), max_size=12)  # fmt: skip


@given(VERBS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_ledger_and_haproxy_agree_and_a_rollback_is_never_a_surprise(
    tmp_path_factory: pytest.TempPathFactory, typed: list[tuple[str, str]]
) -> None:
    with world(tmp_path_factory.mktemp("home")) as w:
        for verb, version in typed:
            w.clock.sleep(1)
            before = (w.serving, w.held())
            try:
                type_it(w, verb, version)
            except (NotFound, OnHold):
                assert (w.serving, w.held()) == before
            require_sound(w)


def type_it(w: World, verb: str, version: str) -> None:
    if verb == "upgrade":
        w.upgrade(version)
    elif verb == "rollback":
        before, held = w.active, w.held()
        went = w.rollback().target
        assert went not in {before, *held}
        assert before is None or before in w.held()
    elif verb == "undo":
        before, held = w.active, w.held()
        w.undo()
        if before is not None:
            w.undo()
            assert (w.active, w.held()) == (before, held), "undo twice is back again"
            w.undo()
    else:
        w.use({"hold": hold, "unhold": unhold, "stop": stop}[verb], Version(version))


def require_sound(w: World) -> None:
    assert w.serving == w.active
    assert w.ledger.open_deployments() == []
    if w.active is not None:
        assert w.containers()[w.active] == "running"
    app = w.ledger.find_app(SHOP)
    if app is not None:
        assert len(w.running()) <= 1 + app.policy.keep_warm + (app.active is None)
        assert app.revision == len(w.ledger.changes(SHOP))


def test_going_back_is_the_same_state_as_before_going_forward(w: World) -> None:
    w.upgraded("v1")
    before = spec_of(w, "v1"), w.traffic.routes(), w.ledger.table(bridged=True).actives
    w.upgrade("v2")
    w.rollback()
    assert (spec_of(w, "v1"), w.traffic.routes(), w.ledger.table(bridged=True).actives) == before


def test_undo_needs_an_app(w: World) -> None:
    with pytest.raises(NotFound):
        undo(AppName("nobody"), w.s)
