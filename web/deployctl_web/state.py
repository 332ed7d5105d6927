"""What all requests of one dashboard share."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import current_app

from deployctl.dataclass import dataclass, field
from deployctl.domain.host import denied_changes
from deployctl.ports import Clock, Services
from deployctl.ports.metrics import MeterNow
from deployctl_web.address import Place
from deployctl_web.live.event_broker import EACH, Hub
from deployctl_web.live.jobs import Jobs
from deployctl_web.live.poller import Lookout
from deployctl_web.live.status_cache import Board
from deployctl_web.live.switch_totals import SwitchTotals
from deployctl_web.security.by_minute import ByMinute
from deployctl_web.services_pool import Pool
from deployctl_web.waits import Waits

STATE_EXTENSION = "deployctl"
MAX_CHANGES_A_MINUTE = 60  # in a minute, of one person
MAX_SIGN_INS_A_MINUTE = 5  # to sign in, in a minute, from one address
OWN_PASSWORDS = 5  # times in a minute that one person says or changes their password: each is told in the audit


@dataclass(frozen=True, slots=True)
class Desk:
    """`pool` lends services, `board` knows who serves, `hub` tells who looks what the `lookout` saw, `jobs` do what takes long,
    `switches` are counted over the whole history; over a minute `changes` and `refusals` of each person, how often they
    say or change their `own_passwords`, and the `tries` to sign in from each address."""

    place: Place
    pool: Pool
    board: Board
    hub: Hub
    lookout: Lookout
    jobs: Jobs
    meter: MeterNow
    clock: Clock
    waits: Waits
    switches: SwitchTotals = field(default_factory=SwitchTotals)
    refusals: ByMinute = field(default_factory=lambda: ByMinute(denied_changes.MAX_DENIED_A_MINUTE))
    own_passwords: ByMinute = field(default_factory=lambda: ByMinute(OWN_PASSWORDS))
    changes: ByMinute = field(default_factory=lambda: ByMinute(MAX_CHANGES_A_MINUTE))
    tries: ByMinute = field(default_factory=lambda: ByMinute(MAX_SIGN_INS_A_MINUTE))

    def close(self) -> None:
        """End the streams and what is under way, then let go of the ledger."""
        self.hub.close()
        self.lookout.join()
        self.jobs.close()
        self.board.close()
        self.pool.close()


def build_desk(place: Place, connect: Callable[[], Services], meter: MeterNow, clock: Clock, *, streams: int = EACH,
               waits: Waits | None = None) -> Desk:
    """Return the desk of one home; `connect` makes services for one thread each. `streams`: of one session or token."""
    pool, waits = Pool(connect), waits or Waits()
    board = Board(pool, clock.now)
    hub = Hub(board, streams)
    lookout = Lookout(hub, pool, board, meter, clock, waits)
    lookout.begin()
    return Desk(place, pool, board, hub, lookout, Jobs(pool, hub.progressed, clock, last_wait=waits.last), meter, clock, waits)


def desk() -> Desk:
    """Return the desk of the application that answers this request."""
    return cast(Desk, current_app.extensions[STATE_EXTENSION])
