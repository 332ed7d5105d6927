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


def find_image(question: ImageQuestion, s: Services) -> FoundImage:
    """Return the image that is meant, pulled if necessary and allowed.

    Raises NotFound, RegistryUnavailable (`always`, or it is not on this server) or EngineUnavailable.
    """
    local = s.engine.find_image(str(question.ref))
    if local is None:
        return _absent(question, s)
    known = question.pulled_digests(local)
    if not asks_registry(question.policy, question.ref, pulled=bool(known)):
        alone = question.policy is PullPolicy.ALWAYS and not question.ref.digest
        return _local(question, local, news=ImageNews(ImageCode.ONLY_HERE, question.tag) if alone else None)
    try:
        there = s.engine.registry_digest(question.tag, within=REGISTRY_WAIT_SECONDS)
    except (NotFound, RegistryUnavailable) as e:
        return _local(question, local, news=_unverified(question, e))
    if there in own_digests(question.ref, local.repo_digests):
        return FoundImage(local, local.digest, question.by_digest(there))
    return _moved(question, local, ImageNews(ImageCode.TAG_MOVED, question.tag, next(iter(known), None), there), s)


def find_news(bundle: Bundle, policy: PullPolicy, s: Services) -> ImageNews | None:
    """Return whether the tag of a release has moved since it was pulled; None: it has not, or no registry is to be
    contacted.

    Raises NotFound, RegistryUnavailable (both only with `always`) or EngineUnavailable.
    """
    question = ImageQuestion(parse_image(bundle.image), policy)
    known = own_digests(question.ref, [bundle.repo_digest or ""])
    if not known or not asks_registry(policy, question.ref, pulled=True):
        return None
    return _compared(question, known, s.engine.find_image(bundle.digest), s.engine)


def find_news_of(local: Image, reference: ImageRef, engine: Engine) -> ImageNews | None:
    """Return whether the tag of a local image has moved, or why that is not known; None as above."""
    question = ImageQuestion(reference, PullPolicy.NEWER)
    known = question.pulled_digests(local)
    return _compared(question, known, local, engine) if asks_registry(question.policy, reference, pulled=bool(known)) else None


def _compared(question: ImageQuestion, known: Sequence[str], local: Image | None, engine: Engine) -> ImageNews | None:
    try:
        there = engine.registry_digest(question.tag, within=REGISTRY_WAIT_SECONDS)
    except (NotFound, RegistryUnavailable) as e:
        return _unverified(question, e)
    same = there in {*known, *own_digests(question.ref, local.repo_digests if local else ())}
    return None if same else ImageNews(ImageCode.TAG_MOVED, question.tag, next(iter(known), None), there)


def _unverified(question: ImageQuestion, why: DeployctlError) -> ImageNews:
    if question.policy is PullPolicy.ALWAYS:
        raise why
    return ImageNews(ImageCode.UNVERIFIED, question.tag, why=why.message)


def _local(question: ImageQuestion, local: Image, *, news: ImageNews | None = None) -> FoundImage:
    known = question.pulled_digests(local)
    return FoundImage(local, local.digest, question.by_digest(known[0]) if known else None, news=news)


def _absent(question: ImageQuestion, s: Services) -> FoundImage:
    if question.policy is PullPolicy.NEVER:
        raise NotFound(f"the image {question.ref} is not on this server, and pull is never",
                       remedy=[f"docker pull {question.ref}", "or use --pull missing"])
    if not question.dry_run:
        return _pulled(question, s)
    there = s.engine.registry_digest(question.tag, within=REGISTRY_WAIT_SECONDS)
    return _foreseen(question, ImageNews(ImageCode.TO_PULL, question.tag, after=there), s)


def _moved(question: ImageQuestion, local: Image, news: ImageNews, s: Services) -> FoundImage:
    """Pull what the tag means now. It may turn out to be the same image that was merely never pulled from there."""
    if question.dry_run:
        return replace(_foreseen(question, news, s), like=local)
    found = _pulled(question, s, reported=news.after)
    same = found.digest == local.digest and news.before is None
    return found if same else replace(found, news=news)


def _pulled(question: ImageQuestion, s: Services, *, reported: str | None = None) -> FoundImage:
    """Pull it. `told` is the digest that the registry has just reported: an image may have several in one
    repository."""
    s.report.detail(f"pulling {question.ref}")
    image = s.engine.pull_image(str(question.ref), progress=s.report.detail)
    own = own_digests(question.ref, image.repo_digests)
    for digest in own:
        s.ledger.note_pull(question.by_digest(digest), at=s.clock.utc())  # not every engine can report it later
    there = next((digest for digest in (question.ref.digest, reported, *own) if digest in own), None)
    return FoundImage(image, image.digest, question.by_digest(there) if there else None, pulled=True)


def _foreseen(question: ImageQuestion, news: ImageNews, s: Services) -> FoundImage:
    """Return what would be pulled. The image may be here already, under its digest alone or under another tag."""
    assert news.after is not None  # noqa: S101  a registry has just told it
    image = s.engine.find_image(question.by_digest(news.after))
    return FoundImage(image, image.digest if image else news.after, question.by_digest(news.after), pulled=True, news=news)
