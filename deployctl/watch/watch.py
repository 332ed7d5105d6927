"""One watcher of one home: a cheap check each tick, a full one if there is a reason, a repair if something drifted.

It holds a lease only while it repairs, leaves apps alone that are being changed, and survives whatever does not
respond.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.domain.change.drift import DriftKind
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, Interrupted
from deployctl.ports import Services
from deployctl.usecases.change.reconcile import RepairDone, repair_drift
from deployctl.usecases.drift import look_at_home
from deployctl.usecases.ledger.fold import fold
from deployctl.usecases.steps.repair import ensure_guards
from deployctl.usecases.view.readiness import Around, check_readiness, look_at_all
from deployctl.watch.backoff import Backoff
from deployctl.watch.wakeup import EVERY_APP

TICK_SECONDS = 2.0  # seconds between two cheap checks
WHOLE = 30.0  # seconds between two full checks without a reason
SHARE = 0.005  # of the time, at most, for checks of one kind without a reason,
SELDOM = 10  # as long as they are no rarer than this many times the usual
CLOSE = 300.0  # seconds between two checks that inspect each container
READY = 60.0  # seconds between two checks whether there still is a rollback target
BOOKS = 60.0  # seconds between two rounds of ledger maintenance
LEDGER_KEY = "ledger.db"  # not a valid app name
FOLD = 3600.0  # seconds between two checks for what to fold; what is due by age becomes so at midnight, once a day


def pause_after(took: float, *, least: float) -> float:
    """Return the seconds until the next check of its kind: with many apps it takes longer, and runs less often. What
    happens in between is an event, and checked immediately."""
    return max(least, min(took / SHARE, least * SELDOM))


@dataclass(slots=True)
class Watch:
    s: Services
    is_rung: Callable[[], bool] = bool  # something has happened since this tick began: what can wait is left for the next one
    patience: Backoff = field(default_factory=Backoff)
    master: int | None = None  # pid of the HAProxy that has the ledger's table
    whole_at: float = float("-inf")
    close_at: float = float("-inf")
    ready_at: float = float("-inf")
    books_at: float = float("-inf")
    fold_at: float = float("-inf")
    unchecked: list[AppName] = field(default_factory=list)  # apps whose rollback targets are still to be checked in this round
    around: Around | None = None  # what was read for all of them
    again: set[str] = field(default_factory=set)  # apps that were busy when there was a reason to check
    complaints: dict[str | None, str] = field(default_factory=dict)  # reported once, not every two seconds

    def tick(self, rung: Collection[str]) -> None:
        """Check as closely as there is reason to, and repair. Only interrupts are raised."""
        try:
            self._look_after_proxy()
        except Interrupted:
            raise
        except DeployctlError as e:
            self._failed(None, e.message)
        try:
            self._look_after_apps({*rung, *self.again})
            self._look_after_ways_back()
        except Interrupted:
            raise
        except DeployctlError as e:  # the ledger, or an engine that became unreachable in the middle
            self._complain("", e.message)
        try:
            self._keep_books()
        except DeployctlError as e:  # no room for a backup
            self._complain(LEDGER_KEY, e.message)

    def _look_after_proxy(self) -> None:
        """Restart a dead HAProxy, and apply the ledger's table to a new HAProxy process."""
        s, now = self.s, self.s.clock.now()
        if s.traffic.pid() == self.master is not None or self.patience.waits(None, now) or not s.ledger.apps():
            return
        was, self.master = self.master, None
        ensure_guards(s)
        s.traffic.sync()
        self.master = s.traffic.pid()
        self._well(None)
        if was is not None:
            s.report.warn(f"HAProxy had died or was replaced: pid {self.master} handles the traffic now")

    def _look_after_apps(self, rung: set[str]) -> None:
        now = self.s.clock.now()
        everything = EVERY_APP in rung or now >= self.close_at
        rung |= self._interrupted()
        if not (everything or rung or now >= self.whole_at):
            return
        look = look_at_home(self.s, closely=None if everything else {AppName(app) for app in rung}, tags=everything)
        took = self.s.clock.now() - now
        away = look.outside.engine is not None
        if away:
            self._complain("", look.outside.engine or "")
        else:
            self.complaints.pop("", None)
        lines = repair_drift(look, self.s, skip=lambda app: self.patience.waits(app, self.s.clock.now()))
        self._judge(lines)
        self.again = {app for app in rung if app != EVERY_APP and AppName(app) not in look.drifts and self._known(app)}
        self.again |= {line.app for line in lines if line.kind == DriftKind.BUSY and line.app}
        self._forget_what_is_gone()
        now = self.s.clock.now()
        self.whole_at = now + (TICK_SECONDS if away else pause_after(took, least=WHOLE))
        self.close_at = now + (0.0 if away else pause_after(took, least=CLOSE)) if everything else self.close_at

    def _forget_what_is_gone(self) -> None:
        """Keep nothing of removed apps: a watcher runs for months."""
        there: set[str | None] = {None, "", LEDGER_KEY, *(app.name for app in self.s.ledger.apps())}
        self.patience.keep(there)
        self.complaints = {app: why for app, why in self.complaints.items() if app in there}

    def _look_after_ways_back(self) -> None:
        """Record every version that can no longer be rolled back to, or can again: engine and HAProxy are read once for
        all apps of a round."""
        began = self.s.clock.now()
        if began >= self.ready_at and not self.unchecked:
            self.unchecked = [app.name for app in self.s.ledger.apps()][::-1]
            self.around = look_at_all(self.s) if self.unchecked else None
        while self.unchecked and not self.is_rung():
            app = self.unchecked.pop()
            if self._known(app) and self.s.ledger.find_lease(app) is None:
                check_readiness(app, self.s, around=self.around)
        if self.around is not None and not self.unchecked:
            self.around, now = None, self.s.clock.now()
            self.ready_at = now + pause_after(now - began, least=READY)

    def _keep_books(self) -> None:
        """Write events for rejected changes once their minute is over, back up the ledger after switches, fold what is
        due."""
        now = self.s.clock.now()
        if now >= self.books_at:
            self.books_at = now + BOOKS
            self.s.ledger.record_refusals(at=self.s.clock.utc())
            self.s.ledger.keep_copy(at=self.s.clock.utc())
            self.complaints.pop(LEDGER_KEY, None)
        if now >= self.fold_at:
            self.fold_at = now + FOLD
            fold(self.s)

    def _interrupted(self) -> set[str]:
        """Return the apps with a deployment whose process died."""
        opened = (deployment.app for deployment in self.s.ledger.open_deployments())
        now = self.s.clock.now()
        return {app for app in opened if self.s.ledger.find_lease(app) is None and not self.patience.waits(app, now)}

    def _known(self, app: str) -> bool:
        return self.s.ledger.find_app(AppName(app)) is not None

    # -- what it reports -------------------------------------------------------------------------------------------
    def _judge(self, lines: Sequence[RepairDone]) -> None:
        """Report what was repaired, and back off from what was not."""
        for line in lines:
            if line.done:
                self.s.report.warn(f"{line.summary}. Repaired: {line.repair}")
        failed = {line.app: line for line in lines if not line.done and line.repair and line.kind != DriftKind.BUSY}
        failed |= {line.app: line for line in lines if line.kind == DriftKind.FAILED}
        for app, line in failed.items():
            self._failed(app, f"{line.summary}: {line.why}" if line.repair else line.summary)
        for app in {line.app for line in lines} - failed.keys():
            self._well(app)

    def _failed(self, app: str | None, why: str) -> None:
        self.patience.failed(app, self.s.clock.now())
        self._complain(app, why)

    def _well(self, app: str | None) -> None:
        self.patience.well(app)
        self.complaints.pop(app, None)

    def _complain(self, app: str | None, why: str) -> None:
        if self.complaints.get(app) != why:
            self.complaints[app] = why
            self.s.report.warn(why)
