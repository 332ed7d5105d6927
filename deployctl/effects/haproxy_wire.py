"""HAProxy's runtime language as text. Every command is built here, from values that were checked first.

HAProxy splits a line at `;`, cuts ports modulo 65536 and has no status codes: so nothing but names, numbers and
IP addresses ever gets into a command, and whoever changes something reads it back.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from deployctl.domain.traffic import Backend, Counters
from deployctl.errors import Invalid, SwitchRefused

ROUTE, KNOWN, VERSION, HOST = "route.map", "known.map", "version.map", "host.map"
FIRST_WORKER = "@1 "  # the master hands such a command to the worker that takes traffic
ALL_SERVERS = -1

SHOW_SERVERS = "show servers state apps"
SHOW_INFO = "show info"
SHOW_PROCESSES = "show proc"
RELOAD = "reload"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_VALUE = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
_BRIDGE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


# -- what may stand in a command or in the configuration --------------------------------------------------------
def require_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Invalid(f"{text!r} is no name that HAProxy may be given")
    return text


def require_app(text: str) -> str:
    """Return the name of an app. It has no dot, so `<app>.<anything>` always begins with that very app."""
    if "." in require_name(text):
        raise Invalid(f"{text!r} cannot be an app: a dot ends the app's part of a server's name")
    return text


def require_value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise Invalid(f"{text!r} is no value that HAProxy may be given")
    return text


def require_number(number: int, *, most: int = 2**31 - 1) -> int:
    if not 1 <= number <= most:
        raise Invalid(f"{number} is outside 1–{most}")
    return number


def require_address(text: str) -> str:
    """Return an IP address the way HAProxy writes it."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except (OSError, ValueError) as e:
        raise Invalid(f"{text!r} is not an IP address") from e


def endpoint(address: str, port: int) -> str:
    """Return `address:port`, the brackets of IPv6 included."""
    host = require_address(address)
    return f"{f'[{host}]' if ':' in host else host}:{require_number(port, most=65535)}"


def server_words(backend: Backend) -> str:
    """Return what follows the server's name. Weight 0: it is chosen by its name, never by load balancing."""
    words = f"{endpoint(backend.address, backend.port)} id {require_number(backend.server_id)} weight 0"
    return words if backend.bridge is None else f"{words} {_bound_to(backend.bridge, backend.address)}"


def _bound_to(bridge: str, address: str) -> str:
    if not _BRIDGE.fullmatch(bridge):
        raise Invalid(f"{bridge!r} is no network interface")
    source = "source [::]" if ":" in address else "source 0.0.0.0"
    return f"{source} interface {bridge}"


def server_name(app: str, release: int) -> str:
    return f"{require_app(app)}.{require_number(release)}"


def backend_name(backend: Backend) -> str:
    return server_name(backend.app, backend.release)


# -- commands ---------------------------------------------------------------------------------------------------
def add_server(backend: Backend) -> str:
    return f"add server apps/{backend_name(backend)} {server_words(backend)}"


def set_address(backend: Backend) -> str:
    address, port = require_address(backend.address), require_number(backend.port, most=65535)
    return f"set server apps/{backend_name(backend)} addr {address} port {port}"


def set_ready(server: str) -> str:
    return f"set server apps/{require_name(server)} state ready"


def set_maint(server: str) -> str:
    return f"set server apps/{require_name(server)} state maint"


def del_server(server: str) -> str:
    return f"del server apps/{require_name(server)}"


def cut_sessions(server: str) -> str:
    return f"shutdown sessions server apps/{require_name(server)}"


def show_stat(server_id: int = ALL_SERVERS) -> str:
    return f"show stat apps 4 {server_id if server_id == ALL_SERVERS else require_number(server_id)}"


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


# -- answers ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Server:
    """A server as the worker carries it."""

    name: str
    id: int
    address: str
    port: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Processes:
    """The master, the worker that takes traffic, and those that only finish what they hold."""

    master: int | None
    worker: int | None
    leaving: tuple[int, ...]
    failed: int  # reloads in a row that were refused


