"""The contents of an app's file once checked: plain data, so that the result can be cached and read without
pydantic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from deployctl.dataclass import asdict, dataclass, field, replace
from deployctl.domain.images.component import WEB, Component, components_text, is_plain, read_components
from deployctl.domain.images.image_ref import parse_image, version_of
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.images.release import Bundle, Policy
from deployctl.domain.inputs.names import AppName, Version, backing_of, owner_of
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self



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
    backing: tuple[Component, ...] = ()  # with their images as written: a tag or digest of their own
    pinned: str = ""  # of a backing component: its image as written, if that has a digest

    @property
    def images(self) -> tuple[str, ...]:
        """Return the images that this app may run, without tags, its main one first."""
        return (self.image, *self.others)

    def of(self, app: AppName) -> AppFile:
        """Return what the file says of that app or backing component. Raises NotFound."""
        name = backing_of(app)
        if name is None:
            return self
        found = next((one for one in self.backing if one.name == name), None)
        if found is None:
            raise NotFound(f"config/{owner_of(app)}.toml has no backing component {name}",
                           remedy=[f'add [components.{name}] with kind = "backing"', f"deployctl status {owner_of(app)}"])
        template = replace(found, bundle=replace(found.bundle, image=""))
        image = parse_image(found.bundle.image)
        return AppFile(image.name, None, (), replace(self.policy, watch=0.0), (template,), pull=self.pull,
                       pinned=str(image) if image.digest else "")

    @property
    def backing_versions(self) -> dict[AppName, Version]:
        """Return which version of each backing component the file asks for, by its name without the app's."""
        return {AppName(one.name): Version(version_of(parse_image(one.bundle.image))) for one in self.backing}

    @property
    def template(self) -> Bundle:
        """Return the spec of the component that clients reach."""
        return self.templates[0].bundle

    def reference(self, version: Version) -> str:
        """Return the image that `upgrade APP VERSION` means unless another is named."""
        pinned = self.pinned and version == version_of(parse_image(self.pinned))
        return self.pinned if pinned else f"{self.image}:{version}"

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
        told = {name: value for name, value in asdict(self).items() if name not in {"templates", "backing", "ports"}}
        backing = [{**one.relations(), "bundle": one.bundle.canonical()} for one in self.backing]
        return json.dumps({**told, "template": self.template.canonical(), "trust": self.trust.to_json(), "backing": backing,
                           **self._further()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        return cls(
            image=raw["image"], listen=tuple(raw["listen"]) if raw["listen"] else None, hosts=tuple(raw["hosts"]),
            policy=Policy(**raw["policy"]), templates=_templates(raw),
            warnings=tuple(raw["warnings"]), pull=PullPolicy(raw["pull"]),
            trust=ProxyTrust.from_json(raw["trust"]), others=tuple(raw["others"]), ports=read_ports(raw.get("ports")),
            backing=tuple(Component.from_relations(one, Bundle.from_canonical(one["bundle"])) for one in raw["backing"]),
        )


def read_ports(raw: Mapping[str, Sequence[Any]] | None) -> tuple[tuple[str, tuple[str, int]], ...]:
    """Return where further ports listen, from JSON."""
    return tuple(sorted((name, (str(host), int(port))) for name, (host, port) in (raw or {}).items()))


def _templates(raw: dict[str, Any]) -> tuple[Component, ...]:
    first = Bundle.from_canonical(raw["template"])
    return read_components(raw["components"], first) if "components" in raw else (Component(first),)
