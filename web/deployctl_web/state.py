"""What all requests of one dashboard share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from flask import current_app

from deployctl.dataclass import dataclass, field
from deployctl.domain.host import denied_changes
from deployctl.ports import Services
from deployctl.ports.metrics import MeterNow
from deployctl_web.address import Place
from deployctl_web.live.event_broker import EACH, Hub
from deployctl_web.live.jobs import Jobs
from deployctl_web.live.status_cache import Board
from deployctl_web.live.switch_totals import SwitchTotals
from deployctl_web.security.by_minute import ByMinute
from deployctl_web.services_pool import Pool

KEY = "deployctl"
CHANGES = 60  # in a minute, of one person
TRIES = 5  # to sign in, in a minute, from one address
OWN_PASSWORDS = 5  # times in a minute that one person says or changes their password: each is told in the audit


@dataclass(frozen=True, slots=True)
class Desk:
    """`pool` lends services, `board` knows who serves, `hub` tells who looks, `jobs` do what takes long,
    `switches` are counted over the whole history; over a minute `changes` and `refusals` of each person, how often they
    say or change their `own_passwords`, and the `tries` to sign in from each address."""

    place: Place
    pool: Pool
    board: Board
    hub: Hub
    jobs: Jobs
    meter: MeterNow
    switches: SwitchTotals = field(default_factory=SwitchTotals)
    refusals: ByMinute = field(default_factory=lambda: ByMinute(denied_changes.MOST))
    own_passwords: ByMinute = field(default_factory=lambda: ByMinute(OWN_PASSWORDS))
    changes: ByMinute = field(default_factory=lambda: ByMinute(CHANGES))
    tries: ByMinute = field(default_factory=lambda: ByMinute(TRIES))

    def close(self) -> None:
        """End the streams and what is under way, then let go of the ledger."""
        self.hub.close()
        self.jobs.close()
        self.board.close()
        self.pool.close()


def build_desk(place: Place, connect: Callable[[], Services], meter: MeterNow, streams: int = EACH) -> Desk:
    """Return the desk of one home; `connect` makes services for one thread each. `streams`: of one session or token."""
    pool = Pool(connect)
    board = Board(pool, time.monotonic)
    hub = Hub(pool, board, meter, streams)
    return Desk(place, pool, board, hub, Jobs(pool, hub.progressed), meter)


def desk() -> Desk:
    """Return the desk of the application that answers this request."""
    return cast(Desk, current_app.extensions[KEY])
