"""HAProxy's runtime commands as text. Every command is built here, from values that were checked first.

HAProxy splits a line at `;`, truncates ports modulo 65536 and has no status codes: so only names, numbers and IP
addresses ever become part of a command, and every change is read back.
"""

from __future__ import annotations

from deployctl.errors import Invalid
from deployctl.stdlib import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import Backend

ROUTE, KNOWN, VERSION, HOST = "route.map", "known.map", "version.map", "host.map"
POOL, PORT = "pool.map", "port.map"  # the pool of what has replicas; what a further port leads to
FRONT = "front.map"  # filled by HAProxy itself: apps with untrusted proxies on this machine in front, with the address
QUEUE = "queue.map"  # apps whose requests wait, each until when and how long at most
FIRST_WORKER = "@1 "  # the master passes such a command on to the worker that receives traffic
ALL_SERVERS = -1

_POOL = "pool"
APPS = "apps"  # the backend of every server that is selected by its name
SHOW_SERVERS = "show servers state"
SHOW_INFO = "show info"
SHOW_VERSION = "show version"
SHOW_PROCESSES = "show proc"
MOST_LEAVING = 3  # workers that finish open requests: each reload leaves one, of some 9 MB, while a connection lasts
RELOAD = "reload"

# Sets, not expressions: each expression takes as long to compile as everything else that a switch does with it.
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_VALUE_CHARACTERS = _NAME_CHARACTERS | {":"}
_MOST_CHARACTERS, _MOST_OF_AN_INTERFACE = 253, 15


# -- values allowed in a command or in the configuration ---------------------------------------------------------
def is_name(text: str, *, most: int = _MOST_CHARACTERS) -> bool:
    return 0 < len(text) <= most and _NAME_CHARACTERS.issuperset(text)


def require_name(text: str) -> str:
    if not is_name(text):
        raise Invalid(f"{text!r} is not a valid name for HAProxy")
    return text


def require_app(text: str) -> str:
    """Return the name of an app. It has no dot, so `<app>.<anything>` always begins with exactly that app."""
    if "." in require_name(text):
        raise Invalid(f"{text!r} cannot be an app: a dot separates app and release in a server's name")
    return text


def require_value(text: str) -> str:
    if not (0 < len(text) <= _MOST_CHARACTERS and _VALUE_CHARACTERS.issuperset(text)):
        raise Invalid(f"{text!r} is not a valid value for HAProxy")
    return text


def require_number(number: int, *, most: int = 2**31 - 1) -> int:
    if not 1 <= number <= most:
        raise Invalid(f"{number} is outside 1–{most}")
    return number


def require_address(text: str) -> str:
    """Return an IP address as HAProxy writes it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError) as e:
        raise Invalid(f"{text!r} is not an IP address") from e


def endpoint(address: str, port: int) -> str:
    """Return `address:port`, with brackets for IPv6."""
    host = require_address(address)
    return f"{f'[{host}]' if ':' in host else host}:{require_number(port, most=65535)}"


def bind_words(address: str, port: int) -> str:
    """Return the address part of a bind.

    At a reload HAProxy finds the inherited socket of a single IPv6 address only with v6only; without it, it stops
    listening on every address, and reports success. `[::]` stays open to IPv4.
    """
    return endpoint(address, port) + (" v6only" if ":" in address and require_address(address) != "::" else "")


def server_words(backend: Backend) -> str:
    """Return what follows the server's name. Weight 0: it is selected by name, never by load balancing."""
    pooled = backend.replica > 0
    words = [endpoint(backend.address, backend.port), f"id {require_number(backend.server_id)} weight {int(pooled)}",
             *([_bound_to(backend.bridge, backend)] if backend.bridge is not None else []), *([_CHECKED] if pooled else [])]
    return " ".join(words)


# One that refuses connections gets no more requests until a check connects again; the others of its pool take them.
_CHECKED = "check inter 500ms fastinter 100ms downinter 200ms rise 1 fall 1 observe layer4 error-limit 3 on-error mark-down"


def _bound_to(bridge: str, backend: Backend) -> str:
    """HAProxy falls back to an unbound connection if the interface is missing, but not if the source address is."""
    if not is_name(bridge, most=_MOST_OF_AN_INTERFACE):
        raise Invalid(f"{bridge!r} is not a network interface")
    anywhere = "::" if ":" in backend.address else "0.0.0.0"  # noqa: S104 - a source, not a place to listen
    source = require_address(backend.gateway or anywhere)
    return f"source {f'[{source}]' if ':' in source else source} interface {bridge}"


def server_name(app: str, release: int) -> str:
    return f"{require_app(app)}.{require_number(release)}"


def backend_name(backend: Backend) -> str:
    server_name(backend.app, backend.release)
    return require_name(backend.name)


def pool_name(number: int) -> str:
    return f"{_POOL}{require_number(number):02}"


def placed(section: str, server: str) -> str:
    """Return how a server is named among those of all backends: one of `apps` by its name, one of a pool with the pool's
    in front."""
    return server if section == APPS else f"{section}/{server}"


def is_section(name: str) -> bool:
    """Return whether it is a backend whose servers are ours."""
    return name == APPS or (name.startswith(_POOL) and name.removeprefix(_POOL).isdecimal())


def section_of(place: str) -> str:
    """Return the backend that a server is in."""
    return place.rpartition("/")[0] or APPS


def _path(place: str) -> str:
    section, _, server = place.rpartition("/")
    if section and not is_section(section):
        raise Invalid(f"{place!r} is not in a backend of ours")
    return f"{require_name(section or APPS)}/{require_name(server)}"


# -- commands ---------------------------------------------------------------------------------------------------
def add_server(backend: Backend, section: str = APPS) -> str:
    return f"add server {require_name(section)}/{backend_name(backend)} {server_words(backend)}"


def set_address(backend: Backend, section: str = APPS) -> str:
    address, port = require_address(backend.address), require_number(backend.port, most=65535)
    return f"set server {require_name(section)}/{backend_name(backend)} addr {address} port {port}"


def enable_checks(place: str) -> str:
    """A server that was added at run time is never checked otherwise."""
    return f"enable health {_path(place)}"


def set_ready(server: str) -> str:
    return f"set server {_path(server)} state ready"


def set_maint(server: str) -> str:
    return f"set server {_path(server)} state maint"


def close_idle(server: str, port: int) -> str:
    """Make HAProxy drop its idle connections to a server in maintenance, which it does when the address changes."""
    return f"set server {_path(server)} addr 127.0.0.1 port {2 if port == 1 else 1}"


def del_server(server: str) -> str:
    return f"del server {_path(server)}"


def cut_sessions(server: str) -> str:
    return f"shutdown sessions server {_path(server)}"


def show_stat(server_id: int = ALL_SERVERS, section: str = APPS) -> str:
    """`section` is named because HAProxy would list every pool, empty ones too."""
    return f"show stat {require_name(section)} 4 {server_id if server_id == ALL_SERVERS else require_number(server_id)}"


def show_map(name: str) -> str:
    return f"show map {require_name(name)}"


def get_entry(name: str, key: str) -> str:
    return f"get map {require_name(name)} {require_name(key)}"


def set_entry(name: str, key: str, value: str) -> str:
    return f"set map {require_name(name)} {require_name(key)} {require_value(value)}"


def add_entry(name: str, key: str, value: str) -> str:
    return f"add map {require_name(name)} {require_name(key)} {require_value(value)}"


def del_entry(name: str, key: str) -> str:
    return f"del map {require_name(name)} {require_name(key)}"


def at_worker(pid: int, command: str) -> str:
    return f"@!{require_number(pid)} {command}"
