"""What people and other tools do to the containers of a fake engine, outside deployctl."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.host.home import HomeIdentity
from deployctl.errors import Invalid, NotFound
from deployctl.ports import ContainerFacts, ContainerSpec, LogLine
from deployctl.testing.fake_clock import FakeClock
from deployctl.testing.fake_events import FakeEvents
from deployctl.testing.fake_inside import FakeInside
from deployctl.testing.fake_launches import FakeLaunches
from deployctl.testing.fake_usage import FakeUsage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass
class FakeContainer:
    facts: ContainerFacts
    spec: ContainerSpec | None  # None: a foreign one
    log: list[LogLine] = field(default_factory=list)
    waiting: bool = False  # the launcher runs in it, its program does not yet
    lock_lost: bool = False  # its program closed the files that it inherited


class FakeHands(FakeLaunches, FakeUsage):
    """The containers of a fake engine, and every way to tamper with them."""

    def __init__(self, home: HomeIdentity, clock: FakeClock) -> None:
        self.home, self.clock = home, clock  # a test may have moved the home
        self.told = FakeEvents(lambda: self.home, clock)
        self._containers: dict[str, FakeContainer] = {}  # by id
        self._made = self._ran = 0

    def inside(self) -> FakeInside:
        engine: Any = self
        return FakeInside(engine)

    def add_stranger(self, name: str, *, image: str, labels: Mapping[str, str] | None = None) -> ContainerFacts:
        """Run a foreign container here."""
        facts = ContainerFacts(self._new_id(), name, image, running=True, status="running", labels=labels or {})
        self._containers[facts.id] = FakeContainer(facts, None)
        return facts

    def die(self, container: str, *, exit_code: int = 1, oom: bool = False) -> None:
        """Let a running container exit by itself."""
        self._end(self._require(container), exit_code=exit_code, oom=oom)

    def pause(self, container: str) -> None:
        """Pause it."""
        found = self._require(container)
        found.facts = replace(found.facts, running=False, status="paused")
        self.told.tell("pause", found.facts)

    def meddle(self, container: str, **fields: object) -> None:
        """Change its name, its limits, its restart policy or its addresses."""
        found = self._require(container)
        found.facts = replace(found.facts, **fields)  # type: ignore[arg-type]  # fields of ContainerFacts, by name
        cut_off = fields.get("addresses") == {}
        self.told.tell("rename" if "name" in fields else "disconnect" if cut_off else "update", found.facts)

    def lose(self, container: str) -> None:
        """Remove it, running or not."""
        removed = self._containers.pop(self._require(container).facts.id)
        self.told.tell("destroy", removed.facts)
        self._launch()

    def remake(self, container: str, *, image: str, **fields: object) -> ContainerFacts:
        """Recreate it from another image, as another tool would: name, labels and addresses are copied, the id is
        not."""
        removed = self._containers.pop(self._require(container).facts.id)
        made = replace(removed.facts, id=self._new_id(), image=image, **fields)  # type: ignore[arg-type]  # as in meddle
        self._containers[made.id] = FakeContainer(made, removed.spec)
        self.told.tell("destroy", removed.facts)
        self.told.tell("create", made)
        return made

    # -- shared ----------------------------------------------------------------------------------------------------
    def _find(self, container: str) -> FakeContainer | None:
        if not _NAME.fullmatch(container):
            raise Invalid(f"{container!r} is not a container id or name")
        return next((c for c in self._containers.values() if container in {c.facts.id, c.facts.name}), None)

    def _require(self, container: str) -> FakeContainer:
        found = self._find(container)
        if found is None:
            raise NotFound(f"no container {container}")
        return found

    def _end(self, found: FakeContainer, *, exit_code: int, oom: bool = False) -> None:
        found.facts = replace(
            found.facts, running=False, status="exited", exit_code=exit_code, oom_killed=oom, pid=0, addresses={}, macs={}
        )
        found.waiting = False
        self.told.tell("die", found.facts)
        self._launch()

    def _new_id(self) -> str:
        self._made += 1
        return sha256(f"{self.home.path} {self._made}".encode()).hexdigest()

    def _new_pid(self) -> int:
        self._ran += 1
        return 10_000 + self._ran
