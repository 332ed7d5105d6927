"""The map of fronts: apps with an untrusted proxy on this machine in front of them.

HAProxy itself adds an app (key: the app) when it drops a forwarded header. What 0.1.0 still passed on cannot be known,
so when our configuration replaces its, apps reachable from here are presumed (key: `<app>.presumed`) to be behind this
machine's web server.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.trust import DroppedFront
from deployctl.effects.haproxy.master import members
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.linux.port_holder import find_web_server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.effects.haproxy.home import HaproxyHome

_PRESUMED = ".presumed"
_FROM_HERE = ("127.", "::1", "0.0.0.0", "::")  # noqa: S104  compared


def presumed_fronts(table: TrafficTable, spec: ServerSpec, former: str, home: HaproxyHome) -> dict[str, str]:
    """Return the initial map; `former` is the configuration on disk."""
    if not former or wire.FRONT in former or find_web_server(but=set(members(home))) is None:
        return {}
    by_host = set(table.hosts.values()) if spec.http[0].startswith(_FROM_HERE) else set()
    apps = {app for app, (address, _) in table.listens.items() if address.startswith(_FROM_HERE)} | by_host
    return {f"{app}{_PRESUMED}": "1" for app in sorted(apps)}


def read_fronts(found: Mapping[str, str], table: TrafficTable, spec: ServerSpec,
                home: HaproxyHome) -> dict[AppName, DroppedFront]:
    """Return the contents of HAProxy's map; a presumption ends once trusted proxies are set, even to none."""
    apps = sorted({key.removesuffix(_PRESUMED) for key in found})
    seen = {app: app in found for app in apps}
    program = find_web_server(but=set(members(home)))
    return {
        AppName(app): DroppedFront(program, seen[app])
        for app in apps
        if seen[app] or (program and not _is_said(AppName(app), table, spec))
    }


def _is_said(app: AppName, table: TrafficTable, spec: ServerSpec) -> bool:
    own = table.trust.get(app)
    return bool(spec.trusted_proxies) or (own is not None and own.networks is not None)
