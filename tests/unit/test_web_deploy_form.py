"""The deploy form offers what is on this server and says what each would change; links lead where a browser can go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.inputs.names import Version
from deployctl.usecases.change.hold import hold
from deployctl.usecases.view.deployable import MAX_TAGS_SHOWN, list_deployable
from tests.unit.test_web_pages import text_of
from tests.unit.web_world import Browser, Site, site
from tests.unit.world import SHOP, runnable

COMMIT = "4f1c2d3e5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """shop serves v2, v1 stands by; v3 is on the server and was never deployed."""
    with site(tmp_path, "v1", "v2") as made:
        image = made.w.engine.images.add("acme/shop:v3", image=runnable("v3"))
        made.w.engine.images.commits[image.digest] = COMMIT
        made.w.engine.images.add("acme/blog:v9", image=runnable("blog"))
        yield made


@pytest.fixture
def mara(shop: Site) -> Browser:
    return shop.signed_in("mara")


def test_the_tags_of_the_apps_own_image_are_listed_with_what_is_live_and_on_hold(shop: Site) -> None:
    shop.w.use(hold, Version("v1"), note="loses orders")
    found = {one.version: one for one in list_deployable(SHOP, shop.w.s)}
    assert {"v1", "v2", "v3"} <= set(found)
    assert all(one.image == f"acme/shop:{version}" for version, one in found.items()), "no image of another app"
    assert [one for one in found if found[Version(one)].live] == ["v2"]
    assert found[Version("v3")].commit == COMMIT
    assert found[Version("v1")].hold is not None
    assert found[Version("v3")].hold is None


def test_only_so_many_tags_are_listed_and_one_that_is_no_version_is_left_out(shop: Site) -> None:
    for number in range(MAX_TAGS_SHOWN + 5):
        shop.w.engine.images.add(f"acme/shop:n{number}", image=runnable(f"n{number}"))
    shop.w.engine.images.add("acme/shop:hold", image=runnable("odd"))
    found = list_deployable(SHOP, shop.w.s)
    assert len(found) == MAX_TAGS_SHOWN
    assert "hold" not in {one.version for one in found}


def test_the_form_shows_them_and_what_the_chosen_one_would_change(shop: Site, mara: Browser) -> None:
    page = mara.get("/apps/shop/deploy").text
    assert "Tags on this server" in page
    assert COMMIT[:12] in page
    assert COMMIT not in page
    assert "acme/blog" not in page
    assert "What v3 will change" not in page
    shop.w.edit(env={"WORKERS": "6", "DB_PASSWORD": "hunter2"})
    chosen = mara.get("/apps/shop/deploy?verb=upgrade&to=v3").text
    told = text_of(chosen)
    for words in ("What v3 will change", "image", "env WORKERS", "env DB_PASSWORD"):
        assert words in told, words
    assert 'value="v3"' in chosen
    assert "hunter2" not in chosen
    assert shop.w.serving == "v2", "nothing was done"


def test_a_tag_on_hold_says_so_and_why_it_cannot_be_deployed(shop: Site, mara: Browser) -> None:
    shop.w.use(hold, Version("v1"), note="loses orders")
    assert "On hold: loses orders" in text_of(mara.get("/apps/shop/deploy").text)
    assert "on hold since" in text_of(mara.get("/apps/shop/deploy?to=v1").text)


def test_the_form_works_while_docker_is_away_and_says_why_no_tags_are_listed(shop: Site, mara: Browser) -> None:
    shop.w.engine.away = "connection refused"
    told = mara.get("/apps/shop/deploy")
    assert told.status_code == 200
    assert "The tags on this server cannot be listed" in told.text
    assert 'name="version"' in told.text


def test_an_app_has_links_to_its_public_address_and_to_each_running_version(mara: Browser) -> None:
    page = mara.get("/apps/shop").text
    assert 'href="http://127.0.0.1:8000/" target="_blank" rel="noopener noreferrer"' in page
    assert page.count('aria-label="Preview v') == 2


def test_settings_lead_to_the_documentation_of_the_api(mara: Browser) -> None:
    assert 'href="/api/docs"' in mara.get("/settings").text
    assert mara.get("/api/docs").status_code == 200
