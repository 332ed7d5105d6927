"""Progress for logs and pipes: a line per phase, and a heartbeat in long ones."""

from __future__ import annotations

import threading
import time

from deployctl.cli.reporters.reporter import ReporterLines, Ticker, result_of
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.durations import took

HEARTBEAT = 15.0  # seconds of silence in a phase that are too many in a log


class Plain:
    """One line per phase: time, app, kind, result, duration. `verbose` adds starts and details."""

    def __init__(self, lines: ReporterLines, *, verbose: bool = False, heartbeat: float = HEARTBEAT) -> None:
        self.lines, self.verbose, self.heartbeat = lines, verbose, heartbeat
        self.app = ""
        self.lock = threading.Lock()
        self.step: Step | None = None
        self.last, self.since, self.spoke = "", 0.0, 0.0
        self.ticker = Ticker(heartbeat / 4, self._beat)

    def plan(self, plan: Plan) -> None:
        self._say(plan.summary)
        self.app = plan.app

    def begin(self, step: Step) -> None:
        with self.lock:
            self.step, self.last = step, step.sentence
            self.since = self.spoke = time.monotonic()
        self.ticker.start()
        if self.verbose:
            self._say(f"{step.kind} started: {step.sentence}")

    def detail(self, text: str) -> None:
        with self.lock:
            self.last = text
        if self.verbose:
            self._say(f"{self.step.kind}: {text}" if self.step else text)

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        with self.lock:
            self.step = None
        failed = "" if ok else f" {self.lines.look.bad}"
        self._say(f"{step.kind}{failed}: {result_of(step, text)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._say(f"warning: {text}")

    def close(self) -> None:
        self.ticker.close()

    def _beat(self) -> None:
        with self.lock:
            step, last, now = self.step, self.last, time.monotonic()
            if step is None or now - self.spoke < self.heartbeat:
                return
            self.spoke = now
        self._say(f"{step.kind}: still in progress after {took((now - self.since) * 1000)}: {last}")

    def _say(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.lines.write(f"{at} {self.app} {text}" if self.app else f"{at} {text}")
