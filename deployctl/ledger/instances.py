"""Containers of releases, and the ports and addresses leased to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from deployctl.domain.images.component import ends_before_next
from deployctl.domain.images.release import Instance
from deployctl.domain.inputs.names import ComponentName, backing_of, owner_of
from deployctl.domain.proxy.traffic import TrafficTable
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.errors import NetworkFull, Refused
from deployctl.ledger.apps import network_of
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.images.component import InstanceId
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.file.connection import LedgerConnection

FLAGS = frozenset({"container", "routed", "beside", "failed", "store"})


class InstanceRows:
    """Reads and writes the tables `instances`, `port_leases` and `address_leases`."""

    db: LedgerConnection

    def instances(self, app: AppName | None = None) -> list[Instance]:
        mine = "" if app is None else "where i.app = ? "  # one statement for both would look at every row
        sql = f"{_INSTANCES} {mine}order by i.app, i.release desc"
        return [_instance(row) for row in self.db.execute(sql, [] if app is None else [app])]

    def containers_with_store(self) -> list[str | None]:
        """Return the containers of all apps whose image store is known."""
        return [row[0] for row in self.db.execute("select container from instances where store <> ''")]

    def find_instance(self, app: AppName, one: InstanceId) -> Instance | None:
        row = self.db.one(f"{_INSTANCES} where {_ONE}", [app, *one])
        return _instance(row) if row else None

    def add_instance(
        self, app: AppName, one: InstanceId, name: str, *, ports: range | None, taken: Callable[[int], bool]
    ) -> Instance:
        """Lease a host port, unless `ports` is None, and an address and write the row, or return the existing one.

        `taken` says whether a program outside the ledger uses a port. The address is one of the network that the release's
        other instances are in, else of the app's own.
        Raises NetworkFull if none is free there, Refused if no port is.
        """
        with self.db.transaction():
            found = self.find_instance(app, one)
            if found:
                return found
            network, index = self._network_of_release(app, one.release) or self._own_network(app)
            port = None if ports is None else self._lease_port(app, one, ports, taken)
            address = self._lease_address(app, one, network, index)
            self.db.insert("instances", {"app": app, **one._asdict(), "name": name, "address": address, "host_port": port,
                                         "network": network.name})
        return Instance(app, one.release, name, address, port, network=network, component=one.component, replica=one.replica)

    def _network_of_release(self, app: AppName, release: int) -> tuple[AppNetwork, int] | None:
        row = self.db.one("select n.*, a.next_address from instances i join networks n on n.name = i.network "
                          "join apps a on a.name = i.app where i.app = ? and i.release = ? limit 1", [app, release])
        return (network_of(row), row["next_address"]) if row else None

    def _own_network(self, app: AppName) -> tuple[AppNetwork, int]:
        """Return the network for new containers, and which of its addresses is next in turn."""
        row = self.db.execute("select n.*, a.next_address from apps a join networks n on n.name = a.network where a.name = ?",
                              [app])[0]
        return network_of(row), row["next_address"]

    def _lease_port(self, app: AppName, one: InstanceId, ports: range, taken: Callable[[int], bool]) -> int:
        leased = {row[0] for row in self.db.execute(
            "select port from port_leases union select listen_port from apps where listen_port is not null "
            "union select json_extract(value, '$[1]') from apps, json_each(apps.ports) where apps.ports != '{}'")}
        for port in ports:
            if port not in leased and not taken(port):
                self.db.execute("insert into port_leases(port, app, release, component, replica) values (?, ?, ?, ?, ?)",
                                [port, app, *one])
                return port
        raise Refused(f"no free host port in {ports.start}–{ports.stop - 1}",
                      remedy=[f"deployctl prune {app}", "widen [ports] range in config/server.toml"])

    def _lease_address(self, app: AppName, one: InstanceId, network: AppNetwork, first: int) -> str:
        """Take the next address in turn, so that one that was just freed is the last to be reused."""
        if backing_of(app) is not None and (for_life := self.find_address(app)):
            return for_life
        hosts = network.addresses()
        leased = {r[0] for r in self.db.execute(
            "select address from address_leases where app = :app or app like :app || '/%'", {"app": owner_of(app)})}
        for step in range(len(hosts)):
            index = (first + step) % len(hosts)
            if hosts[index] not in leased:
                self.db.execute("update apps set next_address = ? where name = ?", [index + 1, app])
                self.db.execute("insert into address_leases(address, app, release, component, replica) "
                                "values (?, ?, ?, ?, ?)", [hosts[index], app, *one])
                return hosts[index]
        raise NetworkFull(f"{app} has no free address left in {network.subnet}: {len(hosts)} versions have one",
                          remedy=[f"deployctl prune {app}"])

    def find_address(self, app: AppName) -> str | None:
        """Return the address that a backing component has for life; None while it has none."""
        row = self.db.one("select address from address_leases where app = ?", [app])
        return row[0] if row else None

    def set_instance(self, app: AppName, one: InstanceId, **flags: str | bool | None) -> None:
        """Write some of: container, routed, beside, failed, store."""
        self._set(flags, "app = ? and release = ? and component = ? and replica = ?", [app, *one])

    def set_instances(self, app: AppName, release: int, **flags: str | bool | None) -> None:
        """Write some of those flags for all instances of that release."""
        self._set(flags, "app = ? and release = ?", [app, release])

    def _set(self, flags: Mapping[str, str | bool | None], which: str, keys: Sequence[str | int]) -> None:
        if not flags.keys() <= FLAGS:
            raise ValueError(f"unknown columns {sorted(flags.keys() - FLAGS)}")
        columns = ", ".join(f"{name} = ?" for name in flags)
        self.db.execute(f"update instances set {columns} where {which}", [*flags.values(), *keys])  # noqa: S608  checked

    def remove_instance(self, app: AppName, one: InstanceId) -> None:
        """Delete the container's row and free its port and address: only after it is removed. A backing component keeps its
        address: containers were created that know it."""
        freed = ("address_leases",) if backing_of(app) is None else ()
        with self.db.transaction():
            for table in ("instances", "port_leases", *freed):
                self.db.execute(f"delete from {table} where app = ? and release = ? and component = ? and replica = ?",  # noqa: S608
                                [app, *one])

    def table(self, *, bridged: bool) -> TrafficTable:
        """Return what HAProxy should route; with `bridged` by container address, else by published port."""
        from deployctl.ledger.backends import BACKENDS, backends_of

        apps = self.db.execute("select * from apps order by name")
        rows = self.db.execute(BACKENDS)
        newest: dict[tuple[str, str], int] = {}
        for row in rows:  # ordered by number: the last health-checked one wins
            if row["proven_at"]:
                newest[row["app"], row["version"]] = row["number"]
        return TrafficTable(
            listens={r["name"]: (r["listen_host"], r["listen_port"]) for r in apps if r["listen_port"]},
            hosts={host: r["name"] for r in apps for host in json.loads(r["hosts"])},
            backends=tuple(one for row in rows for one in backends_of(row, newest, bridged=bridged)),
            trust={r["name"]: ProxyTrust.from_json(r["trust"]) for r in apps if r["trust"]},
            actives={r["name"]: r["active"] for r in apps if r["active"] is not None and "/" not in r["name"]},
            ports={f"{r['name']}.{name}": tuple(listen) for r in apps if r["ports"] != "{}"
                   for name, listen in json.loads(r["ports"]).items()},
            replicated=self.db.execute(_REPLICATED)[0][0],
            queues=frozenset(app for app, components in self.db.execute(_EXCLUSIVE) if ends_before_next(components))
            | {owner_of(r["name"]) for r in apps if "/" in r["name"]},
        )


_INSTANCES = """select i.*, n.bridge, n.subnet, n.gateway, n.engines_own from instances i
left join networks n on n.name = i.network"""
_ONE = "i.app = ? and i.release = ? and i.component = ? and i.replica = ?"
_EXCLUSIVE = """
select distinct r.app, r.components from instances i join releases r on r.app = i.app and r.number = i.release
where i.routed and instr(r.components, '"exclusive"')
"""
_REPLICATED = """
select coalesce(sum((length(components) - length(replace(components, '"replicas"', ''))) / length('"replicas"')), 0)
from releases r where instr(components, '"replicas"')
and exists (select 1 from instances i where i.app = r.app and i.release = r.number)
"""


def _instance(row: sqlite3.Row) -> Instance:
    return Instance(
        app=row["app"], release=row["release"], name=row["name"], address=row["address"], host_port=row["host_port"],
        container=row["container"], routed=bool(row["routed"]), beside=bool(row["beside"]), failed=bool(row["failed"]),
        store=row["store"], component=ComponentName(row["component"]), replica=row["replica"],
        network=network_of({**dict(row), "name": row["network"]}) if row["bridge"] else None,
    )