def parse_servers(reply: str) -> dict[str, Server]:
    """Read `show servers state` by its own heading; SwitchRefused when it is none."""
    heading, _, rows = reply.partition("# be_id")[2].partition("\n")
    columns = ["be_id", *heading.split()]
    if "srv_admin_state" not in columns:
        raise SwitchRefused(f"HAProxy said: {reply.strip()}")
    return {server.name: server for server in (_server(columns, line) for line in rows.splitlines() if line.strip())}


def _server(columns: list[str], line: str) -> Server:
    row = dict(zip(columns, line.split(), strict=False))
    ready = row["srv_admin_state"] == "0"
    return Server(row["srv_name"], int(row["srv_id"]), row["srv_addr"], int(row["srv_port"]), ready)


def parse_map(reply: str) -> dict[str, str]:
    """Read `show map`; of a key that stands there twice the first counts, as it does for HAProxy."""
    entries: dict[str, str] = {}
    for line in reply.splitlines():
        if line.strip():
            reference, _, entry = line.partition(" ")
            key, _, value = entry.partition(" ")
            if not reference.startswith("0x"):
                raise SwitchRefused(f"HAProxy said: {reply.strip()}")
            entries.setdefault(key, value)
    return entries


def parse_entry(reply: str) -> str | None:
    """Read `get map`; None when there is no such key."""
    found = re.search(r'found=yes.*\bvalue="([^"]*)"', reply)
    if found is None and "found=no" not in reply:
        raise SwitchRefused(f"HAProxy said: {reply.strip()}")
    return found[1] if found else None


def parse_stat(reply: str) -> dict[str, Counters]:
    """Read `show stat`: what was counted, by server."""
    import csv  # not needed by a rollback

    rows = csv.DictReader(reply.removeprefix("# ").splitlines())
    return {row["svname"]: _counters(row) for row in rows if row.get("pxname") == "apps" and row.get("type") == "2"}


def _counters(row: dict[str, str]) -> Counters:
    def number(column: str) -> int:
        return int(row.get(column) or 0)

    return Counters(
        requests=number("req_tot"),
        in_flight=number("scur"),
        failed=number("econ") + number("eresp"),
        answers_5xx=number("hrsp_5xx"),
        response_ms=float(number("rtime")),
    )


def parse_processes(reply: str) -> Processes:
    """Read `show proc` of the master."""
    present, _, past = reply.partition("# old workers")
    masters, workers = _rows(present, "master"), _rows(present, "worker")
    failed = re.search(r"\[failed: (\d+)\]", reply)
    return Processes(
        master=masters[0] if masters else None,
        worker=workers[0] if workers else None,
        leaving=(*workers[1:], *_rows(past, "worker")),
        failed=int(failed[1]) if failed else 0,
    )


def _rows(text: str, kind: str) -> tuple[int, ...]:
    return tuple(int(line.split()[0]) for line in text.splitlines() if line.split()[1:2] == [kind])


def parse_description(reply: str) -> str | None:
    """Read from `show info` which configuration the worker was started with."""
    found = re.search(r"^description: *(\S+)", reply, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else None


def parse_reasons(said: str) -> list[str]:
    """Read HAProxy's own reasons out of what it printed: the alerts, without its prefixes and file names."""
    alerts = re.findall(r"^\[ALERT\]\s*\(\d+\) : (.*)$", said, re.MULTILINE)
    plain = [re.sub(r"^(?:config : )?(?:Binding |parsing )?\[[^\]]*\](?: for)?[: ]*", "", alert) for alert in alerts]
    return [reason for reason in plain if reason and "Exiting." not in reason]


def find_port(reason: str) -> int | None:
    """Return the port that HAProxy could not bind, if that was the reason."""
    found = re.search(r"cannot bind socket .*:(\d+)\]", reason)
    return int(found[1]) if found else None
