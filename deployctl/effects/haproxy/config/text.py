"""The contents of state/haproxy as text: haproxy.cfg and its maps are functions of the table and this server's
settings.

Only the server lines and the maps change with a deployment; HAProxy gets them at run time. Everything above the server
lines is the head: a change of it needs a reload, and then the head gets another token. The worker reports the token it
was started with, so what runs is always known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from deployctl import __version__
from deployctl.dataclass import dataclass
from deployctl.effects.haproxy.config.maps import map_text as map_text
from deployctl.effects.haproxy.config.maps import maps as maps
from deployctl.effects.haproxy.config.maps import placed_backends
from deployctl.effects.haproxy.config.maps import read_map as read_map
from deployctl.effects.haproxy.socket import wire
from deployctl.errors import Invalid
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.proxy.traffic import Backend, TrafficTable

_WRITTEN_BY = "# Written by deployctl"
NOBODY = 65534
BUFFER = 40960  # bytes, for headers with 32 KiB of cookies; HAProxy's default 16 KiB reject them. Allocated only while in use
_BIND = pattern(r"^  bind \[?([0-9a-fA-F.:]+?)\]?:(\d+)(?: v6only)? name (\S+)$", re.MULTILINE)
_SERVER = pattern(r"^(?:backend (\S+)$|  server (\S+) (\S+) (.*)$)", re.MULTILINE)
_SERVER_LINE = "  server "


@dataclass(frozen=True, slots=True)
class ProxyHost:
    """What the configuration must know of where it runs."""

    socket: str  # of the worker
    gates: str  # path of the private bind, without the token at its end
    threads: int
    drop_root: bool  # the worker drops root and keeps only what binding to a bridge may need
    version: tuple[int, int] = (2, 8)  # of HAProxy


def render(table: TrafficTable, spec: ServerSpec, machine: ProxyHost, token: str) -> str:
    from deployctl.effects.haproxy import gate, trace
    from deployctl.effects.haproxy.config import cookies, queue
    from deployctl.effects.haproxy.config import request_counts as tally

    version, private = machine.version, f"{machine.gates}{wire.require_name(token)[-8:]}"
    servers, scripts = _servers(table), [queue.LOAD] if table.queues else []
    head = [*_global(spec, machine, token, scripts=scripts), *_defaults(spec), *_frontend(table, spec, private),
            gate.answer_rule(table), tally.rules(version), trace.LOG_SILENT, *_who(table), tally.section(version),
            *_pools(table, servers), _named_backend(table), cookies.rules(dashboard=spec.web.enabled),
            *servers.get(wire.APPS, ())]
    return "\n".join(head) + "\n"


def _servers(table: TrafficTable) -> dict[str, list[str]]:
    """Return the lines of all servers by the backend that they are in."""
    found: dict[str, list[str]] = {}
    for place, backend in placed_backends(table).items():
        found.setdefault(wire.section_of(place), []).append(_server(backend))
    return found


def _server(backend: Backend) -> str:
    return f"  server {wire.backend_name(backend)} {wire.server_words(backend)}"


def _pools(table: TrafficTable, servers: Mapping[str, list[str]]) -> list[str]:
    if not table.replicated:
        return []
    from deployctl.effects.haproxy.config.pools import pools, section

    return [line for pool in pools(table) for line in (section(pool), *servers.get(pool, ()))]


def _global(spec: ServerSpec, machine: ProxyHost, token: str, *, scripts: Sequence[str]) -> list[str]:
    from deployctl.effects.haproxy import trace

    return [
        f"{_WRITTEN_BY} {__version__} from its ledger. Manual changes are reported as drift and overwritten.",
        "global",
        f"  description {token}",
        f"  stats socket {machine.socket} mode 600 level admin expose-fd listeners",
        f"  hard-stop-after {_ms(spec.tunnel_timeout)}",
        f"  mworker-max-reloads {wire.MOST_LEAVING}",
        "  noreuseport",
        f"  nbthread {machine.threads}",
        "  fd-hard-limit 100000",
        f"  tune.bufsize {BUFFER}",
        *([f"  uid {NOBODY}", f"  gid {NOBODY}", "  setcap cap_net_raw"] if machine.drop_root else []),
        *scripts,
        trace.RING,
    ]


def _defaults(spec: ServerSpec) -> list[str]:
    return [
        "defaults",
        "  mode http",
        "  timeout connect 1s",
        f"  timeout client {_ms(spec.client_timeout)}",
        f"  timeout server {_ms(spec.client_timeout)}",
        f"  timeout tunnel {_ms(spec.tunnel_timeout)}",
        "  timeout http-request 10s",
        "  timeout http-keep-alive 30s",
        "  retries 3",
        "  option redispatch",
        "  retry-on conn-failure",
    ]


def _ms(seconds: float) -> str:
    return f"{wire.require_number(round(seconds * 1000))}ms"


def _frontend(table: TrafficTable, spec: ServerSpec, private: str) -> list[str]:
    from deployctl.effects.haproxy import gate, trace
    from deployctl.effects.haproxy.config import queue
    from deployctl.effects.haproxy.config.trust import connection_lines, header_lines

    binds = [*_binds(table, spec), gate.bind(private)]
    waits = [queue.RULES] if table.queues else []
    rules = [*_preview(spec), *connection_lines(table, spec), _whose(table), gate.GATE_RULES, *waits, _WHICH,
             *gate.release_rules(table), _ANSWERED, *_where(table)]
    return ["frontend pub", *binds, trace.LOG, *rules, *header_lines(table)]


def _binds(table: TrafficTable, spec: ServerSpec) -> list[str]:
    from deployctl.effects.haproxy.config.trust import BY_HOST

    wanted = {wire.require_app(app): wire.bind_words(*listen) for app, listen in sorted(table.listens.items())}
    if table.hosts:
        wanted[BY_HOST] = wire.bind_words(*spec.http)
    wanted |= {wire.require_name(port): wire.bind_words(*listen) for port, listen in sorted(table.ports.items())}
    if twice := {where for where in wanted.values() if list(wanted.values()).count(where) > 1}:
        raise Invalid(f"several apps would listen on {', '.join(sorted(twice))}")
    return [f"  bind {where} name {name}" for name, where in wanted.items()]


def _preview(spec: ServerSpec) -> list[str]:
    """Match clients that may choose a version; several lines of one acl are alternatives."""
    from ipaddress import ip_network  # not needed by a rollback

    try:
        return [f"  acl preview src {ip_network(net, strict=False)}" for net in spec.preview_from] or [_NO_PREVIEW]
    except ValueError as e:
        raise Invalid(f"preview_from: {e}") from e


_NO_PREVIEW = "  acl preview always_false"

# txn.app is the request's app, txn.release the release that handles it. A requested version applies
# only if known.map has exactly <app>.<version>: an app has no dot, so no client's text reaches another app.
_WHOSE = r"""
  option idle-close-on-response
  http-request disable-l7-retry unless METH_GET
  acl by_host so_name -m str -- -
  http-request set-var(txn.app) so_name unless by_host
  http-request set-var(txn.app) req.hdr(host),host_only,lower,rtrim(.),map_str(host.map) if by_host""".lstrip("\n")

_WHICH = r"""
  acl somebody var(txn.app) -m found
  http-request set-var(txn.asked) req.hdr(host),bytes(0,100),url_enc unless somebody
  http-request return status 404 content-type text/plain string "No app has this host name.\n" unless somebody
  http-request set-var(txn.route) var(txn.app),map_str(route.map)
  http-request set-var(txn.release) var(txn.route),field(1,:)
  http-request set-var(txn.percent) var(txn.route),field(3,:)
  http-request set-var(txn.die) rand(100)
  acl shared var(txn.percent) -m found
  acl drawn var(txn.die),sub(txn.percent) lt 0
  http-request set-var(txn.release) var(txn.route),field(2,:) if shared drawn
  http-request set-var(txn.want) req.fhdr(X-Deployctl-Version) if preview
  http-request set-var(txn.key) var(txn.app),concat(.,txn.want) if { var(txn.want) -m found }
  http-request set-var(txn.named) var(txn.key),map_str(known.map) if { var(txn.key) -m found }
  acl named var(txn.named) -m found
  http-request set-var(txn.release) var(txn.named),field(1,:) if named
  http-request del-header X-Deployctl-Version unless named
  http-request set-var(txn.crumb) req.cook(dctl_v) if preview !named
  http-request set-var(txn.jar) var(txn.app),concat(.,txn.crumb) if { var(txn.crumb) -m found }
  http-request set-var(txn.baked) var(txn.jar),map_str(known.map) if { var(txn.jar) -m found }
  http-request unset-var(txn.baked) if { var(txn.baked),field(2,:) -m found }
  acl baked var(txn.baked) -m found
  http-request set-var(txn.release) var(txn.baked) if baked""".lstrip("\n")

_ANSWERED = r"""
  acl routed var(txn.release) -m found
  http-request return status 503 content-type text/plain hdr Retry-After 5 string "No live release.\n" unless routed
  http-request set-var(txn.server) var(txn.app),concat(.,txn.release)
  http-response set-header X-Deployctl-Version %[var(txn.server),map_str(version.map)]""".lstrip("\n")

# Where a release has several servers: txn.way is what the request is for, the release or a component's port of it, and
# txn.pool the backend of its replicas. A bind that is named APP.PORT is a further port. Homes without any have none of this.
_FURTHER = r"""
  http-request set-var(txn.port) so_name,field(2,.)
  acl further var(txn.port) -m found
  http-request set-var(txn.door) var(txn.server),concat(.,txn.port) if further
  http-request unset-var(txn.way) if further
  http-request set-var(txn.way) var(txn.door),map_str(port.map) if further
  acl led var(txn.way) -m found
  http-request return status 503 content-type text/plain string "No such port in this release.\n" unless led""".lstrip("\n")


def _whose(table: TrafficTable) -> str:
    return _WHOSE.replace("set-var(txn.app) so_name unless", "set-var(txn.app) so_name,field(1,.) unless") if table.ports else (
        _WHOSE)


def _is_wide(table: TrafficTable) -> bool:
    """Return whether a release may have more than the one server that bears its name."""
    return bool(table.replicated or table.ports)


def _where(table: TrafficTable) -> list[str]:
    if not _is_wide(table):
        return []
    from deployctl.effects.haproxy import gate

    return ["  http-request set-var(txn.way) var(txn.server)", *([_FURTHER] if table.ports else []), gate.GATE_WAY_RULES,
            *(["  http-request set-var(txn.pool) var(txn.way),map_str(pool.map)"] if table.replicated else [])]


def _who(table: TrafficTable) -> list[str]:
    pooled = ["  use_backend %[var(txn.pool)] if { var(txn.pool) -m found }"] if table.replicated else []
    return [*pooled, "  default_backend apps"]


def _named_backend(table: TrafficTable) -> str:
    return f"""backend {wire.APPS}
  balance roundrobin
  use-server %[var(txn.{"way" if _is_wide(table) else "server"})] if TRUE"""


# -- reading a configuration on disk ---------------------------------------------------------------------------------
def token_of(config: str) -> str | None:
    found = re.search(r"^  description ([A-Za-z0-9_.-]+)$", config, re.MULTILINE)
    return found[1] if found else None


def of_another_build(config: str) -> bool:
    """Return whether another version of deployctl wrote it, whose text may differ without being wrong."""
    return config.startswith(_WRITTEN_BY) and not config.startswith(f"{_WRITTEN_BY} {__version__} ")


def head_of(config: str) -> str:
    """Return everything but the servers."""
    return "".join(line for line in config.splitlines(keepends=True) if not line.startswith(_SERVER_LINE))


def binds_of(config: str) -> dict[str, tuple[str, int]]:
    """Return where it listens for clients, by app, or by BY_HOST where host names decide."""
    return {found[3]: (found[1], int(found[2])) for found in _BIND.finditer(config)}


def servers_of(config: str) -> dict[str, tuple[str, str]]:
    """Return the servers by place: each one's address, and the rest of its line."""
    section, servers = wire.APPS, dict[str, tuple[str, str]]()
    for found in _SERVER.finditer(config):
        if found[1]:
            section = found[1]
        else:
            servers[wire.placed(section, found[2])] = found[3], found[4]
    return servers


def needs_reload(former: str, wanted: str) -> bool:
    """Return whether two configurations with the same token differ in more than servers that come, go or move."""
    before, after = servers_of(former), servers_of(wanted)
    rebound = any(before[name][1] != after[name][1] for name in before.keys() & after.keys())
    return rebound or head_of(former) != head_of(wanted)


def keep_head(former: str, wanted: str) -> str:
    """Return the wanted servers below the former head, with the lines they had: what runs after a rejected reload."""
    before, after = servers_of(former), servers_of(wanted)
    lines: dict[str, list[str]] = {}
    for place in after:
        lines.setdefault(wire.section_of(place), []).append(
            f"  server {place.rpartition('/')[2]} {' '.join(before.get(place, after[place]))}\n")
    first, *sections = re.split(r"(?m)^(?=backend )", head_of(former))
    return first + "".join(head + "".join(lines.get(head.split(maxsplit=2)[1], ())) for head in sections)
