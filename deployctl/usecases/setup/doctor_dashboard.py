"""Whether a browser would send the dashboard's cookies to apps: a cookie knows a host name and no port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from deployctl.domain.inputs.addresses import write_address
from deployctl.usecases.listings import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import WebSpec
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1"})
OF_VERSIONS = frozenset({"127.0.0.1", "localhost"})  # what people type before the port of a version


def dashboard(s: Services) -> Iterator[Finding]:
    """Yield a warning if people sign in under a host name that also leads to apps."""
    if not s.spec.web.enabled or not s.ledger.users():
        return
    apps = s.ledger.apps()
    found = sharing(s.spec.web, {app.name: app.listen for app in apps if app.listen},
                    {app.name: app.hosts for app in apps})
    if found:
        yield Finding("dashboard", ok=False, fatal=False, message=_text(s.spec.web, found), fix=_fix(s.spec.web),
                      code="shared_host_name")


def sharing(
    web: WebSpec, listens: Mapping[AppName, tuple[str, int]], hosts: Mapping[AppName, tuple[str, ...]]
) -> list[AppName]:
    """Return the apps that a browser reaches under the dashboard's own host name. Under TLS its cookies go to no port
    without.

    `hosts` has every app: whatever it listens on, each of its versions has a port of its own on 127.0.0.1.
    """
    url = urlsplit(web.base)
    bare, host = url.scheme == "http", url.hostname or ""
    by_port = {app for app, (address, _) in listens.items() if bare and _leads_to(address, host)}
    by_name = {app for app, names in hosts.items() if host in names or (bare and host in OF_VERSIONS)}
    return sorted(by_port | by_name)


def _leads_to(address: str, host: str) -> bool:
    return address == host or (address in LOOPBACK_HOSTS and host == "localhost") or \
        (address in EVERYWHERE and not host.endswith(".localhost"))


def _text(web: WebSpec, apps: list[AppName]) -> str:
    named = ", ".join(apps[:3]) + (f" and {len(apps) - 3} more" if len(apps) > 3 else "")
    return (f"{web.base} shares its host name with {named}: a browser sends them the dashboard's cookies, which HAProxy drops. "
            "Requests that bypass HAProxy include them, such as those to a version's own port on 127.0.0.1")


def _fix(web: WebSpec) -> str:
    port = write_address(*web.listen).rpartition(":")[2]
    local = web.listen[0] in LOOPBACK_HOSTS and web.url is None
    return f'url = "http://deployctl.localhost:{port}" in [web] of config/server.toml' if local else \
        "web.url in config/server.toml: a host name that no app uses"
