"""Images of a fake engine and the one registry it can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from deployctl.dataclass import replace
from deployctl.domain.images.image_ref import ImageRef, parse_image
from deployctl.errors import EngineRefused, NotFound, NotPermitted, RegistryUnavailable
from deployctl.ports import Image, ListedImage


class FakeImages:
    """`registry` is what can be pulled, by full name; `registry_away` says why nothing can. `asked` lists the names for
    which a registry was asked for a digest. As with Docker's classic store, only a pull creates repo digests."""

    def __init__(self) -> None:
        self.registry: dict[str, Image] = {}
        self.asked: list[str] = []
        self.registry_away: str | None = None
        self.commits: dict[str, str] = {}  # image id → what its label says
        self._here: dict[str, Image] = {}

    def add(self, *tags: str, image: Image | None = None) -> Image:
        """Put an image on this server under these names; without one, a plain one is created."""
        image = image or made_up(*tags)
        there = self._here.setdefault(image.digest, image)
        digests = tuple(dict.fromkeys((*there.repo_digests, *image.repo_digests)))
        self._here[image.digest] = replace(there, repo_digests=digests)
        for tag in tags:
            self._tag(image.digest, full_name(tag))
        return self._here[image.digest]

    def publish(self, reference: str, image: Image) -> str:
        """Make it pullable by that name, and by the returned digest: sha256:…."""
        name = parse_image(reference).name
        known = [text.partition("@")[2] for text in image.repo_digests if text.startswith(f"{name}@")]
        digest = known[0] if known else f"sha256:{sha256(f'manifest of {image.digest}'.encode()).hexdigest()}"
        image = image if known else replace(image, repo_digests=(*image.repo_digests, f"{name}@{digest}"))
        self.registry[full_name(reference)] = self.registry[f"{name}@{digest}"] = image
        return digest

    def drop(self, digest: str) -> None:
        """Remove it, as a user would."""
        del self._here[digest]

    def find(self, reference: str) -> Image | None:
        if reference.startswith("sha256:"):
            return self._here.get(reference)
        wanted = full_name(reference)
        return next((image for image in self._here.values() if wanted in {*image.tags, *image.repo_digests}), None)

    def listed(self, names: Sequence[str]) -> list[ListedImage]:
        found = [one for one in self._here.values() if any(parse_image(tag).name in names for tag in one.tags)]
        return [ListedImage(one.digest, one.tags, "2026-01-01T00:00:00+00:00", one.size, self.commits.get(one.digest, ""))
                for one in found]

    def pull(self, reference: str) -> Image:
        wanted, image = full_name(reference), self._published(reference)
        return self.add(*([] if "@" in wanted else [wanted]), image=image)

    def registry_digest(self, reference: str) -> str:
        self.asked.append(full_name(reference))
        name, image = parse_image(reference).name, self._published(reference)
        return next(text.partition("@")[2] for text in image.repo_digests if text.startswith(f"{name}@"))

    def _published(self, reference: str) -> Image:
        wanted = full_name(reference)
        if self.registry_away is not None:
            raise RegistryUnavailable(self.registry_away)
        if wanted not in self.registry:
            raise NotFound(f"the registry has no {wanted}")
        return self.registry[wanted]

    def keep(self, digest: str, tag: str) -> None:
        if digest not in self._here:
            raise NotFound(f"no image {digest}")
        self._tag(digest, tag)

    def kept_tags(self) -> list[str]:
        return sorted(tag for image in self._here.values() for tag in image.tags if tag.startswith("deployctl/"))

    def release(self, tag: str, *, users: Mapping[str, str]) -> None:
        """Remove the tag, and the image with its last one, unless a container (image → name) uses it."""
        image = self.find(tag)
        if image is None:
            return
        left = tuple(other for other in image.tags if other != tag)
        if not left and image.digest in users:
            raise EngineRefused(f"release {tag}: container {users[image.digest]} still uses the image")
        self._here[image.digest] = replace(image, tags=left)
        if not left:
            del self._here[image.digest]

    def _tag(self, digest: str, tag: str) -> None:
        for other, image in self._here.items():  # a tag moves
            self._here[other] = replace(image, tags=tuple(name for name in image.tags if name != tag))
        self._here[digest] = replace(self._here[digest], tags=(*self._here[digest].tags, tag))


def made_up(*tags: str) -> Image:
    return Image(f"sha256:{sha256(repr(tags).encode()).hexdigest()}", architecture="amd64", os="linux", size=1000)


def full_name(reference: str) -> str:
    """Return the name with its tag, as Docker lists it."""
    ref = parse_image(reference)
    if ref.digest:
        return f"{ref.name}@{ref.digest}"
    return str(ImageRef(ref.registry, ref.repository, ref.tag or "latest"))


def require_kept(tag: str) -> None:
    if not tag.startswith("deployctl/"):
        raise NotPermitted(f"{tag} is not one of our tags, which start with deployctl/")
