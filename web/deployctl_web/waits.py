"""How long the dashboard waits for what, in seconds. Each dashboard has its own: tests use shorter ones."""

from __future__ import annotations

from deployctl.dataclass import dataclass


@dataclass(slots=True)
class Waits:
    glance: float = 0.7  # for a verb: a rejection is known by then
    switch: float = 3.0  # for a switch to a warm version: it is confirmed by then, or something is wrong
    beat: float = 10.0  # of silence on a stream, until a beat shows both ends that the other is there
    last: float = 10.0  # at the end of the process, for what was asked to stop
    tick: float = 0.1  # between two checks of the ledger while somebody watches
    health: float = 2.0  # between two checks of the health of the apps that somebody watches
    overview: float = 5.0  # the same if all apps are watched
    metrics: float = 1.0  # the same for the counters
