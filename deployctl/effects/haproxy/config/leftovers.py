"""HAProxy's files read backwards: the apps, addresses, servers and routes they were written for."""

from __future__ import annotations

from deployctl.domain.host.leftovers import Remains
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.traffic import release_of_server
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.trust import BY_HOST, trust_of
from deployctl.effects.haproxy.socket import wire
from deployctl.paths import Path
from deployctl.pattern import pattern

_ID = pattern(r"id (\d+) ")
REPLICA_PARTS = 3  # component, port and replica


def read_remains(folder: Path) -> Remains:
    """Read the files in state/haproxy. A missing or unreadable one yields nothing."""
    known, routes = _map(folder, wire.KNOWN), _map(folder, wire.ROUTE)
    text = _text(folder / "haproxy.cfg")
    return Remains(
        routes={AppName(app): int(first) for app, value in routes.items() if (first := value.split(":")[0]).isdecimal()},
        servers=_servers(text),
        listens={AppName(app): listen for app, listen in config.binds_of(text).items() if app != BY_HOST and "." not in app},
        ports={name: listen for name, listen in config.binds_of(text).items() if "." in name},
        hosts={host: AppName(app) for host, app in _map(folder, wire.HOST).items()},
        trust=trust_of(text),
        held=frozenset((AppName(key.partition(".")[0]), int(number)) for key, value in known.items()
                       for number, _, held in [value.partition(":")] if held and number.isdecimal()),
    )


def _servers(text: str) -> dict[tuple[AppName, int], int]:
    """Return the id of each release: that of its server, or what those of its replicas have in common."""
    found: dict[tuple[AppName, int], int] = {}
    for place, (_, rest) in config.servers_of(text).items():
        app, number, *part = place.rpartition("/")[2].split(".")
        server_id = _ID.match(f"{rest} ")
        if server_id and number.isdecimal() and len(part) in {0, REPLICA_PARTS}:
            found[AppName(app), int(number)] = release_of_server(int(server_id[1])) if part else int(server_id[1])
    return found


def _map(folder: Path, name: str) -> dict[str, str]:
    return config.read_map(_text(folder / name))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
