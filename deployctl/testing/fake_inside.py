"""Commands in the containers of a fake engine: what they print goes to the streams that they were given."""

from __future__ import annotations

import os
from collections.abc import Sequence

from deployctl.domain.host.home import ONE_OFF
from deployctl.errors import EngineRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import ContainerFacts
    from deployctl.ports.inside import Streams
    from deployctl.testing.fake_engine import FakeEngine


class FakeInside:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return "inside"

    def execute(self, container: str, command: Sequence[str], streams: Streams) -> int:
        """Do what `executes` of the engine says."""
        found = self._engine._require_ours(container)
        if not found.facts.running:
            raise EngineRefused(f"run {command[0]}: container {found.facts.name} is not running")
        done = self._engine.executes(found.facts, command)
        os.write(streams.stdout, done.output.encode())
        return done.exit_code

    def run(self, container: str, streams: Streams) -> int:
        """Print what its behaviour says, and end with its exit code."""
        started = self._engine.ensure_started(container)
        for line in self._engine.logs(started.id):
            os.write(streams.stdout, f"{line.text}\n".encode())
        if started.running:
            self._engine.die(started.id, exit_code=0)
        ended = self._engine.find_container(started.id)
        return (ended.exit_code if ended else None) or 0

    def one_offs(self) -> list[ContainerFacts]:
        ours = (c.facts for c in self._engine._containers.values() if self._engine.home.owns(c.facts.labels))
        return [one for one in ours if one.labels.get(ONE_OFF)]
