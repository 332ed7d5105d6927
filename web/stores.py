"""What `serve` keeps in memory for others, as the Server page tells it: nothing that lives for months has no bound."""

from __future__ import annotations

from deployctl import ports_meter
from deployctl.memory import Store
from deployctl.web import board, by_minute, hub, jobs, messages, pool
from deployctl.web.desk import Desk


def stores(here: Desk) -> list[Store]:
    """Return each store with its bound and what is in it, in bytes."""
    return [
        Store("operations that have ended", jobs.ROOM, here.jobs.bytes),
        Store("readings of apps", board.ROOM, here.board.bytes),
        Store("events that a page may have missed", hub.ROOM, here.hub.bytes),
        Store("events that wait for slow pages", hub.MOST * messages.ROOM, here.hub.bytes_waiting),
        Store("idle connections to the ledger", pool.IDLE * pool.CACHE, here.pool.bytes),
        Store("who was refused changes lately", by_minute.ROOM, here.refusals.bytes),
        Store("who said their password lately", by_minute.ROOM, here.own_passwords.bytes),
        Store("counters of releases", ports_meter.ROOM, here.meter.bytes),
    ]
