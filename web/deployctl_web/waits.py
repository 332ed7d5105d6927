"""How long the dashboard waits for this and that, in seconds. Each dashboard has its own: tests are in more of a hurry."""

from __future__ import annotations

from deployctl.dataclass import dataclass


@dataclass(slots=True)
class Waits:
    glance: float = 0.7  # for a verb: a refusal is known by then
    switch: float = 3.0  # for a move to a warm version: it is confirmed by then, or something is wrong
    beat: float = 10.0  # of silence on a stream, until a comment finds out whether somebody still listens
    last: float = 10.0  # at the end of the process, for what was asked to stop
    tick: float = 0.1  # between two looks at the ledger while somebody looks
    health: float = 2.0  # between two looks at the health of the apps that somebody looks at
    overview: float = 5.0  # likewise when all apps are looked at
    metrics: float = 1.0  # likewise at the counters
