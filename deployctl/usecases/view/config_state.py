"""Whether an app's file is what was last deployed: an edit that nobody has deployed takes effect at the next upgrade,
by any user."""

from __future__ import annotations

from deployctl.dataclass import asdict
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.errors import Invalid, NotFound, Untrusted
from deployctl.usecases.results import ConfigCode, ConfigState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App
    from deployctl.domain.proxy.trust import ProxyTrust
    from deployctl.ports import Services
    from deployctl.usecases.results import DiffLine


def config_state(app: App, s: Services) -> ConfigState:
    """Return how the app's file compares with what was last deployed."""
    from deployctl.usecases.redaction import redact_lines

    if app.file is None or app.active is None:
        return ConfigState(ConfigCode.UNKNOWN)
    try:
        file = s.app_file(app.name)
    except NotFound:
        return ConfigState(ConfigCode.UNKNOWN)
    except (Invalid, Untrusted) as e:
        return ConfigState(ConfigCode.WRONG, why=e.message)
    if file.file == app.file:
        return ConfigState(ConfigCode.DEPLOYED)
    lines = _differences(AppFile.from_deployed(app.file), file)
    return ConfigState(ConfigCode.CHANGED if lines else ConfigCode.DEPLOYED, tuple(redact_lines(lines)))


def app_differences(now: App, wanted: App) -> list[DiffLine]:
    """Return the differences in address and policy, which belong to the app and not to a release."""
    from deployctl.usecases.view.diff import tables

    return [*tables("address", _addresses(now), _addresses(wanted)),
            *_beyond(now, wanted)]


def _differences(before: AppFile, after: AppFile) -> list[DiffLine]:
    from deployctl.usecases.view.diff import compare, tables

    image = tables("image", {"image": before.image}, {"image": after.image})
    return [*image, *compare(before.template, after.template),
            *tables("address", _addresses(before), _addresses(after)),
            *_beyond(before, after)]


def _beyond(before: App | AppFile, after: App | AppFile) -> list[DiffLine]:
    from deployctl.usecases.view.diff import tables

    return [*tables("policy", asdict(before.policy), asdict(after.policy)),
            *tables("proxy", _trust(before.trust), _trust(after.trust))]


def _trust(trust: ProxyTrust) -> dict[str, object]:
    """Return it under the names used in the file."""
    return {"trusted_proxies": trust.networks, "proxy_protocol": trust.proxy_protocol}


def _addresses(of: App | AppFile) -> dict[str, object]:
    from deployctl.domain.inputs.addresses import write_address

    found: dict[str, object] = {"listen": write_address(*of.listen)} if of.listen else {}
    found |= {f"ports.{name}": write_address(*listen) for name, listen in of.ports}
    return found | ({"host": ", ".join(of.hosts)} if of.hosts else {})
