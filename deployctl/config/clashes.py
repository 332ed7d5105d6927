"""Two apps, or an app and this server, that claim the same address or host name. Reported before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

from deployctl.config.app import AppSpec
from deployctl.dataclass import dataclass
from deployctl.domain.inputs.addresses import overlap, write_address
from deployctl.domain.inputs.names import AppName
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec

Specs = Mapping[AppName, AppSpec]


@dataclass(frozen=True, slots=True)
class Clash:
    apps: tuple[AppName, ...]
    sentence: str


def clashes(specs: Specs, server: ServerSpec) -> list[Clash]:
    """Return every conflict, those between apps first."""
    between = [clash for a, b in _pairs(specs) for clash in _between(a, specs[a], b, specs[b])]
    return between + [clash for app, spec in sorted(specs.items()) for clash in _with_server(app, spec, server)]


def _pairs(specs: Specs) -> list[tuple[AppName, AppName]]:
    """Return the pairs of apps with a port or a host name in common: with a thousand apps there are few."""
    claiming: dict[int | str, list[AppName]] = {}
    for app, spec in sorted(specs.items()):
        claims: set[int | str] = {*spec.hosts, *(port for _, port in spec.listens().values())}
        for claim in claims:
            claiming.setdefault(claim, []).append(app)
    return sorted({pair for apps in claiming.values() for pair in combinations(apps, 2)})


def require_no_clashes(specs: Specs, server: ServerSpec, *, app: AppName | None = None) -> None:
    """Raise Invalid with every conflict, or only with those of one app."""
    require_none([clash for clash in clashes(specs, server) if app is None or app in clash.apps])


def require_none(found: Sequence[Clash]) -> None:
    """Raise Invalid with those conflicts, if there are any."""
    if found:
        more = f" There are {len(found)} conflicts." if len(found) > 1 else ""
        error = Invalid(found[0].sentence + more, remedy=["Change one of the two files."])
        error.details = [clash.sentence for clash in found[1:]]
        raise error


def _between(a: AppName, one: AppSpec, b: AppName, other: AppSpec) -> Iterator[Clash]:
    for (key, listen), (other_key, other_listen) in product(one.listens().items(), other.listens().items()):
        if overlap(listen, other_listen):
            theirs = f"config/{a}.toml has {key} = {write_address(*listen)}"
            yield Clash((a, b), f"config/{b}.toml: {other_key} = {write_address(*other_listen)} is taken: {theirs}.")
    for host in sorted(set(one.hosts) & set(other.hosts)):
        yield Clash((a, b), f"config/{b}.toml: host = {host} is taken by config/{a}.toml.")


def _with_server(app: AppName, spec: AppSpec, server: ServerSpec) -> Iterator[Clash]:
    for name, listen in spec.listens().items():
        yield from _address_with_server(app, f"config/{app}.toml: {name} = {write_address(*listen)}", listen, server)
    if spec.listen and spec.proxy_protocol and spec.trusted_proxies is None and not server.trusted_proxies:
        yield Clash((app,), f"config/{app}.toml: proxy_protocol = true requires trusted_proxies: "
                            'write trusted_proxies = ["10.0.0.0/8"], with the networks of the upstream proxies.')


def _address_with_server(app: AppName, key: str, listen: tuple[str, int], server: ServerSpec) -> Iterator[Clash]:
    low, high = server.ports
    if overlap(listen, server.http):
        http = write_address(*server.http)
        yield Clash((app,), f"{key} is taken: proxy.http of config/server.toml is {http}, which routes host names.")
    if server.web.enabled and overlap(listen, server.web.listen):
        web = write_address(*server.web.listen)
        yield Clash((app,), f"{key} is taken: web.listen of config/server.toml is {web}, the dashboard's address.")
    if low <= listen[1] <= high:
        yield Clash((app,), f"{key} is inside ports.range of config/server.toml ({low}-{high}), reserved for instances.")
