"""Which registry knows more of an image that is here, whether it is to be asked, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import DOCKER_HUB, parse_image
from deployctl.domain.images.same_image import short_digest
from deployctl.errors import Invalid

if TYPE_CHECKING:
    from deployctl.domain.images.image_ref import ImageRef

LOCAL = "localhost"  # Podman's name for what was built here
OWN_TAG_PREFIX = "deployctl/"  # image tags of ours start so; no registry has them


class PullPolicy(StrEnum):
    """When a registry is asked for an image. A digest is never asked for twice: it cannot move."""

    NEWER = "newer"  # whether the tag has moved; a registry that is away is no obstacle
    ALWAYS = "always"  # the same, and without its answer nothing is done
    MISSING = "missing"  # only for what is not on this server
    NEVER = "never"


class ImageCode(StrEnum):
    TAG_MOVED = "tag_moved"  # the registry has another image under the tag than this server had
    TO_PULL = "to_pull"  # of a dry run: not on this server yet, the registry has it
    UNVERIFIED = "unverified"  # the registry did not answer: the image on this server is used
    ONLY_HERE = "only_here"  # no registry could be asked: the name has none and the image was never pulled


@dataclass(frozen=True, slots=True)
class ImageNews:
    """What is to be known of the image beyond its name. Digests are a registry's (sha256:…), no image ids."""

    code: ImageCode
    reference: str
    before: str | None = None  # None: this server never pulled it
    after: str | None = None
    why: str = ""


def own_digests(ref: ImageRef, repo_digests: Iterable[str]) -> tuple[str, ...]:
    """Return the digests (sha256:…) of those names that lie in the reference's own repository."""
    if ref.name.startswith(OWN_TAG_PREFIX):
        return ()
    found = (text.partition("@") for text in repo_digests)
    return tuple(digest for name, _, digest in found if digest and _repository(name) == (ref.registry, ref.repository))


def pulled_digests(ref: ImageRef, image_id: str, repo_digests: Iterable[str], *, origins: Collection[str] | None,
                   remembered: Collection[str], of_tags: bool = False) -> tuple[str, ...]:
    """Return the digests by which a registry is known to have the image in the reference's own repository.

    With Docker's classic store only a pull or a push gives an image such digests. The containerd store, where an
    image's id is the digest itself, makes one of every tag: there the engine's own word counts (`origins`: the
    repositories that it was pulled from; None before Docker 29.2), else that we pulled it ourselves (`remembered`: the
    digests of that). Podman makes one of every tag, too, and has other ids (`of_tags`).
    """
    own = own_digests(ref, repo_digests)
    if image_id not in own and not of_tags:
        return own
    if origins is None:
        return tuple(digest for digest in own if digest in remembered)
    mine = {(ref.registry, ref.repository), (ref.registry.partition(":")[0], ref.repository)}  # Docker 29 leaves ports out
    return own if any(_repository(name) in mine for name in origins) else ()


def is_doubtful(repo_digest: str | None, digest: str) -> bool:
    """Tell whether a source that was written down before sources had to be proven may be none.

    With containerd's store the image's id is its digest in every repository: tags of ours and names without a registry
    of images that were built here were taken for sources, too.
    """
    if repo_digest is None:
        return False
    ref = parse_image(repo_digest)
    return ref.name.startswith(OWN_TAG_PREFIX) or (ref.registry == DOCKER_HUB and ref.digest == digest)


def asks_registry(policy: PullPolicy, ref: ImageRef, *, pulled: bool) -> bool:
    """Tell whether the registry is asked about a tag that this server has. A name without a registry, of an image that
    was never pulled, means this server alone: whoever owns that name elsewhere must not get in by it."""
    if policy in {PullPolicy.MISSING, PullPolicy.NEVER} or ref.digest or ref.registry == LOCAL:
        return False
    return pulled or ref.registry != DOCKER_HUB


def image_sentence(news: ImageNews) -> str:
    """Return it as people read it, as one clause."""
    match news.code:
        case ImageCode.TAG_MOVED:
            tag = parse_image(news.reference).tag or "latest"
            return f"{tag} moved: {short_digest(news.before) or 'never pulled'} → {short_digest(news.after)}"
        case ImageCode.TO_PULL:
            return f"{news.reference} ({short_digest(news.after)}) is not on this server and is pulled first"
        case ImageCode.UNVERIFIED:
            return (f"could not check whether {news.reference} has moved, so the image on this server is used: {news.why} "
                    "(--pull always fails without the registry)")
        case ImageCode.ONLY_HERE:
            return f"{news.reference} names no registry and was never pulled, so the image on this server is used"


def _repository(name: str) -> tuple[str, str] | None:
    try:
        ref = parse_image(name)
    except Invalid:  # an engine may list <none>@<none>
        return None
    return ref.registry, ref.repository
