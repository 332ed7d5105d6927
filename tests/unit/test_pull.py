"""A tag that was pushed again arrives, by every verb that runs an image; and nobody is asked who must not be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.config.settings import Settings
from deployctl.domain.images.image_source import ImageCode, ImageNews, PullPolicy
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import EngineUnavailable, NotFound, RegistryUnavailable
from deployctl.usecases.change.rollback import preview_rollback
from deployctl.usecases.change.start import preview_start, start
from deployctl.usecases.change.stop import preview_stop, stop
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.setup.init import InitOptions, init
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.show import show
from deployctl.usecases.view.status import status
from tests.unit.world import SHOP, V1, V2, World, runnable, world

NAME = "registry.example.com/acme/shop"
MAIN, REF = Version("main"), f"{NAME}:main"
AWAY = "registry.example.com does not answer"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(image=NAME)
        yield made


def publish(w: World, build: str) -> str:
    return w.engine.images.publish(REF, runnable(build))


def serving(w: World) -> str:
    """Return the image that visitors get."""
    number = w.traffic.routes()[SHOP]
    release = w.ledger.find_release(SHOP, number)
    assert release is not None
    return release.digest


def test_a_tag_that_was_pushed_again_arrives_as_a_release_of_the_version(w: World) -> None:
    first = publish(w, "A")
    assert w.upgrade("main").image is None
    again = publish(w, "B")
    moved = w.upgrade("main")
    assert moved.image == ImageNews(ImageCode.TAG_MOVED, REF, first, again)
    assert (serving(w), moved.changed) == (runnable("B").digest, True)
    assert [r.bundle.repo_digest for r in w.ledger.releases(SHOP)] == [f"{NAME}@{again}", f"{NAME}@{first}"]
    w.rollback()
    assert serving(w) == runnable("A").digest


def test_a_tag_that_stands_still_changes_nothing_and_is_not_pulled(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    calls, asked = list(w.engine.calls), len(w.engine.images.asked)
    moved = w.upgrade("main")
    assert (moved.changed, moved.image) == (False, None)
    assert (w.engine.calls, len(w.engine.images.asked)) == (calls, asked + 1)


def test_the_dry_run_tells_that_a_tag_has_moved_and_only_asks(w: World) -> None:
    first = publish(w, "A")
    w.upgrade("main")
    again, before, calls = publish(w, "B"), w.everything(), list(w.engine.calls)
    shown = preview_upgrade(SHOP, MAIN, w.s)
    assert shown.image == ImageNews(ImageCode.TAG_MOVED, REF, first, again)
    assert shown.plan.steps[0].kind == "image"
    assert (w.everything(), w.engine.calls) == (before, calls)
    assert w.engine.images.find(runnable("B").digest) is None


def test_the_dry_run_of_what_was_never_pulled_asks_the_registry_for_it(w: World) -> None:
    digest = publish(w, "A")
    shown = preview_upgrade(SHOP, MAIN, w.s)
    assert shown.image == ImageNews(ImageCode.TO_PULL, REF, after=digest)
    assert (shown.plan.steps[0].kind, w.engine.calls) == ("image", [])
    with pytest.raises(NotFound):
        preview_upgrade(SHOP, V2, w.s)


def test_a_dry_run_knows_a_moved_tag_whose_image_is_here_by_its_digest(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    again = publish(w, "B")
    w.engine.images.pull(f"{NAME}@{again}")
    first = preview_upgrade(SHOP, MAIN, w.s).plan.steps[0]
    assert first.sentence == f"keep image {runnable('B').digest[7:19]} of main"


def test_a_registry_that_is_away_is_no_obstacle_and_is_told(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    w.engine.images.registry_away = AWAY
    moved = w.upgrade("main")
    assert not moved.changed
    assert moved.image == ImageNews(ImageCode.UNVERIFIED, REF, why=AWAY)


def test_always_does_nothing_without_the_registry(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    w.engine.images.registry_away = AWAY
    before = w.everything()
    for verb in (upgrade, start, preview_upgrade, preview_start):
        with pytest.raises(RegistryUnavailable) as away:
            verb(SHOP, MAIN, w.s, pull=PullPolicy.ALWAYS)
        assert away.value.exit_code == 7
    assert w.everything() == before


@pytest.mark.parametrize("policy", [PullPolicy.MISSING, PullPolicy.NEVER])
def test_missing_and_never_believe_what_is_here(w: World, policy: PullPolicy) -> None:
    publish(w, "A")
    w.upgrade("main")
    publish(w, "B")
    w.engine.images.asked.clear()
    assert not upgrade(SHOP, MAIN, w.s, pull=policy).changed
    assert w.engine.images.asked == []


def test_never_pulls_nothing(w: World) -> None:
    publish(w, "A")
    with pytest.raises(NotFound, match="pull is never"):
        upgrade(SHOP, MAIN, w.s, pull=PullPolicy.NEVER)
    assert w.engine.images.asked == w.engine.calls == []


def test_the_file_decides_and_the_word_of_a_person_goes_before(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    publish(w, "B")
    w.edit(pull="missing")
    assert not w.upgrade("main").changed
    assert upgrade(SHOP, MAIN, w.s, pull=PullPolicy.NEWER).changed


@pytest.mark.parametrize("policy", list(PullPolicy))
def test_a_bare_name_that_is_only_here_is_never_asked_anywhere(w: World, policy: PullPolicy) -> None:
    w.edit(image="acme/shop")
    moved = upgrade(SHOP, V1, w.s, pull=policy)
    assert moved.changed
    assert w.engine.images.asked == []
    assert (moved.image.code if moved.image else None) == (ImageCode.ONLY_HERE if policy is PullPolicy.ALWAYS else None)


def test_a_bare_name_whose_image_was_pulled_is_asked(w: World) -> None:
    w.edit(image="acme/shop")
    w.engine.images.publish("acme/shop:main", runnable("A"))
    w.upgrade("main")
    w.engine.images.publish("acme/shop:main", runnable("B"))
    assert w.upgrade("main").image is not None
    assert w.engine.images.asked == ["acme/shop:main"]


def test_an_image_that_was_loaded_and_is_the_registrys_own_has_not_moved(w: World) -> None:
    w.engine.images.add(REF, image=runnable("A"))
    publish(w, "A")
    moved = w.upgrade("main")
    assert (moved.image, serving(w)) == (None, runnable("A").digest)


def test_a_reference_with_a_digest_is_not_asked_about(w: World) -> None:
    digest = publish(w, "A")
    for _ in range(2):
        upgrade(SHOP, V1, w.s, image=f"{NAME}@{digest}")
    assert w.engine.images.asked == []


def test_a_start_takes_what_the_tag_means_now(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    w.upgrade("main", env={"MODE": "sale"})
    again = publish(w, "B")
    shown = preview_start(SHOP, MAIN, w.s)
    done = start(SHOP, MAIN, w.s)
    assert done.image == shown.image
    assert done.image is not None
    assert (done.image.code, done.image.after) == (ImageCode.TAG_MOVED, again)
    assert w.release("main").digest == runnable("B").digest
    assert serving(w) == runnable("A").digest


def test_a_start_of_what_ran_before_needs_neither_file_nor_registry(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    w.engine.images.registry_away = AWAY
    del w.files[SHOP]
    done = start(SHOP, MAIN, w.s)
    assert (done.changed, done.image) == (False, ImageNews(ImageCode.UNVERIFIED, REF, why=AWAY))


def test_a_start_with_an_image_runs_that_image(w: World) -> None:
    w.edit(image="acme/shop")
    w.upgraded("v1", "v2")
    w.engine.images.add("acme/shop:hotfix", image=runnable("hotfix"))
    start(SHOP, V1, w.s, image="acme/shop:hotfix")
    assert w.release("v1").digest == runnable("hotfix").digest


def test_the_dry_run_of_a_moved_tag_keeps_the_command_beside_an_entrypoint(w: World) -> None:
    publish(w, "A")
    w.edit(entrypoint=["/wrap"])
    w.upgrade("main")
    publish(w, "B")
    assert [line.name for line in preview_upgrade(SHOP, MAIN, w.s).changes if line.group == "command"] == []


def test_init_tells_that_the_tag_means_another_image_than_the_one_it_read(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    again = publish(w, "B")

    def written(image: str) -> ImageNews | None:
        options = InitOptions(image, force=True)
        return init(AppName("blog"), options, Settings(w.home), engine=w.engine, guard=w.guard, taken=frozenset()).image

    news = written(REF)
    assert news is not None
    assert (news.code, news.after) == (ImageCode.TAG_MOVED, again)
    w.engine.images.asked.clear()
    assert written("acme/shop:v1") is None
    assert w.engine.images.asked == []


def test_verbs_that_only_read_never_ask(w: World) -> None:
    publish(w, "A")
    w.upgrade("main")
    publish(w, "B")
    w.engine.images.asked.clear()
    status(w.s)
    show(SHOP, MAIN, w.s)
    diff(SHOP, MAIN, None, w.s)
    preview_rollback(SHOP, w.s, version=MAIN)
    assert w.engine.images.asked == []


# -- a dry run says what the verb says -----------------------------------------------------------------------------------
def test_the_dry_run_of_what_is_so_already_plans_nothing(w: World) -> None:
    w.edit(image="acme/shop")
    w.upgraded("v1")
    w.use(start, V2)
    for shown in (preview_upgrade(SHOP, V1, w.s), preview_rollback(SHOP, w.s, version=V1), preview_start(SHOP, V2, w.s)):
        assert shown.plan.steps == ()
    assert preview_upgrade(SHOP, V1, w.s).plan.summary == "shop v1 is already live"
    w.use(stop, V2)
    assert preview_stop(SHOP, V2, w.s).plan.steps == ()


def test_the_dry_run_of_what_serves_plans_a_changed_address(w: World) -> None:
    w.edit(image="acme/shop")
    w.upgraded("v1")
    w.edit(listen=9000)
    assert [step.kind for step in preview_upgrade(SHOP, V1, w.s).plan.steps] == ["route"]


def test_the_dry_run_of_a_rollback_that_needs_the_engine_says_that_it_is_away(w: World) -> None:
    w.edit(image="acme/shop")
    w.upgraded("v1", "v2", "v3")
    w.engine.away = "connection refused"
    with pytest.raises(EngineUnavailable):
        preview_rollback(SHOP, w.s, version=V1, options=ChangeOptions())
