"""A reporter that shows nothing and records the warnings."""

from __future__ import annotations

from deployctl.domain.change.plan import Plan, Step
from deployctl.ports import Reporter


class SilentReporter(Reporter):
    """For callers that want the result without the progress."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def plan(self, plan: Plan) -> None:
        """Show nothing."""

    def begin(self, step: Step) -> None:
        """Show nothing."""

    def detail(self, text: str, step: Step | None = None) -> None:
        """Show nothing."""

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        self.warnings.append(text)
