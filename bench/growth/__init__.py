"""What grows with the history, with the number of apps and with rejected requests: this build compared with 0.1.0.

Each module measures both builds at several sizes, in homes of their own. If a cost should not depend on the size, the
exponent shows whether it does: 0 is constant, 1 is proportional.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.growth import apps, events, kept, refused, releases, reloads
from bench.table import Row

PIECES: tuple[Callable[[bool], list[Row]], ...] = (releases.measure, events.measure, kept.measure, apps.measure,
                                                    refused.measure, reloads.measure)


def measure(short: bool) -> list[Row]:
    return [row for piece in PIECES for row in piece(short)]
