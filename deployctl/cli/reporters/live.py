"""Progress for a terminal: a spinner for each step in progress, a line for each finished one. rich is loaded for slow steps
only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, cast

from deployctl.cli.reporters.reporter import ReporterLines, Ticker, has_several, result_of
from deployctl.domain.change.plan import Plan, Step
from deployctl.domain.durations import took

if TYPE_CHECKING:
    from rich.live import Live as RichLive

SPIN_AFTER = 0.2  # seconds; what is faster needs no spinner, and no import of rich


class Live:
    """A spinner with the elapsed time for each step in progress, and a line for each finished one."""

    def __init__(self, lines: ReporterLines, *, verbose: bool = False) -> None:
        self.lines, self.verbose, self.several = lines, verbose, False
        self.lock = threading.Lock()
        self.steps: dict[Step, tuple[str, float]] = {}  # in progress: its last detail, and since when
        self.drawn: RichLive | None = None
        self.ticker = Ticker(SPIN_AFTER, self._tick)

    def plan(self, plan: Plan) -> None:
        self.lines.write(plan.summary)
        self.several = has_several(plan)

    def begin(self, step: Step) -> None:
        with self.lock:
            self.steps[step] = step.sentence, time.monotonic()
        self.ticker.start()

    def detail(self, text: str, step: Step | None = None) -> None:
        with self.lock:
            step = step or next(reversed(self.steps), None)
            if step in self.steps:
                self.steps[step] = result_of(step, text, several=self.several), self.steps[step][1]
        if self.verbose:
            self._above(f"    {text}")

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        self._forget(step)
        look = self.lines.look
        sign = look.good if ok else look.bad
        self._above(f"  {sign} {step.kind.capitalize():<8}  {result_of(step, text, several=self.several)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._above(f"{self.lines.look.warn} {text}")

    def close(self) -> None:
        self.ticker.close()
        self.steps.clear()
        self._stop()

    def _tick(self) -> None:
        """Draw the spinners once a step is slow. rich is imported outside the lock, so that nothing waits for it."""
        if not self._slow() or self.drawn is not None:
            return
        live = _spinner(self.lines, self._frames)
        with self.lock:
            if self._slow():
                live.start()
                self.drawn = live

    def _slow(self) -> bool:
        now = time.monotonic()
        return any(now - since >= SPIN_AFTER / 2 for _, since in tuple(self.steps.values()))

    def _frames(self) -> list[str]:
        now, steps = time.monotonic(), tuple(self.steps.items())
        return [f"{step.kind.capitalize():<8}  {last}  {took((now - since) * 1000)}" for step, (last, since) in steps]

    def _forget(self, step: Step) -> None:
        with self.lock:
            self.steps.pop(step, None)
        if not self.steps:
            self._stop()

    def _stop(self) -> None:
        with self.lock:
            drawn, self.drawn = self.drawn, None
            if drawn is not None:
                drawn.stop()

    def _above(self, text: str) -> None:
        """Write a line above the spinners."""
        with self.lock:
            if self.drawn is not None:
                self.drawn.console.print(self.lines.look.say(text), markup=False, highlight=False)
                return
        self.lines.write(text)


def _spinner(lines: ReporterLines, frames: Callable[[], list[str]]) -> RichLive:
    """Return lines that redraw themselves eight times a second and disappear when stopped."""
    from rich.console import Console, Group
    from rich.live import Live as RichLive
    from rich.spinner import Spinner
    from rich.text import Text

    class Lines:
        """Renders the texts again for each frame."""

        spinners: tuple[Spinner, ...] = ()

        def __rich__(self) -> Any:
            words = [Text(" " + lines.look.say(text), no_wrap=True, overflow="ellipsis") for text in frames()]
            more = len(words) - len(self.spinners)
            self.spinners += tuple(Spinner("dots" if lines.look.utf8 else "line") for _ in range(more))
            for spinner, text in zip(self.spinners, words, strict=False):
                spinner.update(text=text)
            return Group(*self.spinners[:len(words)])

    console = Console(file=cast("TextIO", lines.stream), width=lines.look.width, force_terminal=True, highlight=False,
                      color_system="standard" if lines.look.colour else None)
    return RichLive(Lines(), console=console, transient=True, refresh_per_second=8, redirect_stdout=False,
                    redirect_stderr=False)
