"""Progress lines tell what happens while it happens, and never disturb it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from deployctl.cli.reporters.live import Live
from deployctl.cli.reporters.reporter import Plain, Quiet, ReporterLines, Ticker
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.change.plan import Plan, PlanKind, Step, StepKind
from deployctl.domain.inputs.names import AppName
from tests.unit.cli_world import Screen

if TYPE_CHECKING:
    from deployctl.cli.reporters.reporter import ClosableReporter

HEALTH = Step(StepKind.HEALTH, 2, "prove v2 healthy: GET /")
SWITCH = Step(StepKind.SWITCH, 2, "switch traffic of shop to v2")
PLAN = Plan(AppName("shop"), PlanKind.UPGRADE, 1, 2, (HEALTH, SWITCH), "shop: v1 → v2")


def upgrade(report: ClosableReporter) -> None:
    report.plan(PLAN)
    report.begin(HEALTH)
    report.detail("GET / gave 503")
    report.end(HEALTH, ms=9400, ok=True, text="GET / 3 of 3 good answers")
    report.begin(SWITCH)
    report.end(SWITCH, ms=0.4, ok=False, text="HAProxy said no\nand more")
    report.warn("could not stop v1")


def lines_of(screen: Screen) -> list[str]:
    """Return the lines without their times, which all look alike."""
    return [line.partition("Z ")[2] for line in screen.getvalue().splitlines()]


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_a_log_gets_one_line_for_each_phase() -> None:
    screen = Screen()
    report = Plain(ReporterLines(screen, TerminalStyle()))
    upgrade(report)
    report.close()
    assert lines_of(screen) == [
        "shop: v1 → v2",
        "shop health: GET / 3 of 3 good answers  9.4 s",
        "shop switch ✗: HAProxy said no  0.4 ms",
        "shop warning: could not stop v1",
    ]
    assert screen.getvalue()[4] == "-"
    assert screen.getvalue()[10] == "T"


def test_verbose_adds_begins_and_details() -> None:
    screen = Screen()
    report = Plain(ReporterLines(screen, TerminalStyle()), verbose=True)
    upgrade(report)
    report.close()
    assert "shop health started: prove v2 healthy: GET /" in lines_of(screen)
    assert "shop health: GET / gave 503" in lines_of(screen)


def test_a_long_phase_beats() -> None:
    screen = Screen()
    report = Plain(ReporterLines(screen, TerminalStyle()), heartbeat=0.04)
    report.plan(PLAN)
    report.begin(HEALTH)
    report.detail("GET / gave 503")
    wait_for(lambda: screen.getvalue().count("still in progress after") >= 2)
    report.close()
    assert lines_of(screen)[1].startswith("shop health: still in progress after ")
    assert lines_of(screen)[1].endswith(": GET / gave 503")


def test_between_two_steps_nothing_beats() -> None:
    screen = Screen()
    report = Plain(ReporterLines(screen, TerminalStyle()), heartbeat=0.01)
    report.begin(HEALTH)
    report.end(HEALTH, ms=1, ok=True)
    before = screen.getvalue()
    time.sleep(0.1)
    report.close()
    assert screen.getvalue() == before


@pytest.mark.parametrize("kind", [Plain, Live])
def test_closing_ends_the_one_thread(kind: type[Plain] | type[Live]) -> None:
    before = threading.active_count()
    report = kind(ReporterLines(Screen(tty=True), TerminalStyle(width=80)))
    for _ in range(3):
        report.begin(HEALTH)
    assert threading.active_count() == before + 1
    report.close()
    assert threading.active_count() == before


def test_closing_what_never_began_is_fine() -> None:
    Plain(ReporterLines(Screen(), TerminalStyle())).close()
    Ticker(1, lambda: None).close()


def test_quiet_passes_on_warnings_only() -> None:
    screen = Screen()
    upgrade(Quiet(ReporterLines(screen, TerminalStyle())))
    assert screen.getvalue() == "! could not stop v1\n"


def test_a_terminal_gets_a_line_for_each_finished_step() -> None:
    screen = Screen(tty=True)
    report = Live(ReporterLines(screen, TerminalStyle(width=80, live=True)))
    upgrade(report)
    report.close()
    assert screen.getvalue().splitlines() == [
        "shop: v1 → v2",
        "  ✓ Health    GET / 3 of 3 good answers  9.4 s",
        "  ✗ Switch    HAProxy said no  0.4 ms",
        "! could not stop v1",
    ]


def test_a_slow_step_spins_and_the_cursor_comes_back() -> None:
    screen = Screen(tty=True)
    report = Live(ReporterLines(screen, TerminalStyle(width=80, live=True, colour=True)), verbose=True)
    report.begin(HEALTH)
    report.detail("GET / gave 503")
    wait_for(lambda: "Health    GET / gave 503" in screen.getvalue())
    report.warn("slow")
    report.close()
    assert "! slow" in screen.getvalue()
    assert screen.getvalue().rfind("\x1b[?25h") > screen.getvalue().rfind("\x1b[?25l") >= 0


class Broken(Screen):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("kind", [Plain, Live])
def test_a_closed_stderr_disturbs_nothing(kind: type[Plain] | type[Live]) -> None:
    report = kind(ReporterLines(Broken(tty=True), TerminalStyle(width=80)))
    upgrade(report)
    report.begin(HEALTH)
    time.sleep(0.5)
    report.close()


def test_quick_steps_on_a_terminal_never_load_rich() -> None:
    code = """
import sys
from deployctl.cli.terminal import TerminalStyle
from deployctl.cli.reporters.reporter import ReporterLines
from deployctl.cli.reporters.live import Live
from tests.unit.test_cli_progress import PLAN, HEALTH
sys.modules.pop("rich", None)
report = Live(ReporterLines(sys.stderr, TerminalStyle(width=80, live=True)))
report.plan(PLAN); report.begin(HEALTH); report.end(HEALTH, ms=1, ok=True); report.close()
sys.exit("rich.live" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
