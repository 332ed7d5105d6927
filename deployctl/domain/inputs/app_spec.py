"""The contents of an app's file once checked: plain data, so that the result can be cached and read without
pydantic."""

from __future__ import annotations

import json

from deployctl.dataclass import asdict, dataclass, field, replace
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.images.release import Bundle, Policy
from deployctl.domain.proxy.trust import ProxyTrust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from deployctl.domain.inputs.names import Version


@dataclass(frozen=True, slots=True)
class AppFile:
    """One config/<app>.toml, every value valid. `template` is the release spec before an image is known."""

    image: str  # without a tag
    listen: tuple[str, int] | None
    hosts: tuple[str, ...]
    policy: Policy
    template: Bundle
    warnings: tuple[str, ...] = field(default=())
    pull: PullPolicy = PullPolicy.NEWER
    trust: ProxyTrust = field(default_factory=ProxyTrust)
    others: tuple[str, ...] = ()  # images, without tags, that may be deployed instead of `image`

    @property
    def images(self) -> tuple[str, ...]:
        """Return the images that this app may run, without tags, its main one first."""
        return (self.image, *self.others)

    def reference(self, version: Version) -> str:
        """Return the image that `upgrade APP VERSION` means unless another is named."""
        return f"{self.image}:{version}"

    def bundle(self, image: str, digest: str, repo_digest: str | None = None) -> Bundle:
        """Return everything a container of this release is created from."""
        return replace(self.template, image=image, digest=digest, repo_digest=repo_digest)

    @property
    def file(self) -> str:
        """Return the settings of the app and its release spec, as the ledger records them at deployment."""
        return json.dumps({"image": self.image, "listen": self.listen, "hosts": self.hosts, "policy": asdict(self.policy),
                           "template": self.template.canonical(), "trust": self.trust.to_json()}, sort_keys=True)

    @classmethod
    def from_deployed(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(raw["image"], tuple(raw["listen"]) if raw["listen"] else None, tuple(raw["hosts"]),
                   Policy(**raw["policy"]), Bundle.from_canonical(raw["template"]),
                   trust=ProxyTrust.from_json(raw["trust"]))

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "template": self.template.canonical(), "trust": self.trust.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(
            image=raw["image"], listen=tuple(raw["listen"]) if raw["listen"] else None, hosts=tuple(raw["hosts"]),
            policy=Policy(**raw["policy"]), template=Bundle.from_canonical(raw["template"]),
            warnings=tuple(raw["warnings"]), pull=PullPolicy(raw["pull"]),
            trust=ProxyTrust.from_json(raw["trust"]), others=tuple(raw["others"]),
        )
