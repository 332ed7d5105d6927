"""What is told for longer than a moment is told no longer than whoever asked may hear it: the ledger is asked again.

Which process ended the right does not matter, and an engine that hangs is not in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.access import Principal
from deployctl.ports import Services
from deployctl_web.services_pool import ServicesPool

RIGHTS_CHECK_SECONDS = 0.5  # seconds between two looks at the ledger


@dataclass(slots=True)
class Right:
    """The right by which a request is answered, for as long as its answer takes; `ask` reads it again."""

    who: Principal
    ask: Callable[[Services], Principal | None]
    pool: ServicesPool
    _now: Principal | None = field(init=False)
    _read_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._now = self.who

    def present(self) -> Principal | None:
        """Return who it is by now, None once the session or the token is over; LOOK seconds old at most."""
        if time.monotonic() - self._read_at >= RIGHTS_CHECK_SECONDS:
            with self.pool.lend(self.who.actor) as s:
                self._now = self.ask(s)
            self._read_at = time.monotonic()
        return self._now

    def holds(self) -> bool:
        """Tell whether whoever asked may just what they might then."""
        now = self.present()
        return now is not None and now.roles == self.who.roles
