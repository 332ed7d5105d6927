"""Manual changes to the files or to HAProxy, one sentence each. Pure: facts in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deployctl.dataclass import dataclass
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.maps import placed_backends
from deployctl.effects.haproxy.socket import wire
from deployctl.effects.haproxy.socket.runtime import needs_correction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import TrafficTable
    from deployctl.effects.haproxy.socket import answers

Map = Mapping[str, str]
OTHER_BUILD = "haproxy.cfg was written by another version of deployctl: the next change, or reconcile, rewrites it"


@dataclass(frozen=True, slots=True)
class ProxyFacts:
    """`on_disk` and `running` are the maps by name; a missing file is None."""

    written: str  # haproxy.cfg
    expected: str
    running_token: str | None
    on_disk: Mapping[str, Map | None]
    running: Mapping[str, Map]
    servers: Mapping[str, answers.ServerState]
    deaf: Sequence[str] = ()  # addresses in haproxy.cfg where nothing listens


def find_drift(table: TrafficTable, facts: ProxyFacts) -> list[str]:
    return [*_config(facts), *_maps(table, facts), *_servers(table, facts)]


def _config(facts: ProxyFacts) -> Iterator[str]:
    if not facts.written:
        yield "haproxy.cfg is missing"
    elif config.of_another_build(facts.written):
        yield OTHER_BUILD
    elif facts.written != facts.expected:
        yield "haproxy.cfg differs from the ledger: it was edited, or never updated"
    elif config.token_of(facts.written) != facts.running_token:
        yield "HAProxy runs a different configuration than haproxy.cfg: reload needed"
    else:
        yield from (f"HAProxy does not listen on {where}: reload needed" for where in facts.deaf)


def _maps(table: TrafficTable, facts: ProxyFacts) -> Iterator[str]:
    wanted = config.maps(table)
    for name, written in facts.on_disk.items():
        running = facts.running.get(name, {})
        if written is None:
            yield f"{name} is missing"
        else:
            yield from _differences(f"the file {name}", written, "HAProxy", running)
        if name in wanted:
            yield from _differences(f"{name} in HAProxy", running, "the ledger", wanted[name])


def _differences(one: str, left: Map, other: str, right: Map) -> Iterator[str]:
    for key in sorted({**left, **right}):
        if left.get(key) != right.get(key):
            yield f"{one} says {key} → {left.get(key, 'nothing')}, {other} says {right.get(key, 'nothing')}"


def _servers(table: TrafficTable, facts: ProxyFacts) -> Iterator[str]:
    wanted = placed_backends(table)
    for name, backend in wanted.items():
        server = facts.servers.get(name)
        if server is None:
            yield f"HAProxy lacks the server {name}"
        elif not server.ready:
            yield f"the server {name} is disabled in HAProxy"
        elif needs_correction(server, backend):
            there, here = wire.endpoint(server.address, server.port), wire.endpoint(backend.address, backend.port)
            yield f"the server {name} is at {there} in HAProxy, at {here} in the ledger"
    for name in sorted(facts.servers.keys() - wanted.keys()):
        if facts.servers[name].ready:  # one in maintenance only waits for its last connection to end
            yield f"HAProxy has the server {name}, which is not in the ledger"
