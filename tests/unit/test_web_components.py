"""Pages and responses about an app of several components: each is there, and nothing that may be secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.domain.host.access import Role
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.ports.metrics import ContainerNow, Usage
from deployctl.watch.counters import Gauges
from deployctl.watch.volume_sizes import COUNT_INTERVAL, LOOK_INTERVAL, VolumeSizes
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP, World, world

MB = 2**20
API, WORKER = ComponentName("api"), ComponentName("worker")


def components(token: str) -> dict[str, Any]:
    return {
        "api": {"port": 9000, "command": ["api"], "env": {"API_TOKEN": token, "MODE": token[:4]}},
        "worker": {"command": ["work"], "needs": {"api": "healthy"}, "health": {"uptime": "1s"}},
    }


def count(sizes: VolumeSizes, w: World) -> int | None:
    sizes.tick(w.s)
    return sizes.of(SHOP).get("uploads")


def test_the_volumes_of_an_app_are_counted_while_somebody_watches_it_and_not_again_and_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.edit(mounts=["uploads:/uploads"], volumes={"uploads": {"shared": True}})
        w.upgraded("v1")
        [volume] = w.engine.volumes_here.here.values()
        watched: set[AppName] = set()
        sizes = VolumeSizes(lambda: watched)
        assert count(sizes, w) is None
        watched.add(SHOP)
        w.clock.sleep(LOOK_INTERVAL)
        volume.size = 5_000_000
        assert count(sizes, w) == 5_000_000
        volume.size = 6_000_000
        w.clock.sleep(LOOK_INTERVAL)
        assert count(sizes, w) == 5_000_000
        w.clock.sleep(COUNT_INTERVAL)
        assert count(sizes, w) == 6_000_000


def test_a_volume_is_shown_with_its_size_even_where_an_app_has_one_container(tmp_path: Path) -> None:
    with site(tmp_path) as made:
        made.w.edit(mounts=["uploads:/uploads"], volumes={"uploads": {"shared": True}})
        made.w.upgraded("v1")
        made.meter.sizes[SHOP] = {"uploads": 5_100_000_000}
        page = made.signed_in("mara").get("/apps/shop").text
    assert "5.1 GB" in page
    assert "Components of v1" not in page, "the drawing names no components where there is one"


def grow(w: World) -> None:
    """Give the shop three components, in two versions that differ in a secret of one of them."""
    w.edit(components=components("first-hunter2"))
    w.upgrade("v1", confirmed=True)
    w.edit(components=components("other-hunter2"))
    w.upgrade("v2", confirmed=True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        grow(made.w)
        yield made


@pytest.fixture
def mara(shop: Site) -> Browser:
    return shop.signed_in("mara")


def test_the_page_of_an_app_has_each_component_with_what_it_uses(shop: Site, mara: Browser) -> None:
    release = shop.w.release("v2").number
    shop.meter.used[SHOP] = {InstanceId(release, API): ContainerNow(12.0, 100 * MB, 512 * MB, 0)}
    page = mara.get("/apps/shop/live").text
    for text in ("Components", "takes no requests", "12 %", "100 / 512 MB", "Components of v1"):
        assert text in page


def test_a_failing_component_is_marked_where_its_version_is_drawn(shop: Site, mara: Browser) -> None:
    api = next(one.container for one in shop.w.ledger.instances(SHOP)
               if one.id == InstanceId(shop.w.release("v2").number, API))
    assert api is not None
    shop.w.engine.ensure_stopped(api, grace=1.0)
    page = mara.get("/apps/shop/live").text
    assert '<li class="bad">' in page


def test_an_app_of_one_container_has_no_table_of_components(tmp_path: Path) -> None:
    with site(tmp_path, "v1") as made:
        assert "Components" not in made.signed_in("mara").get("/apps/shop").text


def test_the_page_of_a_version_has_the_spec_of_each_component(mara: Browser) -> None:
    page = mara.get("/apps/shop/versions/v2").text
    for text in ("Release spec of web", "spec-api", "spec-worker", "api healthy", "it runs for 1 s"):
        assert text in page


@pytest.mark.parametrize("path", [
    "/apps/shop", "/apps/shop/versions/v2", "/apps/shop/compare?a=v1&b=v2", "/api/v1/apps/shop/diff?from=v1&to=v2",
    "/api/v1/apps/shop/versions/v2"])
def test_nowhere_is_a_secret_of_any_component_shown_to_who_only_deploys(shop: Site, path: str) -> None:
    answer = shop.signed_in("jonas", Role.DEPLOYER, "shop").get(path)
    assert answer.status_code == 200
    assert "hunter2" not in answer.text


def test_two_versions_are_compared_in_every_component(mara: Browser) -> None:
    page = mara.get("/apps/shop/compare?a=v1&b=v2").text
    assert "api variables" in page
    assert "MODE" in page


def test_each_container_of_a_release_is_measured_and_the_release_as_their_sum(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        grow(w)
        gauges, release = Gauges(lambda: True, lambda: None), w.release("v2").number
        for c in w.engine.containers():
            w.engine.usages[c.id] = Usage(1.0, 10 * MB, 100 * MB)
        gauges.tick(w.s)
        found = gauges.containers(SHOP, 0.0)
        assert {one.component for one in found if one.release == release} == {"web", "api", "worker"}
        assert {one.component for one in found if one.release != release} == {"web", "api"}, "the standby's worker rests"
