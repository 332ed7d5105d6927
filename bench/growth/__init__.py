"""What grows with the past, with the number of apps and with what is refused: this build beside 0.1.0.

Each piece measures both builds at several sizes, in homes of their own. Where a cost should not depend on the size, the
exponent says whether it does: 0 is flat, 1 in step with the size.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.growth import apps, events, kept, refused, releases, reloads
from bench.table import Row

PIECES: tuple[Callable[[bool], list[Row]], ...] = (releases.measure, events.measure, kept.measure, apps.measure,
                                                    refused.measure, reloads.measure)


def measure(short: bool) -> list[Row]:
    return [row for piece in PIECES for row in piece(short)]
