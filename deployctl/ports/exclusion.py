"""One instance of an exclusive component at a time: what this host does for that, in our terms.

The successor is created apart from the network and started under the launcher; it waits there for the address, then for
the lock, and only then starts its program. So the order of a hand-over is: create it `apart`, start it, enter the
stand-in, stop the former one with `keep_restart`, attach the successor, leave the stand-in, probe it, see that it holds
the lock, and only then change what the engine restarts.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import EngineInfo


class StandInLack(StrEnum):
    """Why nothing can answer for an address while no container has it: clients then repeat their connection after 1 s."""

    NOT_LOCAL = "stand_in_not_local"  # the engine's networks are not on this host
    NOT_PERMITTED = "stand_in_not_permitted"  # making network interfaces requires root


class StandIn(Protocol):
    """What refuses connections to an address while no container has it."""

    @property
    def ended(self) -> float | None:
        """Return when the former process ended, by time.monotonic; None while it runs."""
    @property
    def refused(self) -> bool:
        """Return whether it was up: False if it could not be made."""


class Exclusion(Protocol):
    """Launcher, locks and stand-ins on this host."""

    def lay_launcher(self, architecture: str, engine: EngineInfo) -> str:
        """Return the launcher's file on this host for images of that architecture, as Launch takes it. Raises
        LauncherRefused where a container cannot be started by it."""
    def lay_lock(self, app: AppName, component: ComponentName) -> str:
        """Return the lock file of that component, the same one for all its releases; made if absent."""
    def holders(self, lock: str) -> tuple[int, ...]:
        """Return the processes that hold it now, by pid on this host: those that took it, not those that inherited it."""
    def holds(self, lock: str, main: int) -> bool:
        """Return whether a process of the container with that main process holds it: a program that closes the files it
        inherits has lost it."""
    def forget_locks(self, app: AppName) -> None:
        """Remove the lock files of an app that has no container any more."""
    def stand_in_lack(self, *, bridged: bool) -> StandInLack | None:
        """Return why there can be no stand-in; None: there can."""
    def stand_in(self, network: AppNetwork, address: str, mac: str, *, after: int) -> AbstractContextManager[StandIn]:
        """Refuse connections to the address from the moment that process `after` ends (0: at once) until the block ends.

        Prepared when the block begins. It ends with this process, however that ends. Where it cannot be made, the block
        runs without it.
        """
