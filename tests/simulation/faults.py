"""What can go wrong at one call, and how often in one schedule: every seed has a weather of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
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


DEATHS = frozenset({Fault.KILL, Fault.SIGNAL, Fault.SLOW})  # nothing that is asked is ever refused


class Mischief(StrEnum):
    """What happens to the world, independent of any process."""

    PROXY = "HAProxy is killed"
    ENGINE = "Docker is away"
    CONTAINER = "a container dies"
    RESTART = "Docker is restarted"  # and starts whatever it is to restart always, in any order


CHANGES: dict[str, frozenset[str]] = {
    "engine": frozenset({
        "pull_image", "keep_image", "release_image", "ensure_network", "ensure_network_gone", "ensure_volume",
        "fill_volume", "ensure_volume_gone", "ensure_created",
        "ensure_started", "ensure_stopped", "ensure_removed", "set_restart", "set_limits", "ensure_named",
        "ensure_attached", "ensure_detached"}),
    "traffic": frozenset({"sync", "switch", "refresh_previews", "cut", "ensure_up", "queue", "release_queue"}),
    "secrets": frozenset({"room", "deliver", "withdraw", "forget", "keep_only", "set", "remove"}),
    "exclusion": frozenset({"lay_launcher", "lay_lock", "forget_locks"}),
    "guard": frozenset({"ensure", "ensure_gone", "pin", "unpin"}),
    "prober": frozenset(),
    "ledger": frozenset({
        "transaction", "add_app", "set_wishes", "remove_app", "ensure_release", "mark_proven", "mark_failed", "set_hold",
        "set_scale",
        "add_instance", "set_instance", "remove_instance", "open_deployment", "begin_step", "finish_step",
        "close_deployment", "promote", "event", "give_lease_back", "take_lease", "ask_abort"}),
}  # fmt: skip
CUT = frozenset({"sync", "switch", "refresh_previews", "ensure_up"})  # changes in several parts

# how often each is drawn, where the schedule has it at all
WEIGHTS = {Fault.KILL: 3, Fault.SIGNAL: 2, Fault.REFUSED: 3, Fault.LOST: 4, Fault.SLOW: 2, Fault.FROZEN: 1,
           Fault.HALF: 6, Fault.DEAF: 4}

DECISIVE = {"switch": 8.0, "promote": 4.0, "ensure_created": 3.0, "open_deployment": 3.0, "remove_instance": 3.0,
            "release_image": 3.0, "forget": 8.0}


@dataclass(frozen=True)
class Weather:
    """What one schedule has to bear. Rates are per call."""

    faults: tuple[Fault, ...] = ()
    rate: float = 0.0
    mischief: tuple[Mischief, ...] = ()
    mischief_rate: float = 0.0

    @cached_property
    def weights(self) -> tuple[int, ...]:
        return tuple(WEIGHTS[fault] for fault in self.faults)

    def fault(self, random: Random, port: str, name: str) -> Fault | None:
        """Return what goes wrong with this call; nothing, as a rule."""
        if random.random() >= self.rate * DECISIVE.get(name, 1.0):
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


def drawn(random: Random, *, engine_restarts: bool = False) -> Weather:
    """Return the weather of one schedule: from fair over deaths only to foul."""
    kind = random.random()
    rate = random.choice((0.004, 0.012, 0.03))
    if kind < 0.03:
        return Weather()
    if kind < 0.25:
        return Weather(tuple(fault for fault in Fault if fault in DEATHS), rate)
    faults = tuple(fault for fault in Fault if random.random() < 0.6) or (Fault.KILL,)
    mischief = tuple(m for m in Mischief if (m is not Mischief.RESTART or engine_restarts) and random.random() < 0.3)
    return Weather(faults, rate, mischief, 0.003 if mischief else 0.0)


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
