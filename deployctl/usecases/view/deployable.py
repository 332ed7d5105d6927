"""The tags of an app's images that are on this server: what can be deployed without a registry."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import parse_image
from deployctl.domain.images.release import Hold, Release
from deployctl.domain.inputs.names import AppName, Version, parse_version
from deployctl.errors import Invalid
from deployctl.ports import ListedImage, Services

MAX_TAGS_SHOWN = 30
MAX_RELEASES_SEARCHED = 300  # the newest, for holds and the live one


@dataclass(frozen=True, slots=True)
class DeployableTag:
    version: Version  # the tag
    image: str  # name:tag
    digest: str
    created_at: str  # when the image was built, from its metadata; ISO 8601, UTC
    size: int  # bytes
    commit: str = ""  # of its source, from its label; empty: no label
    live: bool = False
    hold: Hold | None = None


def list_deployable(app: AppName, s: Services) -> tuple[DeployableTag, ...]:
    """Return the tags of the image in the app's file, newest image first, at most MAX_TAGS_SHOWN.

    Raises Invalid or NotFound (the app's file), EngineUnavailable.
    """
    name = parse_image(s.app_file(app).image).name
    releases = s.ledger.releases(app, limit=MAX_RELEASES_SEARCHED)
    row = s.ledger.find_app(app)
    active = next((one for one in releases if row is not None and one.number == row.active), None)
    holds = {one.version: one.hold for one in reversed(releases) if one.hold}
    found = [tag for image in s.engine.list_images([name]) for tag in _tags(image, name, active, holds)]
    return tuple(sorted(found, key=lambda one: (one.created_at, one.version), reverse=True)[:MAX_TAGS_SHOWN])


def _tags(image: ListedImage, name: str, active: Release | None, holds: dict[Version, Hold]) -> Iterator[DeployableTag]:
    for text in image.tags:
        ref = parse_image(text)
        if ref.name != name or ref.tag is None:
            continue
        try:
            version = parse_version(ref.tag)
        except Invalid:  # a tag that is not a valid version name
            continue
        live = active is not None and active.version == version and active.bundle.digest == image.digest
        yield DeployableTag(version, text, image.digest, image.created_at, image.size, image.commit, live, holds.get(version))
