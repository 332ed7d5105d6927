"""Volumes: which a file may ask for, who fills them, and that nothing removes them but a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.dataclass import replace
from deployctl.domain.change.drift_kinds import DriftKind
from deployctl.domain.host.server import Allowance, ServerSpec
from deployctl.domain.images.component import Component, ComponentKind
from deployctl.domain.images.mounts import (
    Mount,
    MountKind,
    image_volume_name,
    may_meet_itself,
    volumes_of,
    with_image_volumes,
)
from deployctl.domain.images.release import Bundle
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.errors import ConfirmationNeeded, EngineRefused, Invalid, NotFound, NotPermitted
from deployctl.ports import VolumeFacts
from deployctl.testing.fake_volumes import FakeVolume
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import reconcile
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.view.diff import diff
from tests.unit.world import SHOP, V1, V2, YES, World, runnable, world

SHARED: dict[str, Any] = {"mounts": ["uploads:/app/uploads"], "volumes": {"uploads": {"shared": True}}}


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def spec(**keys: Any) -> AppFile:
    table = {"image": "acme/shop", "port": 80, "listen": 80, **keys}
    return parse_app_spec(table, where="config/shop.toml").judged(ServerSpec())


def volumes(w: World) -> dict[str, str | None]:
    """Return which image each volume of the shop was filled from."""
    return {name: one.filled_from for name, one in w.engine.volumes_here.here.items()}


def name_of(w: World, volume: str = "uploads") -> str:
    return f"shop--{volume}--{w.ledger.identity.id[:6]}"


# -- what a file may say ------------------------------------------------------------------------------------------------
def test_a_mount_is_written_as_in_compose() -> None:
    said = spec(mounts=["uploads:/app/uploads:ro", "cache:/cache:rw,nocopy", "old:/old:ro"],
                volumes={"cache": {"shared": True, "driver": "local"}, "old": {"external": "shop_data"}})
    assert said.template.mounts == (
        Mount(MountKind.VOLUME, "uploads", "/app/uploads", read_only=True),
        Mount(MountKind.VOLUME, "cache", "/cache", no_copy=True, driver="local"),
        Mount(MountKind.EXTERNAL, "shop_data", "/old", read_only=True))
    assert [str(one) for one in said.template.mounts] == [
        "uploads:/app/uploads:ro", "cache:/cache:nocopy", "shop_data:/old:ro"]
    assert AppFile.from_json(said.to_json()) == said


@pytest.mark.parametrize("mount", [
    "/data", "uploads", "a:b", "./here:/app", "~/x:/app", "a:/app:z", "a:/app:ro,rw", "a:/app:cached", "a:/", "a:/proc/sys",
    "a:/sys", "a:/x/../y", "a--b:/app", "a.b:/app", ":/app", "a:/app:ro:rw", "a\nb:/app", 5, None, ["a:/b"]])
def test_what_is_no_mount_is_refused(mount: object) -> None:
    with pytest.raises(Invalid, match="mounts"):
        spec(mounts=[mount], volumes={})


@pytest.mark.parametrize(("keys", "why"), [
    ({"mounts": "a:/b"}, "is not a list"),
    ({"mounts": ["a:/x:ro", "b:/x:ro"]}, "target of two mounts"),
    ({"volumes": {"uploads": {}}}, "mounted by no component"),
    ({"mounts": ["a:/x:ro"], "volumes": {"a": {"size": "1g"}}}, "not a known key"),
    ({"mounts": ["a:/x:ro"], "volumes": {"a": {"external": "b", "driver": "local"}}}, "exists already"),
    ({"mounts": ["a:/x:ro"], "volumes": {"a": {"external": "b/../c"}}}, "is not a Docker volume"),
])
def test_what_contradicts_itself_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid) as refusal:
        spec(**keys)
    assert why in "\n".join([refusal.value.message, *refusal.value.details])


def test_what_two_versions_would_write_to_has_to_be_shared() -> None:
    with pytest.raises(Invalid) as refusal:
        spec(mounts=["uploads:/app/uploads"])
    assert "shared = true" in refusal.value.message
    assert 'kind = "exclusive"' in refusal.value.message
    worker = {"command": ["work"], "mounts": ["queue:/queue"]}
    with pytest.raises(Invalid, match=r"components\.worker\.mounts"):
        spec(components={"worker": worker})
    assert spec(components={"worker": {**worker, "overlap": False}}).templates[1].bundle.mounts
    assert spec(mounts=["uploads:/app/uploads:ro"]).template.mounts
    assert spec(**SHARED).template.mounts


def test_what_two_components_write_to_has_to_be_shared_whatever_their_kind() -> None:
    clock = {"kind": "exclusive", "command": ["tick"]}
    alone: dict[str, Any] = {"kind": "exclusive", "mounts": ["data:/data"]}
    with pytest.raises(Invalid, match=r'components\.clock\.mounts has the volume "data", which web writes to, too'):
        spec(**alone, components={"clock": clock})
    assert spec(**alone, components={"clock": clock}, volumes={"data": {"shared": True}}).template.mounts
    assert spec(**alone, components={"clock": {**clock, "mounts": ["data:/data:ro"]}}).template.mounts
    assert spec(**alone, components={"fill": {"kind": "job", "command": ["fill"]}}).template.mounts  # runs while web does not


@pytest.mark.parametrize(("kind", "worker", "overlap", "meets"), [
    ("side-by-side", False, True, True), ("side-by-side", True, True, True), ("side-by-side", True, False, False),
    ("exclusive", False, True, False), ("backing", False, True, False), ("job", True, True, False)])
def test_which_kinds_never_run_twice(kind: str, worker: bool, overlap: bool, meets: bool) -> None:
    assert may_meet_itself(kind, worker=worker, overlap=overlap) is meets


def test_a_component_of_the_same_image_has_the_same_mounts_unless_it_says_otherwise() -> None:
    said = spec(**SHARED, components={"api": {"port": 81}, "other": {"port": 82, "image": "acme/other"},
                                      "none": {"port": 83, "mounts": []}})
    assert [len(one.bundle.mounts) for one in said.templates] == [1, 1, 0, 0]


def test_a_spec_without_mounts_keeps_its_text() -> None:
    plain = spec().template
    assert "mounts" not in plain.canonical()
    assert Bundle.from_canonical(plain.canonical()) == plain
    assert spec(**SHARED).template.hash() != plain.hash()


# -- who owns what ----------------------------------------------------------------------------------------------------------
def component(name: str, *mounts: Mount, kind: str = "side-by-side") -> Component:
    made = Component(Bundle("acme/shop:v1", f"sha256:{name}", 80, mounts=mounts), ComponentName(name))
    return replace(made, kind=ComponentKind(kind)) if kind in {*ComponentKind} else _of_kind(made, kind)


def _of_kind(made: Component, kind: str) -> Component:
    object.__setattr__(made, "kind", kind)  # one that this build has no word for yet
    return made


def test_a_volume_is_filled_by_the_first_who_writes_to_it() -> None:
    reads, writes = (Mount(MountKind.VOLUME, "static", f"/{word}", read_only=word == "r") for word in "rw")
    (found,) = volumes_of([component("nginx", reads), component("web", writes), component("more", writes)])
    assert (found.name, found.owner and found.owner.name, found.target) == ("static", "web", "/w")
    (found,) = volumes_of([component("nginx", reads)])
    assert found.owner is not None
    (found,) = volumes_of([component("web", replace(writes, no_copy=True))])
    assert found.owner is None


def test_an_images_own_volumes_are_named_where_one_version_runs_at_a_time() -> None:
    data = Mount(MountKind.VOLUME, "pg", "/var/lib/postgresql/data")
    assert with_image_volumes(component("web"), ["/data"]) == ()
    assert with_image_volumes(component("db", kind="backing"), ["/data", "/var/log"]) == (
        Mount(MountKind.VOLUME, "db.data", "/data"), Mount(MountKind.VOLUME, "db.var-log", "/var/log"))
    assert with_image_volumes(component("db", data, kind="exclusive"), [data.target]) == (data,)


def test_no_two_paths_have_one_volume() -> None:
    paths = ["/a/b", "/a-b", "/a.b", "/a/b/", "/A/b", "/a b"]
    assert len({image_volume_name("db", path) for path in paths}) == len(paths)


# -- an app's volumes -------------------------------------------------------------------------------------------------------
def test_a_volume_is_made_once_and_filled_by_the_first_version(w: World) -> None:
    w.edit(**SHARED)
    w.upgraded("v1")
    first = w.release("v1").digest
    assert volumes(w) == {name_of(w): first}
    labels = w.engine.volumes()[0].labels
    assert (labels["deployctl.app"], labels["deployctl.volume"], labels["deployctl.managed"]) == (SHOP, "uploads", "1")
    w.upgraded("v2")
    w.rollback()
    assert volumes(w) == {name_of(w): first}
    kinds = [str(step.kind) for step in w.told.plans[0].steps]
    assert kinds.index("network") + 1 == kinds.index("volume") == kinds.index("create") - 1
    made = next(c.spec for c in w.engine._containers.values() if c.spec)
    assert [(m.source, m.target, m.read_only) for m in made.mounts] == [(name_of(w), "/app/uploads", False)]


def test_the_owner_fills_it_whoever_starts_first(w: World) -> None:
    w.add_file(AppName("tool"))
    w.edit(needs={"tool": "started"}, mounts=["static:/w"], volumes={"static": {"shared": True}},
           components={"tool": {"image": "acme/tool:v1", "port": 81, "mounts": ["static:/r:ro"]}})
    w.upgraded("v1")
    assert w.told.plans[0].steps[0].component == "tool", "it is created first"
    assert volumes(w) == {name_of(w, "static"): w.release("v1").digest}


def test_one_that_a_killed_process_left_unfilled_is_filled_by_its_owner(w: World) -> None:
    w.edit(**SHARED)
    w.engine.fail_next("fill", EngineRefused("no space left on device"))
    with pytest.raises(EngineRefused):
        w.upgrade("v1")
    assert volumes(w) == {name_of(w): None}
    w.upgrade("v1")
    assert volumes(w) == {name_of(w): w.release("v1").digest}


def test_a_foreign_volume_of_that_name_is_left_alone(w: World) -> None:
    w.edit(**SHARED)
    w.engine.volumes_here.here[name_of(w)] = FakeVolume(VolumeFacts(name_of(w), {}))
    with pytest.raises(EngineRefused, match="is not ours"):
        w.upgrade("v1")


def test_an_external_volume_has_to_exist_and_to_be_nobodys_of_ours(w: World) -> None:
    w.edit(mounts=["old:/old:ro"], volumes={"old": {"external": "legacy"}})
    with pytest.raises(NotFound) as refusal:
        w.upgrade("v1")
    assert refusal.value.code == "volume_missing"
    assert "legacy" not in volumes(w)
    w.engine.volumes_here.here["legacy"] = FakeVolume(VolumeFacts("legacy", {"deployctl.managed": "1"}))
    with pytest.raises(NotPermitted):
        w.upgrade("v1")
    w.engine.volumes_here.here["legacy"] = FakeVolume(VolumeFacts("legacy", {}))
    w.upgrade("v1")
    remove_app(SHOP, w.s, volumes=True, options=YES)
    assert "legacy" in volumes(w)


def test_a_volume_that_stands_for_a_path_of_the_server_is_that_path(w: World, tmp_path: Path) -> None:
    w.edit(mounts=["old:/old:ro"], volumes={"old": {"external": "legacy"}})
    place = tmp_path / "legacy"
    place.mkdir()
    w.engine.volumes_here.here["legacy"] = FakeVolume(VolumeFacts("legacy", {}, device=str(place)))
    with pytest.raises(NotPermitted, match="does not list it"):
        w.upgrade("v1")
    assert w.ledger.releases(SHOP) == [], "it is refused before anything is recorded"
    w.spec = ServerSpec(allow=((SHOP, Allowance(binds=(str(place),))),))
    assert w.upgrade("v1").changed


def test_what_runs_one_version_at_a_time_needs_no_word_and_has_its_images_volumes_named(w: World) -> None:
    image = replace(runnable("acme/db:v1"), volumes=("/var/lib/db", "/log"))
    w.engine.images.add("acme/db:v1", image=image)
    w.edit(components={"db": {"kind": "exclusive", "image": "acme/db:v1", "port": 5432, "mounts": ["data:/var/lib/db"]}})
    w.upgraded("v1", "v2")
    assert volumes(w) == {name_of(w, "data"): image.digest, name_of(w, "db.log"): image.digest}
    for release in w.ledger.releases(SHOP):
        assert [str(one) for one in release.components[1].bundle.mounts] == ["data:/var/lib/db", "db.log:/log"]


def test_the_plan_and_the_differences_tell_the_mounts(w: World) -> None:
    w.upgraded("v1")
    w.edit(**SHARED)
    preview = preview_upgrade(SHOP, V2, w.s)
    assert [(line.group, line.sign, line.name, line.after) for line in preview.changes if line.group == "mounts"] == [
        ("mounts", "+", "/app/uploads", "uploads:/app/uploads")]
    assert any(step.sentence == "volume uploads" for step in preview.plan.steps)
    assert volumes(w) == {}, "a dry run makes nothing"
    w.upgraded("v2")
    assert [line.name for line in diff(SHOP, V1, V2, w.s).lines if line.group == "mounts"] == ["/app/uploads"]


# -- what is lost, and what goes ------------------------------------------------------------------------------------------
def lose_everything(w: World) -> None:
    for one in w.engine.containers():
        w.engine.lose(one.id)
    w.engine.volumes_here.here.clear()


def test_a_volume_that_had_data_is_not_replaced_by_an_empty_one_unasked(w: World) -> None:
    w.edit(**SHARED)
    w.upgraded("v1", "v2")
    lose_everything(w)
    left = reconcile(w.s, options=YES).left
    assert [line.summary for line in left if line.kind is DriftKind.VOLUME] == [
        "shop: its volume uploads is gone, and the data in it: an upgrade begins with an empty one"]
    assert any("the volume uploads of shop is gone" in line.why for line in left)
    with pytest.raises(NotFound) as refusal:
        w.rollback("v1")
    assert refusal.value.code == "volume_missing"
    assert volumes(w) == {}
    w.upgrade("v2")
    assert [*volumes(w)] == [name_of(w)]
    assert any("an empty one was created" in text for text in w.told.warnings)
    assert w.rollback("v1").target == "v1"


def test_pruning_never_removes_a_volume(w: World) -> None:
    w.edit(**SHARED, keep_warm=0, keep_stopped=0)
    w.upgraded("v1", "v2", "v3")
    w.use(prune)
    assert [*volumes(w)] == [name_of(w)]


def test_removing_an_app_keeps_its_data_and_tells_so(w: World) -> None:
    w.edit(**SHARED)
    w.upgraded("v1")
    with pytest.raises(ConfirmationNeeded, match="uploads is kept"):
        w.use(remove_app, confirmed=False)
    done = w.use(remove_app)
    assert any("uploads is kept" in line for line in done.details)
    assert [*volumes(w)] == [name_of(w)]
    w.upgraded("v2")
    assert volumes(w)[name_of(w)] != w.release("v2").digest, "it is the same data again"


def test_data_goes_only_when_that_is_said_and_the_name_is_typed(w: World) -> None:
    w.edit(**SHARED)
    w.upgraded("v1")
    with pytest.raises(ConfirmationNeeded, match="deleted for good") as asks:
        remove_app(SHOP, w.s, volumes=True)
    assert asks.value.type_name == SHOP
    assert [*volumes(w)] == [name_of(w)]
    remove_app(SHOP, w.s, volumes=True, options=YES)
    assert volumes(w) == {}


def test_the_data_of_an_app_that_is_gone_can_go_later(w: World) -> None:
    w.edit(**SHARED)
    w.upgraded("v1")
    w.use(remove_app)
    with pytest.raises(NotFound):
        w.use(remove_app)
    with pytest.raises(ConfirmationNeeded) as asks:
        remove_app(SHOP, w.s, volumes=True)
    assert asks.value.type_name == SHOP
    remove_app(SHOP, w.s, volumes=True, options=YES)
    assert volumes(w) == {}
    with pytest.raises(NotFound):
        remove_app(SHOP, w.s, volumes=True, options=YES)
