"""Which backups of the ledger are kept: the newest ones always, and before those, fewer the older they are."""

from __future__ import annotations

from collections.abc import Sequence

HOUR, DAY = 3600.0, 86_400.0  # seconds
COPY_INTERVAL = 60.0  # seconds between two backups: switches in between are in the next one
NEWEST_KEPT = 3
AGES = (HOUR, DAY, 7 * DAY, 30 * DAY)  # between two of these the oldest backup is kept, and beyond the last one the newest


def superfluous(ages: Sequence[float]) -> list[int]:
    """Return the indexes of the backups that may be deleted; `ages` in seconds, newest first.

    The oldest of a span is kept until it has aged into the next one, so that each span has one however often backups
    are made.
    """
    from bisect import bisect_right  # rarely needed: a backup is due once a minute at most

    kept = {bisect_right(AGES, age): index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age < AGES[-1]}
    ancient = next((index for index, age in enumerate(ages) if index >= NEWEST_KEPT and age >= AGES[-1]), None)
    return [index for index in range(NEWEST_KEPT, len(ages)) if index not in {*kept.values(), ancient}]
