"""The long-lived process: one for each home. A signal ends it; HAProxy and the apps keep running."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

from deployctl.config.settings import Settings
from deployctl.errors import DeployctlError, Interrupted, Refused
from deployctl.paths import Path
from deployctl.ports import Services
from deployctl.watch.lock import only_one
from deployctl.watch.wakeup import Wakeup, start_following
from deployctl.watch.watch import TICK_SECONDS, Watch

SETTLE = 0.3  # seconds after an event: `docker restart` is two of them
COLLECTED = (700, 10, 10)  # objects and rounds between two collections: Python's defaults
LEDGER_RETRY_SECONDS = 2.0  # seconds before a ledger that was replaced and cannot be read is opened again

OpenServices = Callable[[], Services]
Beside = Callable[[Services], AbstractContextManager[object]]
Stamp = tuple[int, int] | None


def serve(settings: Settings, connect: OpenServices, *, beside: Beside = nullcontext) -> None:
    """Watch until a signal arrives, with whatever `beside` starts around the services. Raises what prevents it from
    starting; later errors are reported and survived."""
    gc.set_threshold(*COLLECTED)  # __main__ configured it for a short-lived process
    with only_one(settings.state_dir), suppress(KeyboardInterrupt, Interrupted):
        stamp, s = _stamp(settings.ledger), connect()
        try:
            with beside(s):
                while True:
                    watch_until_replaced(s, settings.ledger, stamp)
                    s.close()
                    stamp, s = _stamp(settings.ledger), _connect_again(s, connect)
        finally:
            s.close()  # ending without this would count as unclean


def watch_until_replaced(s: Services, ledger: Path, stamp: Stamp) -> None:
    """Watch as long as the ledger is the file that was opened: a restored backup is another one. `stamp` was taken
    before it was opened, so that a restore while the dashboard starts is noticed; None if there was none yet."""
    wakeup, stamp = Wakeup(), stamp or _stamp(ledger)
    watch = Watch(s, is_rung=wakeup.is_rung)
    ended = start_following(s.engine, wakeup, now=s.clock.utc())
    rung = frozenset[str]()
    try:
        while _stamp(ledger) in {stamp, None}:
            _require_here(s)
            watch.tick(rung)
            if rung := wakeup.wait(TICK_SECONDS):
                s.clock.sleep(SETTLE)
                rung |= wakeup.wait(0)
    finally:
        ended.set()


def _require_here(s: Services) -> None:
    """Raise if the home was moved and only a link leads here: working under the former path would undo what commands do
    at the present one."""
    try:
        place = s.ledger.identity.path
    except DeployctlError:  # the watch reports it
        return
    if place != str(s.home):
        raise Refused(f"the home {s.home} was moved to {place}: the watcher stops and has to be started there.",
                      remedy=[f"deployctl --home {place} serve", f"sudo deployctl --home {place} install"])


def _connect_again(s: Services, connect: OpenServices) -> Services:
    while True:
        try:
            return connect()
        except DeployctlError as e:
            s.report.warn(e.message)
            s.clock.sleep(LEDGER_RETRY_SECONDS)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
