"""The memory of what was tried lately, for the limits by the minute: of many thousand addresses the oldest go.

The library's own keeps a name for each address that ever tried, and looks at all of them with each try.
"""

from __future__ import annotations

from limits.storage import MemoryStorage

MOST = 4096  # addresses and people; who tries from more of them is slowed down by name, and by the gate at accept
SCHEME = "bounded-memory"


class BoundedStorage(MemoryStorage):
    """Half of it goes when it is full: what is empty, then what began first."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012  as the library declares it

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        if len(self.events) >= MOST and key not in self.events:
            self._make_room()
        return super().acquire_entry(key, limit, expiry, amount)

    def _make_room(self) -> None:
        known = sorted([*self.events], key=lambda one: bool(self.events.get(one)))
        for one in known[: MOST // 2]:
            with self.locks[one]:  # nobody is just at it
                self.events.pop(one, None)
            self.locks.pop(one, None)
