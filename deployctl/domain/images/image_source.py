"""Which registry has an image that is on this server, whether to contact it, and what the result was."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import DOCKER_HUB, parse_image, short_digest
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated

    from deployctl.domain.images.image_ref import ImageRef

LOCAL = "localhost"  # Podman's name for what was built locally
OWN_TAG_PREFIX = "deployctl/"  # prefix of our own image tags; no registry has them


class PullPolicy(StrEnum):
    """When a registry is contacted for an image. Never twice for a digest: it cannot move."""

    NEWER = "newer"  # to see whether the tag has moved; an unreachable registry does not matter
    ALWAYS = "always"  # the same, and without its response nothing is done
    MISSING = "missing"  # only if it is not on this server
    NEVER = "never"


class ImageCode(StrEnum):
    TAG_MOVED = "tag_moved"  # the registry has an image under the tag other than the one on this server
    TO_PULL = "to_pull"  # in a dry run: not on this server yet, the registry has it
    UNVERIFIED = "unverified"  # the registry did not respond: the image on this server is used
    ONLY_HERE = "only_here"  # no registry could be contacted: the name has none and the image was never pulled


@dataclass(frozen=True, slots=True)
class ImageNews:
    """What a registry said of the image. Digests are the registry's own (sha256:…), not image ids."""

    code: ImageCode
    reference: str
    before: Annotated[str | None, "The digest this server had; null: never pulled."] = None
    after: str | None = None
    why: str = ""

    @property
    def reason(self) -> Annotated[str | None, "Why the registry could not be checked."]:
        return self.why or None

    @property
    def message(self) -> str:
        return image_sentence(self)


def own_digests(ref: ImageRef, repo_digests: Iterable[str]) -> tuple[str, ...]:
    """Return the digests (sha256:…) of those names that are in the reference's own repository."""
    if ref.name.startswith(OWN_TAG_PREFIX):
        return ()
    found = (text.partition("@") for text in repo_digests)
    return tuple(digest for name, _, digest in found if digest and _repository(name) == (ref.registry, ref.repository))


def pulled_digests(ref: ImageRef, image_id: str, repo_digests: Iterable[str], *, origins: Collection[str] | None,
                   remembered: Collection[str], of_tags: bool = False) -> tuple[str, ...]:
    """Return the digests by which a registry is known to have the image in the reference's own repository.

    With Docker's classic store only a pull or a push gives an image such digests. The containerd store, where an
    image's id is the digest itself, creates one for every tag: there the engine's own record counts (`origins`: the
    repositories it was pulled from; None before Docker 29.2), or else ours that we pulled it (`remembered`: those
    digests). Podman also creates one for every tag, and has other ids (`of_tags`).
    """
    own = own_digests(ref, repo_digests)
    if image_id not in own and not of_tags:
        return own
    if origins is None:
        return tuple(digest for digest in own if digest in remembered)
    mine = {(ref.registry, ref.repository), (ref.registry.partition(":")[0], ref.repository)}  # Docker 29 omits ports
    return own if any(_repository(name) in mine for name in origins) else ()


def is_doubtful(repo_digest: str | None, digest: str) -> bool:
    """Return whether a source recorded before sources had to be verified may be none.

    With containerd's store the image's id is its digest in every repository: our own tags, and names without a registry
    of images that were built locally, were mistaken for sources.
    """
    if repo_digest is None:
        return False
    ref = parse_image(repo_digest)
    return ref.name.startswith(OWN_TAG_PREFIX) or (ref.registry == DOCKER_HUB and ref.digest == digest)


def asks_registry(policy: PullPolicy, ref: ImageRef, *, pulled: bool) -> bool:
    """Return whether to ask the registry about a tag that this server has. A name without a registry, of an image that
    was never pulled, means this server alone: the owner of that name elsewhere must not get in by it."""
    if policy in {PullPolicy.MISSING, PullPolicy.NEVER} or ref.digest or ref.registry == LOCAL:
        return False
    return pulled or ref.registry != DOCKER_HUB


def image_sentence(news: ImageNews) -> str:
    """Return it as text, as one clause."""
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
