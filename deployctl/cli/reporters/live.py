"""Progress for a terminal: a spinner for the running step, a line for each finished one. rich is loaded for slow steps only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, cast

from deployctl.cli.reporters.reporter import ReporterLines, Ticker, result_of
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.durations import took

if TYPE_CHECKING:
    from rich.live import Live as RichLive

SPIN_AFTER = 0.2  # seconds; what is faster needs no spinner, and no import of rich


class Live:
    """A spinner with the elapsed time for the running step, and a line for each finished one."""

    def __init__(self, lines: ReporterLines, *, verbose: bool = False) -> None:
        self.lines, self.verbose = lines, verbose
        self.lock = threading.Lock()
        self.step: Step | None = None
        self.last, self.since = "", 0.0
        self.drawn: RichLive | None = None
        self.ticker = Ticker(SPIN_AFTER, self._tick)

    def plan(self, plan: Plan) -> None:
        self.lines.write(plan.summary)

    def begin(self, step: Step) -> None:
        with self.lock:
            self.step, self.last, self.since = step, step.sentence, time.monotonic()
        self.ticker.start()

    def detail(self, text: str) -> None:
        with self.lock:
            self.last = text
        if self.verbose:
            self._above(f"    {text}")

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        self._stop()
        look = self.lines.look
        sign = look.good if ok else look.bad
        self.lines.write(f"  {sign} {step.kind.capitalize():<8}  {result_of(step, text)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._above(f"{self.lines.look.warn} {text}")

    def close(self) -> None:
        self.ticker.close()
        self._stop()

    def _tick(self) -> None:
        """Draw the spinner once a step is slow. rich is imported outside the lock, so that nothing waits for it."""
        step = self.step
        if step is None or self.drawn is not None:
            return
        live = _spinner(self.lines, self._frame)
        with self.lock:
            if self.step is step:
                live.start()
                self.drawn = live

    def _frame(self) -> str:
        step = self.step
        if step is None:
            return ""
        return f"{step.kind.capitalize():<8}  {self.last}  {took((time.monotonic() - self.since) * 1000)}"

    def _stop(self) -> None:
        with self.lock:
            self.step, drawn, self.drawn = None, self.drawn, None
            if drawn is not None:
                drawn.stop()

    def _above(self, text: str) -> None:
        """Write a line above the spinner."""
        with self.lock:
            if self.drawn is not None:
                self.drawn.console.print(self.lines.look.say(text), markup=False, highlight=False)
                return
        self.lines.write(text)


def _spinner(lines: ReporterLines, frame: Callable[[], str]) -> RichLive:
    """Return a line that redraws itself eight times a second and disappears when stopped."""
    from rich.console import Console
    from rich.live import Live as RichLive
    from rich.spinner import Spinner
    from rich.text import Text

    class Line:
        """Renders the text again for each frame."""

        spinner = Spinner("dots" if lines.look.utf8 else "line")

        def __rich__(self) -> Any:
            words = Text(" " + lines.look.say(frame()), no_wrap=True, overflow="ellipsis")
            self.spinner.update(text=words)
            return self.spinner

    console = Console(file=cast("TextIO", lines.stream), width=lines.look.width, force_terminal=True, highlight=False,
                      color_system="standard" if lines.look.colour else None)
    return RichLive(Line(), console=console, transient=True, refresh_per_second=8, redirect_stdout=False,
                    redirect_stderr=False)
