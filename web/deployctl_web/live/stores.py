"""What `serve` keeps in memory for others, as the Server page tells it: nothing that lives for months has no bound."""

from __future__ import annotations

from deployctl.memory import Store
from deployctl.ports import metrics
from deployctl_web import services_pool
from deployctl_web.live import event_broker, event_messages, jobs, status_cache
from deployctl_web.security import by_minute
from deployctl_web.state import Desk


def stores(here: Desk) -> list[Store]:
    """Return each store with its bound and what is in it, in bytes."""
    return [
        Store("operations that have ended", jobs.ROOM, here.jobs.bytes),
        Store("readings of apps", status_cache.ROOM, here.board.bytes),
        Store("events that a page may have missed", event_broker.ROOM, here.hub.bytes),
        Store("events that wait for slow pages", event_broker.MOST * event_messages.ROOM, here.hub.bytes_waiting),
        Store("idle connections to the ledger", services_pool.IDLE * services_pool.CACHE, here.pool.bytes),
        Store("who was refused changes lately", by_minute.ROOM, here.refusals.bytes),
        Store("who said their password lately", by_minute.ROOM, here.own_passwords.bytes),
        Store("who changed something lately", by_minute.ROOM, here.changes.bytes),
        Store("who tried to sign in lately", by_minute.ROOM, here.tries.bytes),
        Store("counters of releases", metrics.ROOM, here.meter.bytes),
    ]
