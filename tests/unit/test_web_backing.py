"""A backing component in the API, among the metrics and in the list of apps: it belongs to its app, and so do its rights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from deployctl.domain.host.access import ALL, Role, given
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.ports.metrics import Usage
from deployctl.usecases.access.tokens import create_token
from deployctl.usecases.change.upgrade import upgrade
from deployctl.watch.counters import Gauges
from deployctl.watch.volume_sizes import VolumeSizes
from deployctl_web.app_paths import AppConverter
from tests.unit.api_world import Program
from tests.unit.test_backing import DB, KEYS, V16, V17
from tests.unit.web_world import HERE, Site, site
from tests.unit.world import SHOP, V1, YES, runnable

PATH = "apps/shop/components/db"
BLOG = AppName("blog")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """The shop serves v1, and its database went from 16 to 17."""
    with site(tmp_path) as made:
        for version in (V16, V17):
            made.w.engine.images.add(f"postgres:{version}", image=runnable(f"postgres:{version}"))
        made.w.edit(**KEYS)
        made.w.upgraded("v1")
        upgrade(DB, V17, made.w.s, options=YES)
        yield made


def test_its_status_is_that_of_an_app_and_in_that_of_its_app_it_is_a_component(shop: Site) -> None:
    ci = Program(shop)
    answer = ci.get(PATH)
    [found] = answer.get_json()["apps"]
    assert (found["app"], found["active"]["version"], found["standby"]["version"]) == ("shop/db", "17", "16")
    assert answer.headers["ETag"] == f'"{found["revision"]}"'
    [app] = ci.get("apps").get_json()["apps"]
    assert [(one["name"], one["kind"], one["version"], one["health"]) for one in app["components"]] == [
        ("web", "side-by-side", "v1", "passing"), ("db", "backing", "17", "passing")]
    assert [one["to_version"] for one in ci.get(f"{PATH}/history").get_json()["changes"]] == ["17", "16"]
    assert ci.get(f"{PATH}/versions/16").get_json()["version"] == "16"
    assert ci.get("apps/shop/components/nothing").status_code == 404
    assert ci.get("apps/shop/components/web").status_code == 404
    assert ci.get("apps/shop%2Fdb").status_code == 404


def test_a_rollback_of_it_asks_first_says_that_data_stays_and_leaves_its_app_alone(shop: Site) -> None:
    ci, before = Program(shop), shop.w.ledger.changes(SHOP)
    question = ci.post(f"{PATH}/rollback")
    assert (question.status_code, question.get_json()["code"]) == (409, "confirmation_needed")
    assert "the data is not" in question.get_json()["detail"]
    done = ci.post(f"{PATH}/rollback", {"yes": True}, wait=10)
    assert (done.get_json()["app"], done.get_json()["to"]) == ("shop/db", "16")
    assert ci.post(f"{PATH}/undo", {"yes": True}, wait=10).get_json()["to"] == "17"
    assert ci.post(f"{PATH}/upgrade", {"version": "16", "yes": True}, at=2).status_code == 412
    assert shop.w.ledger.changes(SHOP) == before
    refused = ci.post(f"{PATH}/start", {"version": "16"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "refused")


@pytest.mark.parametrize(("roles", "seen", "changed"), [
    ({"shop": Role.DEPLOYER}, 200, 200), ({ALL: Role.ADMIN}, 200, 200), ({"shop": Role.VIEWER}, 200, 403),
    ({"blog": Role.ADMIN}, 404, 404), ({"shop/db": Role.ADMIN}, 404, 404)])
def test_the_rights_are_those_of_its_app_and_no_others(shop: Site, roles: dict[str, Role], seen: int, changed: int) -> None:
    ci = Program(shop)
    ci.secret = create_token("narrow", roles, shop.w.s).secret
    assert ci.get(PATH).status_code == seen
    assert ci.post(f"{PATH}/rollback", {"yes": True}, wait=10).status_code == changed
    assert ('app="shop/db"' in ci.get("/metrics").text) is (seen == 200)


def test_a_component_is_named_in_the_path_or_in_the_body(shop: Site) -> None:
    shop.w.edit(replicas=2)
    shop.w.upgraded("v2")
    ci = Program(shop)
    done = ci.post("apps/shop/components/web/scale", {"replicas": 3}, wait=10).get_json()
    assert (done["app"], done["component"], done["replicas"]) == ("shop", "web", 3)
    refused = ci.post(f"{PATH}/scale", {"replicas": 3})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "not_scalable")
    assert ci.post("apps/shop/scale", {"replicas": 3, "component": "db"}).get_json()["code"] == "not_scalable"
    assert ci.post("apps/shop/components/web/scale", {"replicas": 3, "component": "db"}).status_code == 404


def test_a_monitor_sees_its_state_and_version(shop: Site) -> None:
    secret = create_token("prometheus", given(Role.VIEWER, []), shop.w.s).secret
    text = shop.app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}", "Host": HERE}).text
    found = {(family.name, *sorted(one.labels.items())): one.value for family in parse(text) for one in family.samples}
    assert found["deployctl_serving", ("app", "shop/db"), ("version", "17")] == 1
    assert found["deployctl_serving", ("app", "shop/db"), ("version", "16")] == 0
    assert found["deployctl_state", ("app", "shop/db"), ("state", "healthy")] == 1
    assert found["deployctl_drift", ("app", "shop/db")] == 0


def test_what_its_container_uses_and_what_its_volume_holds_is_read_with_its_app(shop: Site) -> None:
    w = shop.w
    [instance] = [one for one in w.ledger.instances(DB) if one.release == 2]
    assert instance.container
    w.engine.usages[instance.container] = Usage(1.0, 90 * 2**20, 256 * 2**20)
    [volume] = w.engine.volumes_here.here.values()
    volume.size = 7_000_000
    for looked_at in ({SHOP}, {DB}, None):
        gauges, sizes = Gauges(lambda: True, lambda looked_at=looked_at: looked_at), VolumeSizes(  # type: ignore[misc]
            lambda looked_at=looked_at: looked_at or {SHOP})  # type: ignore[misc]
        gauges.tick(w.s)
        sizes.tick(w.s)
        found = gauges.containers(DB, 0.0)
        assert found[InstanceId(2, ComponentName("db"))].memory == 90 * 2**20
        assert sizes.of(SHOP) == {"data": 7_000_000}
    none = Gauges(lambda: True, lambda: {BLOG})
    none.tick(w.s)
    assert not none.containers(DB, 0.0)


def test_the_list_of_apps_has_it_within_its_app(shop: Site) -> None:
    shop.w.add_file(BLOG)
    upgrade(BLOG, V1, shop.w.s, options=YES)
    mara = shop.signed_in("mara")
    mara.get("/")
    upgrade(DB, V16, shop.w.s, options=YES)  # what is known of it is older than the ledger
    page = mara.get("/").text
    assert page.count('<th scope="row">') == 2
    assert "First deployment" not in page


@pytest.mark.parametrize(("name", "path"), [("shop", "shop"), ("shop/db", "shop/components/db")])
def test_a_name_has_one_path_and_a_path_one_name(shop: Site, name: str, path: str) -> None:
    converter = AppConverter(shop.app.url_map)
    assert (converter.to_url(name), converter.to_python(path)) == (path, name)


def test_a_change_of_it_makes_the_page_of_its_app_read_again(shop: Site) -> None:
    cache: Any = shop.web_state.status_cache
    before = cache.app(SHOP).value
    upgrade(DB, V16, shop.w.s, options=YES)
    after = cache.app(SHOP).value
    assert [one.active.version for one in before.backing] == ["17"]
    assert [one.active.version for one in after.backing] == ["16"]


def test_its_page_names_its_app_and_asks_before_what_stops_it(shop: Site) -> None:
    mara = shop.signed_in("mara")
    page = mara.get(f"/{PATH}").text
    assert '<a href="/apps/shop">shop</a>' in page
    assert f'href="/{PATH}/ask?verb=rollback&amp;to=16&amp;release=1"' in page
    assert f'href="/{PATH}/ask?verb=undo"' in page
    assert "without traffic" not in page
    assert "% of the traffic" not in page
    question = mara.get(f"/{PATH}/ask?verb=rollback").text
    assert "Its data stays as it is." in question
    assert "17 is stopped first, and started again if 16 does not become healthy" in question
    assert "shop cannot reach it." in mara.get(f"/{PATH}/ask?verb=stop&to=17").text
    assert "503" not in mara.get(f"/{PATH}/ask?verb=stop&to=17").text
    assert mara.post(f"/{PATH}/rollback", to_version="16", revision="2").headers["Location"].startswith(f"/{PATH}/ask?")
    done = mara.post(f"/{PATH}/rollback", to_version="16", revision="2", yes="yes")
    assert done.headers["Location"] == f"/{PATH}"
    assert "shop/db runs 16. Took" in mara.get(f"/{PATH}").text
    assert "16 runs" not in mara.get("/apps/shop").text
    for path in ("versions/16", "compare?a=16&amp;b=17", "deploy", "logs"):
        assert mara.get(f"/{PATH}/{path}".replace("&amp;", "&")).status_code == 200
    assert mara.get("/activity?app=shop/db").status_code == 200


def test_the_page_of_its_app_tells_what_is_wrong_with_it(shop: Site) -> None:
    mara = shop.signed_in("mara")
    shop.w.sick["17"] = "connection refused"
    shop.w.clock.sleep(10)
    shop.web_state.status_cache.forget()
    page = mara.get("/apps/shop").text
    assert "shop/db: 17 does not pass its health check: connection refused." in page
    assert "db down" in mara.get("/").text
    shop.w.edit(components={"db": {**KEYS["components"]["db"], "env": {"MODE": "fast"}}})
    shop.web_state.status_cache.forget()
    assert "shop/db: Config changed, not deployed." in mara.get("/apps/shop").text


@pytest.mark.parametrize(("role", "apps", "status"), [
    (Role.VIEWER, ["shop"], 403), (Role.DEPLOYER, ["shop"], 303), (Role.ADMIN, ["blog"], 404)])
def test_a_form_needs_the_right_of_its_app(shop: Site, role: Role, apps: list[str], status: int) -> None:
    grace = shop.signed_in("grace", role, *apps)
    page = grace.get(f"/{PATH}")
    assert page.status_code == (404 if status == 404 else 200)
    assert ("You need the deployer role to change it" in page.text) is (status == 403)
    grace.get("/settings")  # for its token: there is none on a page that does not exist
    assert grace.post(f"/{PATH}/rollback", to_version="16", revision="2", yes="yes").status_code == status
