"""Which value each secret of an upgrade has now, checked before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.dataclass import replace
from deployctl.domain.inputs.names import owner_of
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Bundle
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import EngineInfo, Services


def look_up_secrets(components: tuple[Component, ...], app: AppName, engine: EngineInfo,
                    s: Services) -> tuple[Component, ...]:
    """Return the components with the current value of each secret that they name; those of a backing component are its app's.

    Raises Invalid (not set, or a variable that [env] sets, too), LauncherRefused, or why containers cannot have any.
    """
    secrets = s.secrets()
    current = secrets.current(app)
    found = tuple(replace(one, bundle=_with_values(one.bundle, current, owner_of(app))) for one in components)
    secrets.require_deliverable(engine)
    if any(ref.env for one in found for ref in one.bundle.secrets):
        s.exclusion().lay_launcher(engine.architecture, engine)
    return found


def _with_values(bundle: Bundle, current: Mapping[str, str], app: AppName) -> Bundle:
    missing = [ref.name for ref in bundle.secrets if ref.name not in current]
    if missing:
        raise Invalid(f"config/{app}.toml needs secrets that are not set: {', '.join(missing)}. Nothing was changed.",
                      code="secret_not_set", remedy=[f"deployctl secret set {app} {name}" for name in missing])
    twice = sorted({ref.env for ref in bundle.secrets if ref.env} & dict(bundle.env).keys())
    if twice:
        raise Invalid(f"{', '.join(twice)} would be set by a secret and as a plain variable. Nothing was changed.",
                      remedy=[f"remove it from [env] in config/{app}.toml, or from --env"])
    return replace(bundle, secrets=tuple(replace(ref, value=current[ref.name]) for ref in bundle.secrets))
