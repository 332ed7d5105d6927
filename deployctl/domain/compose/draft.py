"""The app that a Compose project becomes. Every key of every service is carried over, or becomes a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deployctl.dataclass import dataclass, field
from deployctl.domain.compose.doors import find_main, open_doors
from deployctl.domain.compose.fill import fill
from deployctl.domain.compose.gaps import ImportGap
from deployctl.domain.compose.naming import component_names, fitting
from deployctl.domain.compose.ports import inner_port, published
from deployctl.domain.compose.proxies import is_proxy, name_the_proxy, routes
from deployctl.domain.compose.roles import choose_kind
from deployctl.domain.compose.service import Part, Service, Surroundings
from deployctl.domain.compose.storage import Storage, is_folder, written_volumes
from deployctl.domain.compose.whole import name_missing, name_the_project, set_networks, set_secrets
from deployctl.domain.images.component import ComponentKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.model import ComposeModel


@dataclass(slots=True)
class Draft:
    """What is to be written, and what a person should know."""

    app: str
    project: str
    parts: list[Part]
    main: Part | None  # what clients reach
    version: str
    listen: str | None = None
    hosts: tuple[str, ...] = ()
    ports: dict[str, dict[str, Any]] = field(default_factory=dict)  # tables [ports.NAME]
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)  # tables [volumes.NAME]
    files: dict[str, bytes] = field(default_factory=dict)  # contents by path below config/
    secrets: dict[str, str] = field(default_factory=dict)  # the project's name of each, by ours
    gaps: list[ImportGap] = field(default_factory=list)  # of the project as a whole
    pull: str | None = None

    @property
    def kept(self) -> list[Part]:
        """Return the parts that become components, what clients reach first."""
        others = [one for one in self.parts if one.kind is not None and one is not self.main]
        return [*([self.main] if self.main else []), *others]


def make_draft(model: ComposeModel, *, app: str | None, around: Surroundings) -> Draft:
    """Return the draft of an app; `app`: its name, if not the project's."""
    project: Mapping[str, Any] = model.told
    name = app or fitting(project["name"], spare="app")
    services = {one: Service(one, raw, project["name"]) for one, raw in project["services"].items()}
    parts = _parts(services, around)
    kept = {one.service.name: one for one in parts if one.kind is not None}
    for part in kept.values():
        part.port = None if part.is_job else inner_port(part, services, around)
    proxies = {one.service.name: one.service for one in parts if one.kind is None}
    found = [one for one in routes(services, proxies, around) if one.service in kept]
    doors = [door for part in kept.values() if not part.is_job for door in published(part)]
    main = find_main(doors, found, kept)
    first = main or next((one for one in kept.values() if not one.is_backing), None)
    draft = Draft(name, project["name"], parts, main, first.service.tag or first.service.follows if first else "v1")
    open_doors(draft, doors, found, proxies, kept)
    storage = Storage(name, draft.volumes, draft.files)
    for part in kept.values():
        fill(part, draft, services, project, storage, around)
    _share(parts, storage)
    set_secrets(draft, project, kept.values(), around)
    set_networks(draft, project, kept.values())
    name_the_project(draft, project, model.idle_profiles)
    name_missing(model.missing, {one.service.name: one for one in parts})
    return draft


def _parts(services: Mapping[str, Service], around: Surroundings) -> list[Part]:
    names = component_names(services)
    written = {service.name: written_volumes(service, services) for service in services.values()}
    parts = []
    for service in services.values():
        part = Part(service, names[service.name])
        if is_proxy(service, services, around):
            part.why = "it only passes requests on, which HAProxy does"
            name_the_proxy(part)
        else:
            others = {volume for name, volumes in written.items() if name != service.name for volume in volumes}
            choose_kind(part, services, (*sorted(written[service.name] - others), *_own_folders(service, around)))
        parts.append(part)
    return parts


def _own_folders(service: Service, around: Surroundings) -> Iterator[str]:
    """Yield the folders of this server that it may write to. They become volumes, and its siblings' are other ones."""
    for one in service.raw.get("volumes") or ():
        found = around.paths.get(one.get("source", ""))
        if one["type"] == "bind" and not one.get("read_only") and found is not None and is_folder(one["source"], found):
            yield one["source"]


def _share(parts: Iterable[Part], storage: Storage) -> None:
    """Mark the volumes that two versions of a component write to at a time. In the project several services do so already."""
    for part in parts:
        for mount in part.table.get("mounts", ()) if part.kind is ComponentKind.SIDE_BY_SIDE else ():
            volume, _, rest = mount.partition(":")
            if not volume.startswith("/") and "ro" not in rest.partition(":")[2].split(","):
                storage.volumes[volume]["shared"] = True
