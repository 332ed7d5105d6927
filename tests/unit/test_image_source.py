"""Who is asked about an image that is here: decided from its name, its digests and the policy alone."""

from __future__ import annotations

import pytest

from deployctl.domain.images.image_ref import parse_image
from deployctl.domain.images.image_source import (
    ImageCode,
    ImageNews,
    PullPolicy,
    asks_registry,
    image_sentence,
    is_doubtful,
    own_digests,
    pulled_digests,
)

A, B, ID = (f"sha256:{c * 64}" for c in "abc")
SHOP = "registry.example.com:5000/acme/shop"


@pytest.mark.parametrize(("reference", "names", "own"), [
    (f"{SHOP}:main", [f"{SHOP}@{A}", f"deployctl/shop@{B}"], (A,)),
    (f"{SHOP}:main", [f"registry.example.com/acme/shop@{A}"], ()),
    ("acme/shop:v1", [f"deployctl/shop@{B}", f"acme/shop@{A}"], (A,)),
    ("nginx", [f"docker.io/library/nginx@{A}", f"nginx@{B}", "<none>@<none>"], (A, B)),
    ("nginx", [f"localhost/nginx@{A}"], ()),
])
def test_only_digests_of_the_references_own_repository_count(reference: str, names: list[str], own: tuple[str, ...]) -> None:
    assert own_digests(parse_image(reference), names) == own


@pytest.mark.parametrize(("image_id", "origins", "remembered", "known"), [
    (ID, None, False, True),  # the classic store: only a pull or a push makes repo digests
    (A, None, False, False),  # the containerd store makes one of every tag
    (A, None, True, True),
    (A, (), True, False),
    (A, ("acme/shop",), False, True),
    (A, ("docker.io/acme/shop",), False, True),
    (A, ("acme/other",), False, False),
])
def test_whether_an_image_was_pulled_is_told_alike_for_both_stores(
    image_id: str, origins: tuple[str, ...] | None, remembered: bool, known: bool,
) -> None:
    ref = parse_image("acme/shop:v1")
    found = pulled_digests(ref, image_id, [f"acme/shop@{A}", f"deployctl/shop@{A}"], origins=origins,
                           remembered={A} if remembered else set())
    assert found == ((A,) if known else ())


def test_docker_29_tells_the_repository_without_the_registrys_port() -> None:
    ref = parse_image(f"{SHOP}:main")
    names = [f"{SHOP}@{A}"]
    assert pulled_digests(ref, A, names, origins=("registry.example.com/acme/shop",), remembered=()) == (A,)


@pytest.mark.parametrize(("policy", "reference", "pulled", "asks"), [
    ("newer", f"{SHOP}:main", False, True),
    ("always", f"{SHOP}:main", False, True),
    ("missing", f"{SHOP}:main", True, False),
    ("never", f"{SHOP}:main", True, False),
    ("newer", f"{SHOP}:main@{A}", True, False),
    ("newer", "acme/shop:main", True, True),
    ("newer", "acme/shop:main", False, False),
    ("always", "acme/shop:main", False, False),
    ("always", "localhost/shop:main", True, False),
    ("newer", "localhost:5000/shop:main", False, True),
])
def test_who_is_asked(policy: str, reference: str, pulled: bool, asks: bool) -> None:
    assert asks_registry(PullPolicy(policy), parse_image(reference), pulled=pulled) is asks


@pytest.mark.parametrize(("news", "text"), [
    (ImageNews(ImageCode.TAG_MOVED, f"{SHOP}:main", A, B), "main moved: aaaaaaaaaaaa → bbbbbbbbbbbb"),
    (ImageNews(ImageCode.TAG_MOVED, f"{SHOP}:main", None, B), "main moved: never pulled → bbbbbbbbbbbb"),
    (ImageNews(ImageCode.TO_PULL, f"{SHOP}:v1", after=B), f"{SHOP}:v1 (bbbbbbbbbbbb) is not on this server"),
    (ImageNews(ImageCode.UNVERIFIED, f"{SHOP}:v1", why="it is away"), "the image on this server is used: it is away"),
    (ImageNews(ImageCode.ONLY_HERE, "shop:v1"), "names no registry"),
])
def test_what_is_told(news: ImageNews, text: str) -> None:
    assert text in image_sentence(news)


def test_podman_makes_a_digest_of_every_tag_too() -> None:
    ref, names = parse_image("registry.test/acme/shop:v1"), [f"registry.test/acme/shop@{A}"]
    assert pulled_digests(ref, ID, names, origins=None, remembered=(), of_tags=True) == ()
    assert pulled_digests(ref, ID, names, origins=None, remembered=(A,), of_tags=True) == (A,)


def test_our_own_tag_is_never_a_source() -> None:
    assert own_digests(parse_image("deployctl/shop:r1"), [f"deployctl/shop@{A}"]) == ()


@pytest.mark.parametrize(
    ("repo_digest", "doubtful"),
    [(None, False), (f"deployctl/shop@{A}", True), (f"img-tiny@{A}", True), (f"acme/shop@{A}", True),
     (f"acme/shop@{B}", False), (f"registry.test/shop@{A}", False)],
)  # fmt: skip
def test_a_source_of_before_may_be_a_tag_of_ours_or_a_name_of_this_server(repo_digest: str | None, doubtful: bool) -> None:
    assert is_doubtful(repo_digest, A) is doubtful
