"""Whose images an app runs: by page and API those that its file names, so that nobody runs another app's with this
one's variables. Admins of the server, and users of the command line, may name any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.host.access import Role
from deployctl.domain.images.image_ref import parse_image, require_own_repository
from deployctl.domain.inputs.names import Version
from deployctl.errors import NotPermitted
from deployctl.usecases.change.start import start
from deployctl.usecases.change.upgrade import upgrade
from tests.unit.api_world import Program, problem
from tests.unit.web_world import Site, site
from tests.unit.world import SHOP, runnable

DIGEST = "sha256:" + "a" * 64
# The repository of shop's file is acme/shop on Docker Hub; acme/blog is another app's, and here.
FOREIGN = [
    "acme/blog:v1", "acme/blog", "docker.io/acme/blog:v1", f"acme/blog@{DIGEST}", f"acme/blog:v1@{DIGEST}",
    "acme/shop/blog:v1", "acme/shop-blog:v1", "shop:v1", "library/shop:v1", "docker.io/shop:v1", "blog/acme/shop:v1",
    "index.docker.io/acme/blog:v1", "registry-1.docker.io/acme/shop:v1", "localhost/acme/shop:v1", "acme.io/shop:v1",
    "docker.io:443/acme/shop:v1", "r.example.com/acme/shop:v1", "deployctl/blog:v1", "1f2e3d4c5b6a",
]  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    """shop serves v2. The server has an image acme/blog:v1, and a registry has acme/shop-debug:v3."""
    with site(tmp_path, "v1", "v2") as made:
        made.w.engine.images.add("acme/blog:v1", image=runnable("blog"))
        made.w.engine.images.publish("acme/shop-debug:v3", runnable("debug"))
        yield made


# -- what is refused ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", [Role.DEPLOYER, Role.ADMIN])
@pytest.mark.parametrize("verb", ["upgrade", "start"])
def test_a_deployer_or_admin_of_one_app_runs_no_image_of_another(shop: Site, verb: str, role: Role) -> None:
    ci = Program(shop, "ci", role, "shop")
    before = shop.w.everything()
    told = problem(ci.post(f"apps/shop/{verb}", {"version": "v3", "image": "acme/blog:v1"}, wait=10), 403, "image_not_allowed")
    assert told["remedy"][0] == 'list it in config/shop.toml: images = ["acme/blog"]'
    assert shop.w.everything() == before


@pytest.mark.parametrize("image", FOREIGN)
def test_no_way_of_writing_a_name_makes_it_the_apps_own(shop: Site, image: str) -> None:
    answer = Program(shop, "ci", Role.DEPLOYER).post("apps/shop/upgrade", {"version": "v3", "image": image}, wait=10)
    problem(answer, 403, "image_not_allowed")


@pytest.mark.parametrize("image", [DIGEST, "a" * 64, f"docker.io/library/{'a' * 64}", "acme/shop:v1 acme/blog:v1"])
def test_an_image_id_is_no_name(shop: Site, image: str) -> None:
    problem(Program(shop, "ci", Role.DEPLOYER).post("apps/shop/upgrade", {"version": "v3", "image": image}), 400, "invalid")


@pytest.mark.parametrize("version", [f"v1@{DIGEST}", "v1/../../acme/blog", "acme/blog:v1", "v1:v2"])
def test_a_version_names_no_other_image(shop: Site, version: str) -> None:
    problem(Program(shop, "ci", Role.DEPLOYER).post("apps/shop/upgrade", {"version": version}), 400, "invalid")


@pytest.mark.parametrize("verb", ["upgrade", "start"])
def test_the_form_of_a_page_is_refused_as_well(shop: Site, verb: str) -> None:
    jonas = shop.signed_in("jonas", Role.DEPLOYER)
    form = jonas.get(f"/apps/shop/deploy?verb={verb}")
    assert "From the repository in the app’s file" in form.text
    answer = jonas.post(f"/apps/shop/{verb}", version="v3", image="acme/blog:v1")
    assert (answer.status_code, "acme/blog" in answer.text) == (403, True)
    assert shop.w.active == "v2"


def test_the_refusal_of_a_deployer_is_told_before_a_registry_is_asked(shop: Site) -> None:
    Program(shop, "ci", Role.DEPLOYER).post("apps/shop/upgrade", {"version": "v3", "image": "acme/shop-debug:v3"}, wait=10)
    assert shop.w.engine.images.asked == []


# -- what is allowed ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("image", ["acme/shop:v3", "docker.io/acme/shop:v3", "index.docker.io/acme/shop:v3"])
def test_any_tag_of_the_apps_own_repository_is_its_own(shop: Site, image: str) -> None:
    answer = Program(shop, "ci", Role.DEPLOYER).post("apps/shop/upgrade", {"version": "v9", "image": image}, wait=10)
    assert (answer.status_code, shop.w.active) == (200, "v9")


def test_what_the_file_lists_is_the_apps_own_and_its_registry_is_allowed(shop: Site) -> None:
    shop.w.edit(images=["acme/shop-debug", "r.example.com/acme/x"])
    shop.w.engine.images.publish("r.example.com/acme/x:v4", runnable("x"))
    ci = Program(shop, "ci", Role.DEPLOYER)
    assert ci.post("apps/shop/upgrade", {"version": "v3", "image": "acme/shop-debug:v3"}, wait=10).status_code == 200
    assert ci.post("apps/shop/upgrade", {"version": "v4", "image": "r.example.com/acme/x:v4"}, wait=10).status_code == 200
    problem(ci.post("apps/shop/start", {"version": "v5", "image": "acme/blog:v1"}, wait=10), 403, "image_not_allowed")


@pytest.mark.parametrize("verb", ["upgrade", "start"])
def test_an_admin_of_the_server_names_any_image(shop: Site, verb: str) -> None:
    answer = Program(shop).post(f"apps/shop/{verb}", {"version": "v3", "image": "acme/blog:v1"}, wait=10)
    assert answer.status_code == 200


def test_the_command_line_names_any_image(shop: Site) -> None:
    upgrade(SHOP, Version("v3"), shop.w.s, image="acme/blog:v1")
    start(SHOP, Version("v4"), shop.w.s, image="acme/blog:v1")
    assert shop.w.active == "v3"


def test_what_ran_before_can_be_gone_back_to(shop: Site) -> None:
    upgrade(SHOP, Version("v3"), shop.w.s, image="acme/blog:v1")
    shop.w.upgrade("v4")
    assert Program(shop, "ci", Role.DEPLOYER).post("apps/shop/rollback", {"to_version": "v3"}, wait=10).status_code == 200


# -- the decision -------------------------------------------------------------------------------------------------------
REGISTRY = "r.example.com:5000/shop"


@pytest.mark.parametrize(("own", "asked"), [
    ("nginx", "docker.io/library/nginx:1"), ("docker.io/library/nginx", "nginx"), (REGISTRY, f"{REGISTRY}:v1"),
    (REGISTRY, f"{REGISTRY}@{DIGEST}")])
def test_names_are_the_same_however_they_are_written(own: str, asked: str) -> None:
    require_own_repository(parse_image(asked), ("acme/x", own), "shop")


@pytest.mark.parametrize(("own", "asked"), [
    ("nginx", "acme/nginx"), (REGISTRY, "r.example.com/shop:v1"), (REGISTRY, "shop"), ("shop", REGISTRY)])
def test_names_count_in_full(own: str, asked: str) -> None:
    with pytest.raises(NotPermitted) as refused:
        require_own_repository(parse_image(asked), ("acme/x", own), "shop")
    assert refused.value.code == "image_not_allowed"
