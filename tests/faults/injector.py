"""One fault at one moment: die, hang or fail before or after the n-th external call, or at a step.

A fault is written `ACT-WHEN:WHAT:WHICH`, so that it can be handed to another process: `die-before:call:17`,
`die-after:step:3` (the third step is done and remembered), `wait-after:begin:health` (that step's intent is written),
`wait-before:lease:1` (nothing is written yet).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from deployctl.errors import DeployctlError, EngineUnavailable, ProxyUnavailable
from deployctl.ports import Services
from deployctl.testing.fake_clock import FakeClock
from tests.unit.mortal import ACTS, Died

_WRITTEN = re.compile(r"(count|die|hang|fail|wait)-(before|after):(call|step|begin|lease):([a-z0-9_]+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and when. `which` counts from 1, or names a kind of step."""

    act: str
    when: str = "before"
    what: str = "call"
    which: str = "0"

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no fault")
        return cls(*found.groups())

    def __str__(self) -> str:
        return f"{self.act}-{self.when}:{self.what}:{self.which}"

    def is_now(self, when: str, what: str, number: int, kind: str = "") -> bool:
        return (when, what) == (self.when, self.what) and self.which in {str(number), kind}


COUNT = Fault("count")


# -- over the fakes ---------------------------------------------------------------------------------------------------
SILENCE = 30.0  # seconds after which the caller gives up
FAILURES: dict[str, Callable[[], DeployctlError]] = {
    "engine": lambda: EngineUnavailable("Docker is not responding: injected"),
    "traffic": lambda: ProxyUnavailable("HAProxy is not responding: injected"),
    "guard": lambda: DeployctlError("the route cannot be set: injected"),
    "ledger": lambda: DeployctlError("no space left for the ledger: injected", code="disk_full"),
}


@dataclass
class Moment:
    """Counts the acts of one run, and lets the fault happen when it is time; `lasting`: from then on, every time."""

    fault: Fault
    clock: FakeClock
    lasting: bool = False
    acts: int = 0
    over: bool = False  # it has happened

    def around(self, port: str, act: Callable[[], Any]) -> Any:
        if self.over and (self.fault.act == "die" or self.lasting):
            self._happen(port)
        self.acts += 1
        if self.fault.is_now("before", "call", self.acts):
            self._happen(port)
        done = act()
        if self.fault.is_now("after", "call", self.acts):
            self._happen(port)
        return done

    def _happen(self, port: str) -> None:
        self.over = True
        if self.fault.act == "die":
            raise Died(port)
        if self.fault.act == "hang":
            self.clock.sleep(SILENCE)
        raise FAILURES[port]()


class Faulty:
    def __init__(self, inner: Any, port: str, moment: Moment) -> None:
        self._inner, self._port, self._moment = inner, port, moment

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ACTS:
            return found
        return lambda *args, **more: self._moment.around(self._port, lambda: found(*args, **more))


def faulty(s: Services, moment: Moment, *, ports: tuple[str, ...] = tuple(FAILURES)) -> Services:
    """Return the same outside world, in which the fault happens at its moment."""
    changed: dict[str, Any] = {port: Faulty(getattr(s, port), port, moment) for port in ports}
    return replace(s, **changed)
