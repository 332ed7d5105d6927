"""What `show` returns: one version as it was deployed, with the release spec of each of its components."""

from __future__ import annotations

from deployctl.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Annotated

    from deployctl.domain.change.deployment import Deployment
    from deployctl.domain.change.readiness import Readiness
    from deployctl.domain.images.component import ComponentKind
    from deployctl.domain.images.release import Bundle, Release, ReleaseRole
    from deployctl.domain.inputs.names import AppName
    from deployctl.usecases.results import InstanceView


@dataclass(frozen=True, slots=True)
class SpecView:
    """What the containers of one component are created from."""

    name: str
    kind: Annotated[str, ComponentKind]
    needs: Annotated[Mapping[str, str], "Component → what it must be first: started, healthy or completed."]
    replicas: int
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """One version as it was deployed, with its release spec."""

    app: Annotated[str, AppName]
    release: Release
    role: Annotated[str, ReleaseRole]
    instance: InstanceView | None
    last: Deployment | None  # the last deployment whose target it was
    siblings: Annotated[tuple[int, ...], "Other releases of the same version, newest first."]
    readiness: Annotated[Readiness | None, "For a rollback to it; null: it is live, or being checked."] = None

    @property
    def components(self) -> Annotated[tuple[SpecView, ...], "The one that clients reach first; its spec is `bundle`, too."]:
        return tuple(SpecView(one.name, one.kind, {name: str(condition) for name, condition in one.needs},
                              self.release.replicas(one), one.bundle) for one in self.release.components)
