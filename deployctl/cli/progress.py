"""What a person sees while it happens, on stderr. A closed stderr never disturbs a deployment.

`Plain` writes a line per phase, with its time, and a heartbeat in long phases; `Live` draws one spinner line
per step; `Quiet` passes on warnings only. Each has at most one thread, which `close` ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from deployctl.cli.look import Look
from deployctl.cli.times import took
from deployctl.domain.plan import Plan, Step

if TYPE_CHECKING:
    from rich.live import Live as RichLive

HEARTBEAT = 15.0  # seconds of silence in a phase that are too many in a log
SPIN_AFTER = 0.2  # seconds; what is faster needs no spinner, and no import of rich


class Progress(Protocol):
    """A ports.Reporter that can be closed."""

    def plan(self, plan: Plan) -> None: ...
    def begin(self, step: Step) -> None: ...
    def detail(self, text: str) -> None: ...
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
    """A stream that may be gone: what cannot be written is not. rich would end the process instead."""

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


class Lines:
    """Writes whole lines to a stream that may be gone."""

    def __init__(self, stream: TextIO, look: Look) -> None:
        self.stream, self.look = Harmless(stream), look

    def write(self, *lines: str) -> None:
        self.stream.write(self.look.finish([*lines]))
        self.stream.flush()


class Quiet:
    """Warnings only."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def plan(self, plan: Plan) -> None:
        """Say nothing."""

    def begin(self, step: Step) -> None:
        """Say nothing."""

    def detail(self, text: str) -> None:
        """Say nothing."""

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        self.lines.write(f"{self.lines.look.warn} {text}")

    def close(self) -> None:
        """Nothing runs."""


class Plain:
    """One line per phase: time, app, kind, what came of it, how long. `verbose` adds begins and details."""

    def __init__(self, lines: Lines, *, verbose: bool = False, heartbeat: float = HEARTBEAT) -> None:
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
            self._say(f"{step.kind} begins: {step.sentence}")

    def detail(self, text: str) -> None:
        with self.lock:
            self.last = text
        if self.verbose:
            self._say(f"{self.step.kind}: {text}" if self.step else text)

    def end(self, step: Step, *, ms: float, ok: bool, text: str = "") -> None:
        with self.lock:
            self.step = None
        failed = "" if ok else f" {self.lines.look.bad}"
        self._say(f"{step.kind}{failed}: {_result(step, text)}  {took(ms)}")

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
        self._say(f"{step.kind}: still at it after {took((now - self.since) * 1000)}: {last}")

    def _say(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.lines.write(f"{at} {self.app} {text}" if self.app else f"{at} {text}")


def _result(step: Step, text: str) -> str:
    """Return what came of a step, in one line."""
    return next(iter(text.strip().splitlines()), step.sentence)


class Live:
    """A spinner line with the elapsed time for the step that runs, a finished line for each that is done."""

    def __init__(self, lines: Lines, *, verbose: bool = False) -> None:
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
        self.lines.write(f"  {sign} {step.kind.capitalize():<8}  {_result(step, text)}  {took(ms)}")

    def warn(self, text: str) -> None:
        self._above(f"{self.lines.look.warn} {text}")

    def close(self) -> None:
        self.ticker.close()
        self._stop()

    def _tick(self) -> None:
        """Draw the spinner once a step takes its time. rich is imported outside the lock: nobody waits for it."""
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


def _spinner(lines: Lines, frame: Callable[[], str]) -> RichLive:
    """Return a line that draws itself eight times a second and is gone when stopped."""
    from rich.console import Console
    from rich.live import Live as RichLive
    from rich.spinner import Spinner
    from rich.text import Text

    class Line:
        """Asks for the words anew at each frame."""

        spinner = Spinner("dots" if lines.look.utf8 else "line")

        def __rich__(self) -> Any:
            words = Text(" " + lines.look.say(frame()), no_wrap=True, overflow="ellipsis")
            self.spinner.update(text=words)
            return self.spinner

    console = Console(file=cast("TextIO", lines.stream), width=lines.look.width, force_terminal=True, highlight=False,
                      color_system="standard" if lines.look.colour else None)
    return RichLive(Line(), console=console, transient=True, refresh_per_second=8, redirect_stdout=False,
                    redirect_stderr=False)
