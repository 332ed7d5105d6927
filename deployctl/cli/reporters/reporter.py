"""Progress on stderr. A closed stderr never disturbs a deployment.

`Plain` writes a line per phase, with its time, and a heartbeat in long phases; `Live`
(live.py) draws one spinner line per step; `Quiet` shows warnings only. Each has at most one
thread, which `close` stops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.durations import took

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TextIO

    class ClosableReporter(Protocol):
        """A ports.Reporter that can be closed."""

        def plan(self, plan: Plan) -> None: ...
        def begin(self, step: Step) -> None: ...
        def detail(self, text: str, step: Step | None = None) -> None: ...
        def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None: ...
        def warn(self, text: str) -> None: ...
        def close(self) -> None: ...


class Ticker:
    """Calls `tick` every `period` seconds from the first `start` to `close`, in one thread."""

    def __init__(self, period: float, tick: Callable[[], None]) -> None:
        self.period, self.tick = period, tick
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name="deployctl-progress", daemon=True)
            self.thread.start()

    def _run(self) -> None:
        while not self.over.wait(self.period):
            self.tick()

    def close(self) -> None:
        self.over.set()
        if self.thread is not None:
            self.thread.join(timeout=5)


class Harmless:
    """A stream that may be closed: what cannot be written is dropped. rich would exit the process instead."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()

    def isatty(self) -> bool:
        return True


class ReporterLines:
    """Writes whole lines to a stream that may be closed."""

    def __init__(self, stream: TextIO, look: TerminalStyle) -> None:
        self.stream, self.look = Harmless(stream), look

    def write(self, *lines: str) -> None:
        self.stream.write(self.look.finish([*lines]))
        self.stream.flush()


class Quiet:
    """Warnings only."""

    def __init__(self, lines: ReporterLines) -> None:
        self.lines = lines

    def plan(self, plan: Plan) -> None:
        """Print nothing."""

    def begin(self, step: Step) -> None:
        """Print nothing."""

    def detail(self, text: str, step: Step | None = None) -> None:
        """Print nothing."""

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        """Print nothing."""

    def warn(self, text: str) -> None:
        self.lines.write(f"{self.lines.look.warn} {text}")

    def close(self) -> None:
        """No-op: there is no thread."""


def result_of(step: Step, text: str, *, several: bool = False) -> str:
    """Return the result of a step on one line. `several`: the plan is about several components, so it names which."""
    told = next(iter(text.strip().splitlines()), "")
    if several and told and step.component and step.component not in told:
        return f"{step.component}: {told}"
    return told or step.sentence


def has_several(plan: Plan) -> bool:
    """Return whether the plan is about several components."""
    return len({step.component for step in plan.steps if step.component}) > 1


# -- for logs and pipes --------------------------------------------------------------------------------------------
HEARTBEAT = 15.0  # seconds of silence in a phase that are too many in a log


class Plain:
    """One line per phase: time, app, kind, result, duration. `verbose` adds starts and details."""

    def __init__(self, lines: ReporterLines, *, verbose: bool = False, heartbeat: float = HEARTBEAT) -> None:
        self.lines, self.verbose, self.heartbeat = lines, verbose, heartbeat
        self.app, self.several = "", False
        self.lock = threading.Lock()
        self.steps: dict[Step, float] = {}  # in progress, and since when
        self.last, self.spoke = "", 0.0
        self.ticker = Ticker(heartbeat / 4, self._beat)

    def plan(self, plan: Plan) -> None:
        self._say(plan.summary)
        self.app, self.several = plan.app, has_several(plan)

    def begin(self, step: Step) -> None:
        with self.lock:
            self.last = step.sentence
            self.steps[step] = self.spoke = time.monotonic()
        self.ticker.start()
        if self.verbose:
            self._say(f"{step.kind} started: {step.sentence}")

    def detail(self, text: str, step: Step | None = None) -> None:
        step = step or next(reversed(self.steps), None)
        text = result_of(step, text, several=self.several) if step else text
        with self.lock:
            self.last = text
        if self.verbose:
            self._say(f"{step.kind}: {text}" if step else text)

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        with self.lock:
            self.steps.pop(step, None)
        failed = "" if ok else f" {self.lines.look.bad}"
        self._say(f"{step.kind}{failed}: {result_of(step, text, several=self.several)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._say(f"warning: {text}")

    def close(self) -> None:
        self.ticker.close()

    def _beat(self) -> None:
        with self.lock:
            step, last, now = next(iter(self.steps), None), self.last, time.monotonic()
            if step is None or now - self.spoke < self.heartbeat:
                return
            self.spoke, since = now, self.steps[step]
        self._say(f"{step.kind}: still in progress after {took((now - since) * 1000)}: {last}")

    def _say(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.lines.write(f"{at} {self.app} {text}" if self.app else f"{at} {text}")
