"""The watcher's log: a line for each repair and each failure, and nothing while there is no drift."""

from __future__ import annotations

import time

from deployctl.cli.reporters.reporter import ReporterLines, result_of
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.durations import took


class Journal:
    """`stamped`: each line starts with the time; systemd's journal adds its own."""

    def __init__(self, lines: ReporterLines, *, quiet: bool, stamped: bool) -> None:
        self.lines, self.quiet, self.stamped = lines, quiet, stamped
        self.app = ""

    def plan(self, plan: Plan) -> None:
        self.app = plan.app

    def begin(self, step: Step) -> None:
        """Print nothing before the step is finished."""

    def detail(self, text: str, step: Step | None = None) -> None:
        """Print nothing for mere progress."""

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        if not self.quiet:
            failed = "" if ok else f" {self.lines.look.bad}"
            self._say(f"{self.app}: {step.kind}{failed}: {result_of(step, text)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()) if self.stamped else ""
        self.lines.write(f"{at}{text}")
