"""Which names reach the engine, and which never do."""

from __future__ import annotations

import pytest

from deployctl.effects.docker import names
from deployctl.errors import Invalid

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize("name", ["shop--v2--r7--3fa9c1", "ab" * 32, "a_b.c-d"])
def test_names_as_docker_gives_them_are_taken(name: str) -> None:
    assert names.require_container(name) == name


@pytest.mark.parametrize(
    "name", ["", "a", "../images/x", "a/b", "a?b", "a#b", "a%2f", "a b", "-a", "a\n", "\x00a", "é1", "a" * 256]
)
def test_what_could_lead_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(Invalid):
        names.require_container(name)


REFERENCES = [
    ("shop:v1", "shop:v1"),
    ("shop", "shop:latest"),
    ("deadbe", "deadbe:latest"),  # could be the beginning of an id
    ("docker.io/library/nginx:1", "nginx:1"),
    ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
    (f"acme/shop:v1@{DIGEST}", f"acme/shop@{DIGEST}"),
    (DIGEST, DIGEST),
]


@pytest.mark.parametrize(("reference", "asked"), REFERENCES)
def test_a_reference_is_asked_for_by_its_whole_name(reference: str, asked: str) -> None:
    assert names.docker_name(names.parse_reference(reference)) == asked


@pytest.mark.parametrize(
    "reference",
    ["", "sha256:abc", "ab" * 32, "A/b:c", "a:b:c", "a/../b", "a//b", "http://h/x", "a\n", "a?b", "a%2f:v1"],
)
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(Invalid):
        names.parse_reference(reference)


def test_an_image_counts_only_if_it_bears_the_name_that_was_asked_for() -> None:
    image = {"Id": DIGEST, "RepoTags": ["deadbe:v1", "nginx:1"], "RepoDigests": [f"acme/shop@{DIGEST}"]}
    for reference in ("deadbe:v1", "docker.io/nginx:1", f"acme/shop@{DIGEST}", DIGEST):
        assert names.carries(image, names.parse_reference(reference))
    for reference in ("deadbe", "deadbe:v2", f"acme/other@{DIGEST}", f"sha256:{'0' * 64}"):
        assert not names.carries(image, names.parse_reference(reference))
    podmans = {"Id": DIGEST, "RepoTags": ["localhost/img-tiny-web:v1", "docker.io/library/nginx:latest"]}
    for reference in ("img-tiny-web:v1", "localhost/img-tiny-web:v1", "nginx"):
        assert names.carries(podmans, names.parse_reference(reference))
    assert not names.carries(podmans, names.parse_reference("registry.test/img-tiny-web:v1"))
    assert not names.carries({"Id": DIGEST, "RepoTags": None}, names.parse_reference("shop:v1"))
