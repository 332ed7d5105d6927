"""Remove a secret of an app with all its values, once no container needs it."""

from __future__ import annotations

from deployctl.errors import ConfirmationNeeded, NotFound, Refused
from deployctl.usecases.results import Done
from deployctl.usecases.secrets.needed import kept_with, spoken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

SECRET_REMOVED = "secret_removed"  # noqa: S105  a kind of event


def remove_secret(app: AppName, name: str, s: Services, *, confirmed: bool) -> Done:
    """Raises NotFound, Refused while a release with a container needs it, ConfirmationNeeded."""
    secrets = s.secrets()
    held = [one for one in secrets.held(app) if one.name == name]
    if not held:
        raise NotFound(f"{app} has no secret {name}.", remedy=[f"deployctl secret list {app}"])
    if using := kept_with(app, name, s):
        names = ", ".join(spoken(release, using) for release in using)
        raise Refused(f"{name} of {app} is needed by {names}. Nothing was removed.", code="secret_needed",
                      remedy=[f"remove it from config/{app}.toml, upgrade {app}, then: deployctl prune {app}"])
    if not confirmed:
        values = f"its {len(held)} values" if held[1:] else "its value"
        raise ConfirmationNeeded(f"This removes {name} of {app} with {values} for good. Remove it?")
    secrets.remove(app, name)
    s.ledger.event(SECRET_REMOVED, f"{name} of {app} was removed", at=s.clock.utc(), actor=s.actor, app=app,
                   data={"secret": name})
    return Done("RemoveSecret", app, f"{name} of {app} was removed")
