"""config/server.toml as a pydantic model. Loaded only if that file has keys: a rollback without it saves 50 ms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from deployctl.config.error_texts import parse_table
from deployctl.config.fields import ConfigTable, by, one_of
from deployctl.domain.change.retention import require_room
from deployctl.domain.host.allowance import KEYS
from deployctl.domain.host.server import NOTHING, Allowance, ServerSpec, WebSpec
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.inputs.addresses import listed, overlap, parse_listen, parse_networks, parse_pool, write_address
from deployctl.domain.inputs.grammar import Grammar, match, refused
from deployctl.domain.inputs.names import parse_app, parse_directory, parse_env_value, parse_host, parse_registry
from deployctl.domain.inputs.quantities import (
    DAY_SECONDS,
    parse_count,
    parse_duration,
    parse_flag,
    parse_port_range,
    parse_port_text,
)
from deployctl.errors import Invalid

DEFAULT_SERVER = ServerSpec()
_LABEL = Grammar(
    "a label",
    r"[a-z0-9](?:[a-z0-9._/-]{0,126}[a-z0-9])?",
    "A label has a-z, 0-9, dots, hyphens, _ and /; put one with dots in quotes.",
)
_URL = Grammar(
    "an engine address",
    r"unix:///[^\s\x00-\x1f\x7f\"'\\]{1,200}"
    r"|tcp://(?P<tcp>[a-z0-9.-]+):(?P<tcp_port>[0-9]+)"
    r"|ssh://(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}@)?(?P<ssh>[a-z0-9.-]+)(?::(?P<ssh_port>[0-9]+))?",
    "An engine is unix:///path, tcp://host:port or ssh://user@host.",
)
_PROGRAM = Grammar(
    "a program path",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[A-Za-z0-9_.+@-]{1,255}){1,32}",
    "A program is an absolute path without spaces: /usr/sbin/haproxy.",
)
_KEY_FILE = Grammar(
    "a path of a file",
    _PROGRAM.pattern,
    "A key file is an absolute path without spaces: /etc/deployctl/secrets.key.",
)
_WEB_URL = Grammar(
    "a dashboard URL",
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,6}))?",
    'The URL of the dashboard has a host and no path: "https://deploy.example.com".',
)
_USUAL_PORTS = {"http": 80, "https": 443}


# -- values of this file only -----------------------------------------------------------------------------------
def parse_engine_url(value: object, *, field: str = "engine.url") -> str:
    """Return the URL; its host can never be taken for an option of ssh."""
    found = match(value, _URL, field)
    for scheme in ("tcp", "ssh"):
        if found[scheme]:
            parse_host(found[scheme], field=field)
        if found[f"{scheme}_port"]:
            parse_port_text(found[f"{scheme}_port"], field=field)
    return found[0]


def parse_label(value: object, *, field: str = "label") -> str:
    name = match(value, _LABEL, field)[0]
    if name.startswith("deployctl.") and name != "deployctl.demo":
        raise refused(field, name, "is reserved for deployctl itself", "Choose another name.")
    return name


def parse_program(value: object, *, field: str = "binary") -> str:
    return match(value, _PROGRAM, field)[0]


def parse_key_file(value: object, *, field: str = "key_file") -> str:
    return match(value, _KEY_FILE, field)[0]


def parse_web_url(value: object, *, field: str = "web.url") -> str:
    """Return scheme, host, and the port unless it is the default: exactly what a browser sends as Host."""
    found = match(value, _WEB_URL, field, guess=_web_url_guess)
    host, port = parse_host(found["host"], field=field), parse_port_text(found["port"] or "80", field=field)
    unusual = found["port"] and port != _USUAL_PORTS[found["scheme"]]
    return f"{found['scheme']}://{host}{f':{port}' if unusual else ''}"


def _web_url_guess(text: str) -> str:
    scheme, _, rest = text.strip().rpartition("://")
    return f"{scheme or 'https'}://{rest.partition('/')[0]}".lower()


def parse_registries(value: object, *, field: str = "registries") -> tuple[str, ...]:
    return tuple(parse_registry(one, field=field) for one in listed(value, field, '["registry.example.com"]'))


def parse_allowed_keys(value: object, *, field: str = "keys") -> tuple[str, ...]:
    names = listed(value, field, '["sysctls"]')
    for name in names:
        if name not in KEYS:
            raise refused(field, name, "is not a key that can be allowed", f"Keys: {', '.join(KEYS)}.")
    return tuple(sorted({*map(str, names)}))


def parse_binds(value: object, *, field: str = "binds") -> tuple[str, ...]:
    return tuple(parse_directory(one, field=field) for one in listed(value, field, '["/srv/media"]'))


# -- the tables -------------------------------------------------------------------------------------------------
class EngineTable(ConfigTable):
    url: Annotated[str | None, by(parse_engine_url)] = DEFAULT_SERVER.engine_url
    timeout: Annotated[float, by(parse_duration, low=1, high=600)] = DEFAULT_SERVER.engine_timeout
    labels: dict[Annotated[str, by(parse_label)], Annotated[str, by(parse_env_value)]] = Field(default_factory=dict)


class HaproxyTable(ConfigTable):
    binary: Annotated[str | None, by(parse_program)] = DEFAULT_SERVER.haproxy_binary


class ProxyTable(ConfigTable):
    http: Annotated[tuple[str, int], by(parse_listen)] = DEFAULT_SERVER.http
    preview_from: Annotated[tuple[str, ...], by(parse_networks)] = DEFAULT_SERVER.preview_from
    trusted_proxies: Annotated[tuple[str, ...], by(parse_networks)] = DEFAULT_SERVER.trusted_proxies
    proxy_protocol: Annotated[bool, by(parse_flag)] = DEFAULT_SERVER.proxy_protocol
    timeout: Annotated[float, by(parse_duration, low=1)] = DEFAULT_SERVER.client_timeout
    tunnel: Annotated[float, by(parse_duration, low=1, high=7 * DAY_SECONDS)] = DEFAULT_SERVER.tunnel_timeout


class NetworkTable(ConfigTable):
    pool: Annotated[str, by(parse_pool)] = DEFAULT_SERVER.pool
    reach: Annotated[str, one_of("auto", "bridge", "loopback")] = DEFAULT_SERVER.reach


class PortsTable(ConfigTable):
    range: Annotated[tuple[int, int], by(parse_port_range)] = DEFAULT_SERVER.ports


class WebTable(ConfigTable):
    listen: Annotated[tuple[str, int], by(parse_listen)] = DEFAULT_SERVER.web.listen
    url: Annotated[str | None, by(parse_web_url)] = DEFAULT_SERVER.web.url
    enabled: Annotated[bool, by(parse_flag)] = DEFAULT_SERVER.web.enabled
    proxies: Annotated[tuple[str, ...], by(parse_networks)] = DEFAULT_SERVER.web.proxies
    connections: Annotated[int, by(parse_count, low=8, high=1000)] = DEFAULT_SERVER.web.connections
    head_timeout: Annotated[float, by(parse_duration, low=1, high=60)] = DEFAULT_SERVER.web.head_timeout
    streams: Annotated[int, by(parse_count, low=1, high=24)] = DEFAULT_SERVER.web.streams


class SecretsTable(ConfigTable):
    key_file: Annotated[str | None, by(parse_key_file)] = DEFAULT_SERVER.secret_key


class RetentionTable(ConfigTable):
    keep_warm: Annotated[int, by(parse_count, high=50)] = DEFAULT_SERVER.keep_warm
    keep_stopped: Annotated[int, by(parse_count, high=1000)] = DEFAULT_SERVER.keep_stopped


class AllowTable(ConfigTable):
    """One table [allow.APP]: what that app may have of this server."""

    keys: Annotated[tuple[str, ...], by(parse_allowed_keys)] = ()
    binds: Annotated[tuple[str, ...], by(parse_binds)] = ()
    docker_socket: Annotated[bool, by(parse_flag)] = False


class ServerFile(ConfigTable):
    """The complete config/server.toml."""

    registries: Annotated[tuple[str, ...], by(parse_registries)] = DEFAULT_SERVER.registries
    pull: Annotated[str, one_of(*PullPolicy)] = DEFAULT_SERVER.pull
    engine: EngineTable = EngineTable()
    haproxy: HaproxyTable = HaproxyTable()
    proxy: ProxyTable = ProxyTable()
    network: NetworkTable = NetworkTable()
    ports: PortsTable = PortsTable()
    retention: RetentionTable = RetentionTable()
    web: WebTable = WebTable()
    secrets: SecretsTable = SecretsTable()
    allow: dict[Annotated[str, by(parse_app)], AllowTable] = Field(default_factory=dict)

    def spec(self) -> ServerSpec:
        """Return the same values as the plain dataclass that everything else uses."""
        return ServerSpec(
            engine_url=self.engine.url,
            engine_timeout=self.engine.timeout,
            labels=tuple(sorted(self.engine.labels.items())),
            haproxy_binary=self.haproxy.binary,
            http=self.proxy.http,
            preview_from=self.proxy.preview_from,
            trusted_proxies=self.proxy.trusted_proxies,
            proxy_protocol=self.proxy.proxy_protocol,
            client_timeout=self.proxy.timeout,
            tunnel_timeout=self.proxy.tunnel,
            pool=self.network.pool,
            reach=self.network.reach,
            ports=self.ports.range,
            keep_warm=self.retention.keep_warm,
            keep_stopped=self.retention.keep_stopped,
            registries=self.registries,
            pull=PullPolicy(self.pull),
            web=WebSpec(self.web.listen, self.web.url, self.web.enabled, self.web.proxies, self.web.connections,
                        self.web.head_timeout, self.web.streams),
            secret_key=self.secrets.key_file,
            allow=tuple((app, told) for app, table in sorted(self.allow.items())
                        if (told := Allowance(table.keys, table.binds, table.docker_socket)) != NOTHING),
        )


def parse_server_spec(raw: Mapping[str, Any], *, where: str) -> ServerSpec:
    """Return the spec, or raise Invalid with every mistake of the table at once."""
    spec = parse_table(ServerFile, raw, where=where).spec()
    require_room(keep_warm=spec.keep_warm, keep_stopped=spec.keep_stopped, where=where)
    for key, (_, port) in (("proxy.http", spec.http), *([("web.listen", spec.web.listen)] if spec.web.enabled else [])):
        if spec.ports[0] <= port <= spec.ports[1]:
            raise Invalid(f"{where}: the port of {key} is inside ports.range.", remedy=["Change one of the two."])
    if spec.proxy_protocol and not spec.trusted_proxies:
        raise Invalid(f"{where}: proxy.proxy_protocol = true requires proxy.trusted_proxies.",
                      remedy=['Write trusted_proxies = ["10.0.0.0/8"] in [proxy], with the networks of the upstream proxies.'])
    if spec.web.enabled and overlap(spec.web.listen, spec.http):
        taken = write_address(*spec.web.listen)
        raise Invalid(f"{where}: web.listen = {taken} is taken: proxy.http is {write_address(*spec.http)}.",
                      remedy=["Change one of the two."])
    return spec
