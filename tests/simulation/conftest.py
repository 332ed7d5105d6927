"""At the end the number of schedules is reported, across all workers."""

from __future__ import annotations

from collections import Counter

import pytest

TOTAL = Counter[str]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name in {"schedules", "calls"}:
                TOTAL[name] += int(str(value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TOTAL["schedules"]:
        terminalreporter.write_line(f"simulation: {TOTAL['schedules']} schedules, {TOTAL['calls']} calls")
