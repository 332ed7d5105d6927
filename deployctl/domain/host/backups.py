"""Which copies of the ledger stay: the newest ones always, and of those before them fewer the older they are."""

from __future__ import annotations

from collections.abc import Sequence

HOUR, DAY = 3600.0, 86_400.0  # seconds
COPY_INTERVAL = 60.0  # seconds between two copies: the moves between them are in the next one
NEWEST_KEPT = 3
AGES = (HOUR, DAY, 7 * DAY, 30 * DAY)  # between two of these the oldest copy stays, and beyond them the newest


def superfluous(ages: Sequence[float]) -> list[int]:
    """Return which copies may go, by their index; `ages` in seconds, those of the newest copies first.

    The oldest of a span stays until it has grown into the next one, so that each span has one whenever copies are made.
    """
    from bisect import bisect_right  # seldom needed: a backup is due once a minute at most

    kept = {bisect_right(AGES, age): index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age < AGES[-1]}
    ancient = next((index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age >= AGES[-1]), None)
    return [index for index in range(NEWEST_KEPT, len(ages)) if index not in {*kept.values(), ancient}]
