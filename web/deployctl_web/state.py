"""The state shared by all requests of one dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import current_app

from deployctl.dataclass import dataclass, field
from deployctl.domain.host import denied_changes
from deployctl.ports import Clock, Services
from deployctl.ports.metrics import LiveMetrics
from deployctl_web.address import WebAddress
from deployctl_web.live.event_broker import EACH, EventBroker
from deployctl_web.live.jobs import Jobs
from deployctl_web.live.poller import Poller
from deployctl_web.live.status_cache import StatusCache
from deployctl_web.live.switch_totals import SwitchTotals
from deployctl_web.security.by_minute import ByMinute
from deployctl_web.services_pool import ServicesPool
from deployctl_web.waits import Waits

STATE_EXTENSION = "deployctl"
MAX_CHANGES_A_MINUTE = 60  # per minute and user
MAX_SIGN_INS_A_MINUTE = 5  # sign-ins per minute and address
OWN_PASSWORDS = 5  # times a minute that one user may submit or change their password: each is in the audit log


@dataclass(frozen=True, slots=True)
class WebState:
    """Shared by every page and call of one dashboard. `pool` lends services, `status_cache` keeps the last reading,
    `broker` sends open pages the changes that the `poller` finds, `jobs` run what takes long, `switches` are counted
    over the whole history; over a minute `changes` and `refusals` of each user, how often they submit or change their
    `own_passwords`, and the `tries` to sign in from each address."""

    place: WebAddress
    pool: ServicesPool
    status_cache: StatusCache
    broker: EventBroker
    poller: Poller
    jobs: Jobs
    meter: LiveMetrics
    clock: Clock
    waits: Waits
    switches: SwitchTotals = field(default_factory=SwitchTotals)
    refusals: ByMinute = field(default_factory=lambda: ByMinute(denied_changes.MAX_DENIED_A_MINUTE))
    own_passwords: ByMinute = field(default_factory=lambda: ByMinute(OWN_PASSWORDS))
    changes: ByMinute = field(default_factory=lambda: ByMinute(MAX_CHANGES_A_MINUTE))
    tries: ByMinute = field(default_factory=lambda: ByMinute(MAX_SIGN_INS_A_MINUTE))

    def close(self) -> None:
        """End the streams and what is in progress, then close the ledger."""
        self.broker.close()
        self.poller.join()
        self.jobs.close()
        self.status_cache.close()
        self.pool.close()


def build_state(place: WebAddress, connect: Callable[[], Services], meter: LiveMetrics, clock: Clock, *, streams: int = EACH,
                waits: Waits | None = None) -> WebState:
    """Return the state of one dashboard; `connect` creates services for one thread each. `streams`: per session or
    token."""
    pool, waits = ServicesPool(connect), waits or Waits()
    status_cache = StatusCache(pool, clock.now)
    broker = EventBroker(status_cache, streams)
    poller = Poller(broker, pool, status_cache, meter, clock, waits)
    poller.begin()
    jobs = Jobs(pool, broker.progressed, clock, last_wait=waits.last)
    return WebState(place, pool, status_cache, broker, poller, jobs, meter, clock, waits)


def web_state() -> WebState:
    """Return the state of the application that handles this request."""
    return cast(WebState, current_app.extensions[STATE_EXTENSION])
