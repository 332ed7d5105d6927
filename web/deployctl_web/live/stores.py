"""What `serve` keeps in memory for others, for the Server page: nothing that runs for months is unbounded."""

from __future__ import annotations

from deployctl.memory import Store
from deployctl.ports import metrics
from deployctl_web import services_pool
from deployctl_web.live import event_broker, event_messages, jobs, status_cache
from deployctl_web.security import by_minute
from deployctl_web.state import WebState


def stores(here: WebState) -> list[Store]:
    """Return each store with its limit and its present size, in bytes."""
    return [
        Store("finished operations", jobs.MAX_JOBS_BYTES, here.jobs.bytes),
        Store("status cache", status_cache.MAX_CACHE_BYTES, here.status_cache.bytes),
        Store("events for reconnecting pages", event_broker.MAX_KEPT_BYTES, here.broker.bytes),
        Store("events queued for slow pages", event_broker.MAX_STREAMS * event_messages.MAX_WAITING_BYTES,
              here.broker.bytes_waiting),
        Store("idle connections to the ledger", services_pool.MAX_IDLE_SERVICES * services_pool.MAX_BYTES_EACH,
              here.pool.bytes),
        Store("recently rejected changes", by_minute.MAX_WINDOW_BYTES, here.refusals.bytes),
        Store("recent password attempts", by_minute.MAX_WINDOW_BYTES, here.own_passwords.bytes),
        Store("recent changes by user", by_minute.MAX_WINDOW_BYTES, here.changes.bytes),
        Store("recent sign-in attempts", by_minute.MAX_WINDOW_BYTES, here.tries.bytes),
        Store("counters of releases", metrics.MAX_READING_BYTES, here.meter.bytes),
    ]
