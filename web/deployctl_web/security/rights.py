"""Long responses end when the user's right does: the ledger is checked periodically.

It does not matter which process ended the right, and an engine that hangs does not delay this.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from deployctl.dataclass import dataclass, field
from deployctl.domain.host.access import Principal
from deployctl.ports import Services
from deployctl_web.services_pool import ServicesPool

RIGHTS_CHECK_SECONDS = 0.5  # seconds between two checks of the ledger


@dataclass(slots=True)
class Right:
    """The right by which a request is handled, for as long as its response takes; `ask` reads it again."""

    who: Principal
    ask: Callable[[Services], Principal | None]
    pool: ServicesPool
    _now: Principal | None = field(init=False)
    _read_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._now = self.who

    def present(self) -> Principal | None:
        """Return the present principal, None once the session or the token is over; at most RIGHTS_CHECK_SECONDS
        old."""
        if time.monotonic() - self._read_at >= RIGHTS_CHECK_SECONDS:
            with self.pool.lend(self.who.actor) as s:
                self._now = self.ask(s)
            self._read_at = time.monotonic()
        return self._now

    def holds(self) -> bool:
        """Return whether the user has exactly the same rights as then."""
        now = self.present()
        return now is not None and now.roles == self.who.roles
