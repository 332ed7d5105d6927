"""`deployctl demo`: real containers, real visitors, one broken version, and the way back. Ends by telling the count."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from deployctl.demo import stage
from deployctl.demo.visitor_count import Count
from deployctl.demo.visitors import Visitors
from deployctl.errors import DeployctlError
from deployctl.settings import Settings

RATE = 100.0  # visitors a second
LOOK = 3.0  # seconds that each state is left to the visitors


class Demo:
    """One run. Every step is the very command that a person would type, run by a process of its own."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        self.settings, self.out = Settings(folder.resolve()), out
        utf8 = (out.encoding or "").lower().replace("-", "") == "utf8"
        self.tick = "✓" if utf8 else "ok"

    def stop(self) -> int:
        """Remove all of it; the engine stays as it is."""
        removed = stage.take_apart(self.settings)
        for name in removed:
            self._say(f"  {self.tick} removed {name}")
        self._say("The demo is gone." if removed else f"No demo in {self.settings.home}: nothing to stop.")
        return 0

    def run(self) -> int:
        self._say(f"Demo in {self.settings.home}, only on 127.0.0.1. "
                  f"Stop and remove everything: {self._command('demo', '--stop')}")
        if stage.running_home(self.settings.home):
            stage.take_apart(self.settings)
        port = self._set_up()
        with Visitors(f"http://127.0.0.1:{port}/", RATE) as visitors:
            self._done(f"visitors: {RATE:.0f} requests a second, counted from outside")
            time.sleep(LOOK)
            self._story()
        return self._tell(visitors.count, port=port)

    def _set_up(self) -> int:
        info = stage.engine(self.settings).info()
        port = stage.write_files(self.settings)
        self._done(f"Docker {info.version}, address 127.0.0.1:{port} is free")
        started = time.monotonic()
        stage.load_versions(self.settings)
        self._done(f"images v1, v2, v3 assembled from this Python and loaded, no registry: "
                   f"{time.monotonic() - started:.1f} s")
        self._deployctl("upgrade", stage.APP_NAME, "v1", "-m", "the first one")
        return port

    def _story(self) -> None:
        self._deployctl("upgrade", stage.APP_NAME, "v2", "-m", "new look")
        time.sleep(LOOK)
        self._say("\nv2 has a bug: its health check is fine, but 1 request in 12 fails. Back, at once:")
        self._deployctl("rollback", stage.APP_NAME, "-m", "1 in 12 fails")
        time.sleep(LOOK)
        self._say("\nThat took the traffic, not the containers: both versions run. So it can be undone as fast:")
        self._deployctl("undo", stage.APP_NAME)
        time.sleep(LOOK)
        self._deployctl("history", stage.APP_NAME)

    def _deployctl(self, *words: str) -> None:
        """Run the command in a process of its own, shown as it would be typed."""
        self._say(f"\n$ deployctl {' '.join(_quoted(word) for word in words)}")
        done = subprocess.run([sys.executable, "-I", "-m", "deployctl", "--home", str(self.settings.home), "-q", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        for line in (done.stdout + done.stderr).rstrip().splitlines():
            self._say(f"  {line}")
        if done.returncode:
            raise DeployctlError(f"deployctl {words[0]} ended with {done.returncode}",
                                 remedy=[self._command("doctor"), self._command("demo", "--stop")])

    def _tell(self, count: Count, *, port: int) -> int:
        app = stage.APP_NAME
        served = ", ".join(f"{version} answered {n:,}" for version, n in sorted(count.by_version.items()))
        self._say(f"""
Now v2, the broken one, serves http://127.0.0.1:{port}/ again. It is yours:
  {self._command('rollback', app)}
  {self._command('upgrade', app, 'v3')}    (the bug is mended there)
  {self._command('status', app)}
Everything is removed by: {self._command('demo', '--stop')}
Your own app: deployctl init myapp --image IMAGE:TAG, then deployctl upgrade myapp TAG

One upgrade, one rollback, one undo under {RATE:.0f} requests a second. {served}; {count.app_5xx:,} more were v2's own errors.
Counted from outside: {count.sent:,} requests, {count.lost:,} lost""")
        return 1 if count.lost else 0

    def _command(self, *words: str) -> str:
        """Return the command with everything that this person must type for it."""
        program = Path(sys.argv[0])
        name = str(program) if program.name == "deployctl" else "deployctl"
        home = [] if words[0] == "demo" else ["--home", str(self.settings.home)]
        return " ".join([_quoted(name), *map(_quoted, home), *words])

    def _done(self, text: str) -> None:
        self._say(f"  {self.tick} {text}")

    def _say(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def run_demo(folder: Path, *, stop: bool, out: TextIO) -> int:
    """Run the demo in that folder, or remove it. Return the exit code: 1 when a request was lost."""
    demo = Demo(folder, out)
    return demo.stop() if stop else demo.run()
