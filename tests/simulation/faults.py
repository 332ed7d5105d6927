"""What can go wrong at one call, and how often in one schedule: every seed has a weather of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from deployctl.errors import (
    DeployctlError,
    EngineRefused,
    EngineUnavailable,
    LeaseHeld,
    ProxyUnavailable,
    SwitchRefused,
)


class Fault(StrEnum):
    KILL = "SIGKILL"
    SIGNAL = "Ctrl-C"
    REFUSED = "refused"  # an error, nothing was done
    LOST = "answer lost"  # done, and an error
    SLOW = "slow"
    FROZEN = "SIGSTOP"
    HALF = "half done"  # killed, or HAProxy dies, between two parts of a change
    DEAF = "not done"  # HAProxy says yes and does nothing


class Mischief(StrEnum):
    """What befalls the world, whoever is at work."""

    PROXY = "HAProxy is killed"
    ENGINE = "Docker is away"
    CONTAINER = "a container dies"


CHANGES: dict[str, frozenset[str]] = {
    "engine": frozenset({
        "pull_image", "keep_image", "release_image", "ensure_network", "ensure_network_gone", "ensure_created",
        "ensure_started", "ensure_stopped", "ensure_removed", "set_restart", "set_limits", "ensure_named"}),
    "traffic": frozenset({"sync", "switch", "refresh_previews", "cut", "ensure_up"}),
    "guard": frozenset({"ensure", "ensure_gone"}),
    "prober": frozenset(),
    "ledger": frozenset({
        "transaction", "add_app", "set_wishes", "remove_app", "ensure_release", "mark_proven", "mark_failed", "set_hold",
        "add_instance", "set_instance", "remove_instance", "open_deployment", "begin_step", "finish_step",
        "close_deployment", "promote", "event", "give_lease_back", "take_lease", "ask_abort"}),
}  # fmt: skip
CUT = frozenset({"sync", "switch", "refresh_previews", "ensure_up"})  # changes in several parts

# how often each is drawn, where the schedule has it at all
WEIGHTS = {Fault.KILL: 3, Fault.SIGNAL: 2, Fault.REFUSED: 3, Fault.LOST: 4, Fault.SLOW: 2, Fault.FROZEN: 1,
           Fault.HALF: 6, Fault.DEAF: 4}


@dataclass(frozen=True, slots=True)
class Weather:
    """What one schedule has to bear. Rates are per call."""

    faults: tuple[Fault, ...] = ()
    rate: float = 0.0
    mischief: tuple[Mischief, ...] = ()
    mischief_rate: float = 0.0
    weights: tuple[int, ...] = field(default=())

    def fault(self, random: Random, port: str, name: str) -> Fault | None:
        """Return what goes wrong with this call; nothing, as a rule."""
        if random.random() >= self.rate:
            return None
        fault = random.choices(self.faults, self.weights)[0]
        return fault if _can_happen(fault, port, name) else None


def _can_happen(fault: Fault, port: str, name: str) -> bool:
    if fault is Fault.DEAF:
        return name == "switch"
    if fault is Fault.HALF:
        return port == "traffic" and name in CUT
    if fault in {Fault.LOST, Fault.REFUSED} and port == "ledger":
        return fault is Fault.REFUSED and name in CHANGES["ledger"]
    return True


def drawn(random: Random) -> Weather:
    """Return the weather of one schedule: from fair to foul."""
    if random.random() < 0.05:
        return Weather()
    faults = tuple(fault for fault in Fault if random.random() < 0.6) or (Fault.KILL,)
    mischief = tuple(m for m in Mischief if random.random() < 0.3)
    return Weather(faults, random.choice((0.004, 0.012, 0.03)), mischief, 0.003 if mischief else 0.0,
                   tuple(WEIGHTS[fault] for fault in faults))


def error(random: Random, port: str, name: str) -> DeployctlError:
    """Return what a call of that port may raise."""
    if port == "engine":
        refuse = name in CHANGES["engine"] and random.random() < 0.3
        return EngineRefused(f"{name}: no space left on device") if refuse else EngineUnavailable(f"{name}: no answer")
    if port == "traffic":
        return SwitchRefused("HAProxy said no") if name == "switch" and random.random() < 0.5 else ProxyUnavailable("no answer")
    if port == "ledger":
        full = DeployctlError("no space left for the ledger", code="disk_full")
        return full if random.random() < 0.5 else LeaseHeld("the ledger was locked for 5 s")
    return DeployctlError(f"{name} failed")
