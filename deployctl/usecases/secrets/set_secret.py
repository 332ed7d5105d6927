"""Set a secret of an app. What runs is not touched: the next upgrade takes the value."""

from __future__ import annotations

from deployctl.errors import Invalid
from deployctl.usecases.read_facts import not_known
from deployctl.usecases.results import Done
from deployctl.usecases.secrets.needed import values_needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

MAX_VALUE_BYTES = 500 * 2**10
SECRET_SET = "secret_set"  # noqa: S105  a kind of event


def set_secret(app: AppName, name: str, value: bytes, s: Services) -> Done:
    """Encrypt and keep it. Values of releases that are kept stay for a rollback, all others go. Raises Invalid, NotFound
    for an unknown app, or what Secrets raises."""
    if not value or len(value) > MAX_VALUE_BYTES:
        raise Invalid(f"the value of {name} is {'empty' if not value else f'longer than {MAX_VALUE_BYTES:,} bytes'}. "
                      "Nothing was changed.")
    require_known_app(app, s)
    former = s.secrets().current(app).get(name, "")  # an upgrade in progress may have begun with it
    id_, changed = s.secrets().set(app, name, value)
    if not changed:
        return Done("SetSecret", app, f"{name} of {app} has that value already", changed=False)
    s.ledger.event(SECRET_SET, f"{name} of {app} was set", at=s.clock.utc(), actor=s.actor, app=app,
                   data={"secret": name, "value": id_})
    s.secrets().keep_only(app, {former, *values_needed(app, s)})
    return Done("SetSecret", app, f"{name} of {app} was set", (_next(app, name, s),))


def require_known_app(app: AppName, s: Services) -> None:
    """Raise NotFound for an app that is neither deployed nor has a file."""
    known = {one.name for one in s.ledger.apps()} | {*s.app_files()}
    if app not in known:
        remedy = [f"deployctl init {app} --image IMAGE:TAG", "deployctl app list"]
        raise not_known(f'no app "{app}".', app, sorted(known), remedy=remedy)


def _next(app: AppName, name: str, s: Services) -> str:
    """Return what makes use of the value."""
    known = s.ledger.find_app(app)
    active = s.ledger.find_release(app, known.active) if known and known.active is not None else None
    if active is None:
        return f"config/{app}.toml gets it with: secrets = [\"{name}\"]"
    return f"What runs keeps what it has. deployctl upgrade {app} {active.version} makes a release with the value."
