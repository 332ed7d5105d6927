"""The contents of state/haproxy as text: haproxy.cfg and its maps are functions of the table and this server's
settings.

Only the server lines and the maps change with a deployment; HAProxy gets them at run time. Everything above the server
lines is the head: a change of it needs a reload, and then the head gets another token. The worker reports the token it
was started with, so what runs is always known.
"""

from __future__ import annotations

import re

from deployctl import __version__
from deployctl.dataclass import dataclass
from deployctl.effects.haproxy.config.maps import map_text as map_text
from deployctl.effects.haproxy.config.maps import maps as maps
from deployctl.effects.haproxy.config.maps import ordered_backends
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
_SERVER = pattern(r"^  server (\S+) (\S+) (.*)$", re.MULTILINE)


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
    from deployctl.effects.haproxy.config import cookies
    from deployctl.effects.haproxy.config import request_counts as tally

    version, private = machine.version, f"{machine.gates}{wire.require_name(token)[-8:]}"
    head = [*_global(spec, machine, token), *_defaults(spec), *_frontend(table, spec, private), gate.GATE_ANSWER_RULE,
            tally.rules(version), trace.LOG_SILENT, _WHO, tally.section(version), _BACKEND,
            cookies.rules(dashboard=spec.web.enabled)]
    return "\n".join(head) + "\n" + "".join(f"{_server(backend)}\n" for backend in ordered_backends(table))


def _server(backend: Backend) -> str:
    return f"  server {wire.backend_name(backend)} {wire.server_words(backend)}"


def _global(spec: ServerSpec, machine: ProxyHost, token: str) -> list[str]:
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
    from deployctl.effects.haproxy.config.trust import connection_lines, header_lines

    binds = [*_binds(table, spec), gate.bind(private)]
    rules = [*_preview(spec), *connection_lines(table, spec), _WHOSE, gate.GATE_RULES, _WHICH, gate.GATE_RELEASE_RULE,
             _ANSWERED]
    return ["frontend pub", *binds, trace.LOG, *rules, *header_lines(table)]


def _binds(table: TrafficTable, spec: ServerSpec) -> list[str]:
    from deployctl.effects.haproxy.config.trust import BY_HOST

    wanted = {wire.require_app(app): wire.bind_words(*listen) for app, listen in sorted(table.listens.items())}
    if table.hosts:
        wanted[BY_HOST] = wire.bind_words(*spec.http)
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

_WHO = "  default_backend apps"

_BACKEND = """backend apps
  balance roundrobin
  use-server %[var(txn.server)] if TRUE"""


# -- reading a configuration on disk ---------------------------------------------------------------------------------
def token_of(config: str) -> str | None:
    found = re.search(r"^  description ([A-Za-z0-9_.-]+)$", config, re.MULTILINE)
    return found[1] if found else None


def of_another_build(config: str) -> bool:
    """Return whether another version of deployctl wrote it, whose text may differ without being wrong."""
    return config.startswith(_WRITTEN_BY) and not config.startswith(f"{_WRITTEN_BY} {__version__} ")


def head_of(config: str) -> str:
    return config[: config.index("\n  server ") + 1] if "\n  server " in config else config


def binds_of(config: str) -> dict[str, tuple[str, int]]:
    """Return where it listens for clients, by app, or by BY_HOST where host names decide."""
    return {found[3]: (found[1], int(found[2])) for found in _BIND.finditer(config)}


def servers_of(config: str) -> dict[str, tuple[str, str]]:
    """Return the servers by name: each one's address, and the rest of its line."""
    return {found[1]: (found[2], found[3]) for found in _SERVER.finditer(config)}


def needs_reload(former: str, wanted: str) -> bool:
    """Return whether two configurations with the same token differ in more than servers that come, go or move."""
    before, after = servers_of(former), servers_of(wanted)
    rebound = any(before[name][1] != after[name][1] for name in before.keys() & after.keys())
    return rebound or head_of(former) != head_of(wanted)


def keep_head(former: str, wanted: str) -> str:
    """Return the wanted servers below the former head, with the lines they had: what runs after a rejected reload."""
    before, after = servers_of(former), servers_of(wanted)
    lines = (f"  server {name} {' '.join(before.get(name, after[name]))}\n" for name in after)
    return head_of(former) + "".join(lines)
