"""The contents of an app's file once checked: plain data, so that the result can be cached and read without
pydantic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from deployctl.dataclass import asdict, dataclass, field
from deployctl.domain.images.component import WEB, Component, components_text, is_plain, read_components
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.images.release import Bundle, Policy
from deployctl.domain.proxy.trust import ProxyTrust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from deployctl.domain.inputs.names import Version


@dataclass(frozen=True, slots=True)
class AppFile:
    """One config/<app>.toml, every value valid. `template` is the release spec before an image is known."""

    image: str  # without a tag
    listen: tuple[str, int] | None
    hosts: tuple[str, ...]
    policy: Policy
    templates: tuple[Component, ...]  # components before their images are known; the first one is the one clients reach
    warnings: tuple[str, ...] = field(default=())
    pull: PullPolicy = PullPolicy.NEWER
    trust: ProxyTrust = field(default_factory=ProxyTrust)
    others: tuple[str, ...] = ()  # images, without tags, that may be deployed instead of `image`
    ports: tuple[tuple[str, tuple[str, int]], ...] = ()  # where further ports listen, by their names; sorted

    @property
    def images(self) -> tuple[str, ...]:
        """Return the images that this app may run, without tags, its main one first."""
        return (self.image, *self.others)

    @property
    def template(self) -> Bundle:
        """Return the spec of the component that clients reach."""
        return self.templates[0].bundle

    def reference(self, version: Version) -> str:
        """Return the image that `upgrade APP VERSION` means unless another is named."""
        return f"{self.image}:{version}"

    @property
    def file(self) -> str:
        """Return the settings of the app and its release spec, as the ledger records them at deployment."""
        return json.dumps({"image": self.image, "listen": self.listen, "hosts": self.hosts, "policy": asdict(self.policy),
                           "template": self.template.canonical(), "trust": self.trust.to_json(),
                           **self._further()}, sort_keys=True)

    def _further(self) -> dict[str, Any]:
        """Return the components of an app that has several, and its further ports: the text of one that has neither stays as
        it was before there were."""
        plain = is_plain(self.templates) and self.templates[0].name == WEB
        found: dict[str, Any] = {} if plain else {"components": components_text(self.templates)}
        return {**found, "ports": dict(self.ports)} if self.ports else found

    @classmethod
    def from_deployed(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(raw["image"], tuple(raw["listen"]) if raw["listen"] else None, tuple(raw["hosts"]),
                   Policy(**raw["policy"]), _templates(raw),
                   trust=ProxyTrust.from_json(raw["trust"]), ports=read_ports(raw.get("ports")))

    def to_json(self) -> str:
        told = {name: value for name, value in asdict(self).items() if name not in {"templates", "ports"}}
        return json.dumps({**told, "template": self.template.canonical(), "trust": self.trust.to_json(), **self._further()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(
            image=raw["image"], listen=tuple(raw["listen"]) if raw["listen"] else None, hosts=tuple(raw["hosts"]),
            policy=Policy(**raw["policy"]), templates=_templates(raw),
            warnings=tuple(raw["warnings"]), pull=PullPolicy(raw["pull"]),
            trust=ProxyTrust.from_json(raw["trust"]), others=tuple(raw["others"]), ports=read_ports(raw.get("ports")),
        )


def read_ports(raw: Mapping[str, Sequence[Any]] | None) -> tuple[tuple[str, tuple[str, int]], ...]:
    """Return where further ports listen, from JSON."""
    return tuple(sorted((name, (str(host), int(port))) for name, (host, port) in (raw or {}).items()))


def _templates(raw: dict[str, Any]) -> tuple[Component, ...]:
    first = Bundle.from_canonical(raw["template"])
    return read_components(raw["components"], first) if "components" in raw else (Component(first),)
