"""Pools: empty backends, of which what has replicas leases one for as long as HAProxy carries it.

Only a home with replicas has them, and only its requests look for one. Whose a pool is stands in pool.map alone: HAProxy's
own map decides, as it does for the routes, so that a lease outlives any of our processes and none is ever lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from deployctl.dataclass import replace
from deployctl.effects.haproxy.socket import wire
from deployctl.errors import SwitchRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.proxy.traffic import TrafficTable

STEP = 16  # pools that are added at once: each time costs a reload
SPARE = 8  # pools beyond those needed: one whose last connections are still open is not leased again


def pools(table: TrafficTable) -> tuple[str, ...]:
    """Return the pools that the configuration has."""
    count = -(-(table.replicated + SPARE) // STEP) * STEP if table.replicated else 0
    return tuple(wire.pool_name(number + 1) for number in range(count))


def leased(table: TrafficTable, former: Mapping[str, str], occupied: Mapping[str, Collection[str]]) -> TrafficTable:
    """Return the table with a pool for everything in it that has replicas: the one it had, else a free one.

    `former` is pool.map as it is, `occupied` the servers that HAProxy has in each pool. A pool with a server of something
    else is not free: its clients would be answered by another release. Raises SwitchRefused if there are too few.
    """
    ways = sorted({backend.way for backend in table.backends if backend.replica})
    if not ways:
        return table
    there, mine = pools(table), dict[str, str]()
    for way in ways:
        if former.get(way) in there and former[way] not in mine.values():
            mine[way] = former[way]
    for way in ways:
        if way not in mine:
            mine[way] = _free(there, {*mine.values(), *former.values()}, occupied)
    return replace(table, leases=mine)


def _free(there: Iterable[str], taken: Collection[str], occupied: Mapping[str, Collection[str]]) -> str:
    for pool in there:
        if pool not in taken and not occupied.get(pool):
            return pool
    raise SwitchRefused("HAProxy has no free pool for another release with replicas", remedy=["deployctl reconcile"])


def section(pool: str) -> str:
    """Return a pool's part of the configuration, above its servers. A request that its replica did not begin to answer goes
    to another one, if it may be sent twice; the gate alone names one."""
    return f"""backend {pool}
  balance random(2)
  option redispatch 1
  retry-on conn-failure empty-response
  use-server %[var(txn.one)] if {{ var(txn.one) -m found }}"""
