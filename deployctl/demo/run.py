"""`deployctl demo`: real containers, real visitors, one broken version, and a one-click rollback.

Ends with the count of requests and a link to the dashboard. What it leaves running is listed, and ends with `--stop`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from deployctl.config.settings import Settings
from deployctl.demo import background, stage
from deployctl.demo.visitor_count import Count
from deployctl.demo.visitors import Visitors
from deployctl.errors import DeployctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

RATE = 100.0  # visitors a second
STATE_SECONDS = 3.0  # seconds that visitors get in each state
STAY, STAY_RATE = 900, 10  # seconds and requests a second of the visitors that stay
SEEN = 40.0  # seconds within which the failures are measured
ADMIN = "demo"


class Demo:
    """One run. Every step is exactly the command that a user would type, run by a process of its own."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        self.settings, self.out = Settings(folder.resolve()), out
        utf8 = (out.encoding or "").lower().replace("-", "") == "utf8"
        self.tick = "✓" if utf8 else "ok"

    def stop(self) -> int:
        """Remove all of it; the engine stays as it is."""
        removed = stage.take_apart(self.settings)
        for name in removed:
            self._say(f"  {self.tick} removed {name}")
        self._say("The demo was removed." if removed else f"No demo in {self.settings.home}: nothing to stop.")
        return 0

    def run(self) -> int:
        self._say(f"Demo in {self.settings.home}, only on 127.0.0.1. "
                  f"Stop and remove everything: {self._command('demo', '--stop')}")
        if stage.running_home(self.settings.home):
            stage.take_apart(self.settings)
        try:
            return self._run()
        except BaseException:
            background.end_all(self.settings.home)
            raise

    def _run(self) -> int:
        web, port = self._set_up()
        self._open_dashboard(web)
        with Visitors(f"http://127.0.0.1:{port}/", RATE) as visitors:
            self._done(f"visitors: {RATE:.0f} requests a second, counted from outside")
            time.sleep(STATE_SECONDS)
            self._story()
            self._wait_measured()
        self._let_some_stay(port)
        return self._tell(visitors.count, port=port)

    def _set_up(self) -> tuple[int, int]:
        info = stage.engine(self.settings).info()
        web, port = stage.write_files(self.settings)
        usual = "" if web == stage.FIRST_PORT else f" ({stage.FIRST_PORT} is taken)"
        self._done(f"Docker {info.version}; on 127.0.0.1 port {web} for the dashboard{usual} and {port} for the app are free")
        started = time.monotonic()
        stage.load_versions(self.settings)
        self._done(f"images v1, v2, v3 assembled from this Python and loaded, no registry: "
                   f"{time.monotonic() - started:.1f} s")
        self._deployctl("upgrade", stage.APP_NAME, "v1", "-m", "the first one")
        return web, port

    def _open_dashboard(self, port: int) -> None:
        """Let `deployctl serve` run by itself until `--stop`."""
        background.start("serve", self._program("serve"), self.settings.home)
        until = time.monotonic() + SEEN
        while not _answers(port):
            if time.monotonic() > until or not background.runs("serve", self.settings.home):
                raise DeployctlError("the dashboard did not start", remedy=[f"tail {self.settings.home}/serve.log"])
            time.sleep(0.1)
        self._say("")
        self._done(f"dashboard: deployctl serve runs in the background, on http://127.0.0.1:{port}")

    def _let_some_stay(self, port: int) -> None:
        command = [sys.executable, "-I", "-m", "deployctl.demo.visitors", f"http://127.0.0.1:{port}/",
                   "--rate", str(STAY_RATE), "--seconds", str(STAY)]
        background.start("visitors", command, self.settings.home)
        self._say("")
        self._done(f"{STAY_RATE} visitors a second stay for {STAY // 60} min, so that there is something to see; "
                   "they use 127.0.0.1 only")

    def _story(self) -> None:
        self._deployctl("upgrade", stage.APP_NAME, "v2", "-m", "new look")
        time.sleep(STATE_SECONDS)
        self._say("\nv2 has a bug: its health check passes, but 1 request in 12 fails. Roll back:")
        self._deployctl("rollback", stage.APP_NAME, "-m", "1 in 12 fails")
        time.sleep(STATE_SECONDS)
        self._say("\nThat switched the traffic, not the containers: both versions still run. So it can be undone just as fast:")
        self._deployctl("undo", stage.APP_NAME)
        time.sleep(STATE_SECONDS)
        self._deployctl("history", stage.APP_NAME)

    def _wait_measured(self) -> None:
        """Keep the visitors there until `status` has counted enough failures to report degraded."""
        until = time.monotonic() + SEEN
        while time.monotonic() < until:
            status = json.loads(self._ask("-o", "json", "status", stage.APP_NAME))
            if status["apps"][0]["state"] == "degraded":
                break
            time.sleep(1)
        self._deployctl("status", stage.APP_NAME)

    def _deployctl(self, *words: str) -> None:
        """Run the command in a process of its own, shown as it would be typed."""
        self._say(f"\n$ deployctl {' '.join(_quoted(word) for word in words)}")
        for line in self._ask("-q", *words).rstrip().splitlines():
            self._say(f"  {line}")

    def _ask(self, *words: str) -> str:
        """Return the command's result. Raises DeployctlError with all its output if it fails."""
        done = subprocess.run(self._program(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            error = DeployctlError(f"deployctl {' '.join(words)} exited with {done.returncode}",
                                   remedy=[self._command("doctor"), self._command("demo", "--stop")])
            error.details = [done.stdout + done.stderr]
            raise error
        return done.stdout + done.stderr

    def _program(self, *words: str) -> list[str]:
        return [sys.executable, "-I", "-m", "deployctl", "--home", str(self.settings.home), *words]

    def _tell(self, count: Count, *, port: int) -> int:
        app = stage.APP_NAME
        served = ", ".join(f"{version} handled {n:,}" for version, n in sorted(count.by_version.items()))
        link = self._ask("-q", "user", "add", ADMIN, "--role", "admin").strip()
        self._say(f"""
One upgrade, one rollback, one undo under {RATE:.0f} requests a second. {served}; {count.app_5xx:,} more were v2's own errors.
Counted from outside: {count.sent:,} requests, {count.lost:,} lost

The fixed version:       {self._command('upgrade', app, 'v3')}
Another link:            {self._command('user', 'link', ADMIN)}
Remove everything:       {self._command('demo', '--stop')}
Your own app:            deployctl init myapp --image IMAGE:TAG, then deployctl upgrade myapp TAG

Now v2, the broken version, is live again on http://127.0.0.1:{port}/: 1 request in 12 fails. Fix it with one click:

  Dashboard   {link}?next=/apps/{app}   (signs you in once, valid for 15 min)
  Terminal    {self._command('rollback', app)}""")
        return 1 if count.lost else 0

    def _command(self, *words: str) -> str:
        """Return the command with everything that this user must type for it."""
        program = Path(sys.argv[0])
        name = str(program) if program.name == "deployctl" else "deployctl"
        home = [] if words[0] == "demo" else ["--home", str(self.settings.home)]
        return " ".join([_quoted(name), *map(_quoted, home), *words])

    def _done(self, text: str) -> None:
        self._say(f"  {self.tick} {text}")

    def _say(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()


def _answers(port: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def run_demo(folder: Path, *, stop: bool, out: TextIO) -> int:
    """Run the demo in that folder, or remove it. Return the exit code: 1 if a request was lost."""
    demo = Demo(folder, out)
    return demo.stop() if stop else demo.run()
