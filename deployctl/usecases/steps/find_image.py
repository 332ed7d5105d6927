"""The image that a reference means now: the one on this server, or what its registry has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from deployctl.dataclass import dataclass, replace
from deployctl.domain.images.image_ref import ImageRef, parse_image
from deployctl.domain.images.image_source import (
    ImageCode,
    ImageNews,
    PullPolicy,
    asks_registry,
    own_digests,
    pulled_digests,
)
from deployctl.errors import NotFound, RegistryUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle
    from deployctl.errors import DeployctlError
    from deployctl.ports import Engine, Image, Services

REGISTRY_WAIT_SECONDS = 3.0  # seconds for a registry to report what it has under a tag


@dataclass(frozen=True, slots=True)
class FoundImage:
    """`image` is None if it is not on this server, which only a dry run leaves so; `digest` is the registry's then."""

    image: Image | None
    digest: str  # the image id
    repo_digest: str | None = None  # name@sha256:…, how to pull it again; None: no registry is known to have it
    pulled: bool = False
    news: ImageNews | None = None
    like: Image | None = None  # in a dry run: the local image with that tag, which most likely resembles it


@dataclass(frozen=True, slots=True)
class ImageQuestion:
    """`sources` returns the names (name@sha256:…) under which the home knows a digest to come from a registry.
    `dry_run` queries and pulls nothing."""

    ref: ImageRef
    policy: PullPolicy
    sources: Callable[[str], Iterable[str]] = lambda _digest: ()
    dry_run: bool = False

    @property
    def tag(self) -> str:
        """Return the requested name, with the tag that Docker adds."""
        return str(self.ref if self.ref.digest else ImageRef(self.ref.registry, self.ref.repository, self.ref.tag or "latest"))

    def pulled_digests(self, image: Image) -> tuple[str, ...]:
        names = [name for digest in own_digests(self.ref, image.repo_digests) for name in self.sources(digest)]
        return pulled_digests(self.ref, image.digest, image.repo_digests, origins=image.origins,
                              remembered=own_digests(self.ref, names), of_tags=image.digests_of_tags)

    def by_digest(self, digest: str) -> str:
        return f"{self.ref.name}@{digest}"


def find_image(asked: ImageQuestion, s: Services) -> FoundImage:
    """Return the image that is meant, pulled if necessary and allowed.

    Raises NotFound, RegistryUnavailable (`always`, or it is not on this server) or EngineUnavailable.
    """
    here = s.engine.find_image(str(asked.ref))
    if here is None:
        return _absent(asked, s)
    known = asked.pulled_digests(here)
    if not asks_registry(asked.policy, asked.ref, pulled=bool(known)):
        alone = asked.policy is PullPolicy.ALWAYS and not asked.ref.digest
        return _local(asked, here, news=ImageNews(ImageCode.ONLY_HERE, asked.tag) if alone else None)
    try:
        there = s.engine.registry_digest(asked.tag, within=REGISTRY_WAIT_SECONDS)
    except (NotFound, RegistryUnavailable) as e:
        return _local(asked, here, news=_unverified(asked, e))
    if there in own_digests(asked.ref, here.repo_digests):
        return FoundImage(here, here.digest, asked.by_digest(there))
    return _moved(asked, here, ImageNews(ImageCode.TAG_MOVED, asked.tag, next(iter(known), None), there), s)


def find_news(bundle: Bundle, policy: PullPolicy, s: Services) -> ImageNews | None:
    """Return whether the tag of a release has moved since it was pulled; None: it has not, or no registry is to be
    contacted.

    Raises NotFound, RegistryUnavailable (both only with `always`) or EngineUnavailable.
    """
    asked = ImageQuestion(parse_image(bundle.image), policy)
    known = own_digests(asked.ref, [bundle.repo_digest or ""])
    if not known or not asks_registry(policy, asked.ref, pulled=True):
        return None
    return _compared(asked, known, s.engine.find_image(bundle.digest), s.engine)


def find_news_of(here: Image, reference: ImageRef, engine: Engine) -> ImageNews | None:
    """Return whether the tag of a local image has moved, or why that is not known; None as above."""
    asked = ImageQuestion(reference, PullPolicy.NEWER)
    known = asked.pulled_digests(here)
    return _compared(asked, known, here, engine) if asks_registry(asked.policy, reference, pulled=bool(known)) else None


def _compared(asked: ImageQuestion, known: Sequence[str], here: Image | None, engine: Engine) -> ImageNews | None:
    try:
        there = engine.registry_digest(asked.tag, within=REGISTRY_WAIT_SECONDS)
    except (NotFound, RegistryUnavailable) as e:
        return _unverified(asked, e)
    same = there in {*known, *own_digests(asked.ref, here.repo_digests if here else ())}
    return None if same else ImageNews(ImageCode.TAG_MOVED, asked.tag, next(iter(known), None), there)


def _unverified(asked: ImageQuestion, why: DeployctlError) -> ImageNews:
    if asked.policy is PullPolicy.ALWAYS:
        raise why
    return ImageNews(ImageCode.UNVERIFIED, asked.tag, why=why.message)


def _local(asked: ImageQuestion, here: Image, *, news: ImageNews | None = None) -> FoundImage:
    known = asked.pulled_digests(here)
    return FoundImage(here, here.digest, asked.by_digest(known[0]) if known else None, news=news)


def _absent(asked: ImageQuestion, s: Services) -> FoundImage:
    if asked.policy is PullPolicy.NEVER:
        raise NotFound(f"the image {asked.ref} is not on this server, and pull is never",
                       remedy=[f"docker pull {asked.ref}", "or use --pull missing"])
    if not asked.dry_run:
        return _pulled(asked, s)
    there = s.engine.registry_digest(asked.tag, within=REGISTRY_WAIT_SECONDS)
    return _foreseen(asked, ImageNews(ImageCode.TO_PULL, asked.tag, after=there), s)


def _moved(asked: ImageQuestion, here: Image, news: ImageNews, s: Services) -> FoundImage:
    """Pull what the tag means now. It may turn out to be the same image that was merely never pulled from there."""
    if asked.dry_run:
        return replace(_foreseen(asked, news, s), like=here)
    found = _pulled(asked, s, told=news.after)
    same = found.digest == here.digest and news.before is None
    return found if same else replace(found, news=news)


def _pulled(asked: ImageQuestion, s: Services, *, told: str | None = None) -> FoundImage:
    """Pull it. `told` is the digest that the registry has just reported: an image may have several in one
    repository."""
    s.report.detail(f"pulling {asked.ref}")
    image = s.engine.pull_image(str(asked.ref), progress=s.report.detail)
    own = own_digests(asked.ref, image.repo_digests)
    for digest in own:
        s.ledger.note_pull(asked.by_digest(digest), at=s.clock.utc())  # not every engine can report it later
    there = next((digest for digest in (asked.ref.digest, told, *own) if digest in own), None)
    return FoundImage(image, image.digest, asked.by_digest(there) if there else None, pulled=True)


def _foreseen(asked: ImageQuestion, news: ImageNews, s: Services) -> FoundImage:
    """Return what would be pulled. The image may be here already, under its digest alone or under another tag."""
    assert news.after is not None  # noqa: S101  a registry has just told it
    image = s.engine.find_image(asked.by_digest(news.after))
    return FoundImage(image, image.digest if image else news.after, asked.by_digest(news.after), pulled=True, news=news)
