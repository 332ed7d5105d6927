"""Launcher, locks and stand-ins of a host in memory; which container holds a lock is the fake engine's to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deployctl.dataclass import dataclass
from deployctl.errors import LauncherRefused
from deployctl.ports.exclusion import StandInLack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.networks import AppNetwork
    from deployctl.domain.inputs.names import AppName, ComponentName
    from deployctl.ports import EngineInfo
    from deployctl.testing.fake_engine import FakeEngine

LAUNCHERS = frozenset({"amd64", "arm64"})


@dataclass
class FakeStandIn:
    """What stood in for an address, and for how long is no matter here."""

    address: str
    ended: float | None = None
    refused: bool = False


class FakeExclusion:
    """`lack` is why there can be no stand-in; `standing` are the addresses that one answers for now."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.lack: StandInLack | None = None
        self.standing: set[str] = set()
        self.locks: set[str] = set()

    def lay_launcher(self, architecture: str, engine: EngineInfo) -> str:
        if architecture not in LAUNCHERS or not engine.local:
            raise LauncherRefused(f"no container of {architecture} images can be started by the launcher here")
        return f"/srv/deployctl/state/launcher/launch-{architecture}"

    def lay_lock(self, app: AppName, component: ComponentName) -> str:
        lock = f"/srv/deployctl/state/locks/{app}/{component}"
        self.locks.add(lock)
        return lock

    def holders(self, lock: str) -> tuple[int, ...]:
        return self._engine.holders(lock)

    def holds(self, lock: str, main: int) -> bool:
        return main in self.holders(lock)

    def forget_locks(self, app: AppName) -> None:
        self.locks = {lock for lock in self.locks if f"/locks/{app}/" not in lock}

    def stand_in_lack(self, *, bridged: bool) -> StandInLack | None:
        return self.lack if bridged else StandInLack.NOT_LOCAL

    @contextmanager
    def stand_in(self, network: AppNetwork, address: str, mac: str, *, after: int) -> Iterator[FakeStandIn]:
        told = FakeStandIn(address)
        if self.lack is None:
            self.standing.add(address)
        try:
            yield told
        finally:
            self.standing.discard(address)
            told.ended, told.refused = self._engine.clock.now(), self.lack is None
