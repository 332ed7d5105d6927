"""Repair drift between ledger and actual state. What is live stays live: no traffic is switched to where it did not go
before.

Every pass reads the state again under the app's lease, so running it twice changes nothing. Apps that are being changed
are left alone. Live releases come first, across all apps; then everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.change.drift import DriftKind, Repair, find_drift, is_in_the_way
from deployctl.domain.change.drift_kinds import REPAIR_TEXT
from deployctl.domain.change.repair_plan import plan_repair
from deployctl.domain.inputs.names import AppName
from deployctl.errors import DeployctlError, EngineUnavailable, Interrupted, LeaseHeld, NotFound
from deployctl.execution.actions import STEP_ACTIONS
from deployctl.execution.health_gate import HealthGate
from deployctl.execution.kinds.one_off import remove_dead
from deployctl.execution.runner import Walk, run
from deployctl.usecases.drift import look_at_home, look_outside, snapshot_of
from deployctl.usecases.read_facts import require_app
from deployctl.usecases.steps.lease import fenced_by, lease
from deployctl.usecases.steps.options import ChangeOptions
from deployctl.usecases.steps.recover import recover
from deployctl.usecases.steps.repair import ACTS, ensure_guards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.drift import Drift
    from deployctl.domain.change.facts import AppSnapshot
    from deployctl.domain.change.plan import Plan
    from deployctl.ports import Services
    from deployctl.usecases.drift import DriftReading

ROUNDS = 50  # readings of one app in one pass; no drift is tried twice, so this only matters if the state never settles


@dataclass(frozen=True, slots=True)
class RepairDone:
    """One contradiction between ledger and actual state, and what became of it."""

    app: str | None  # None: concerns the whole home
    kind: str
    summary: str
    repair: str | None  # how it is repaired, as text; None: a person has to decide
    done: bool = False
    why: str = ""  # why it was not repaired
    release: int | None = None  # number
    repair_code: Repair | None = None  # the code of `repair`
    why_code: str | None = None  # the code of the error that prevented it

    @property
    def says_more(self) -> bool:
        """Return whether `why` adds something: if checking itself failed, the message is the reason."""
        return bool(self.why) and (self.repair is not None or self.why_code is None)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `reconcile` found and did; with `dry_run` what it would do."""

    lines: tuple[RepairDone, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        return self.dry_run or not self.left

    @property
    def changed(self) -> bool:
        return any(line.done for line in self.lines)

    @property
    def left(self) -> tuple[RepairDone, ...]:
        return tuple(line for line in self.lines if not line.done)


def reconcile(s: Services, *, app: AppName | None = None, options: ChangeOptions = ChangeOptions()) -> Reconciled:
    """Repair the home, or one app and HAProxy, and wait until what was started is healthy."""
    if app is not None:
        require_app(app, s)
    look = _only(look_at_home(s), app)
    busy = _busy(s, app)
    done = repair_drift(look, s, options=options)
    if look.outside.engine:
        raise EngineUnavailable(f"{look.outside.engine} Only HAProxy was checked.",
                                remedy=["sudo systemctl start docker", "deployctl doctor"])
    remove_dead(app, s)
    return Reconciled((*_proven(done, s), *busy))


def preview_reconcile(s: Services, *, app: AppName | None = None) -> Reconciled:
    """Return what `reconcile` would repair now, and change nothing."""
    if app is not None:
        require_app(app, s)
    found = _only(look_at_home(s), app).every
    return Reconciled((*map(_line, found), *_busy(s, app)), dry_run=True)


def repair_drift(look: DriftReading, s: Services, *, options: ChangeOptions = ChangeOptions(),
         skip: Callable[[AppName | None], bool] = lambda app: False,
         ) -> list[RepairDone]:
    """Repair what that reading found, HAProxy first. What cannot be repaired is reported and delays nothing else;
    `skip` names apps, or with None the home, to leave alone for now.

    Without the engine nothing of an app can be repaired, nor is it known what to repair.
    """
    done = [] if skip(None) else _repair_home(look, s)
    if look.outside.engine:
        return done
    due = [app for app, drifts in look.drifts.items() if any(d.repair for d in drifts) and not skip(app)]
    passes = {app: _Pass(app, s, options) for app in due}
    for first in (True, False):
        for one in passes.values():
            one.take(actives_only=first)
    for app, drifts in look.drifts.items():
        repaired = passes[app].lines if app in passes else []
        reported = {(line.kind, line.release) for line in repaired}
        done += repaired + [_line(d) for d in drifts if not d.repair and (d.kind, d.release) not in reported]
    return done


# -- the home ------------------------------------------------------------------------------------------------------
def _repair_home(look: DriftReading, s: Services) -> list[RepairDone]:
    """Get HAProxy running with the ledger's table, and remove what belongs to no app in the ledger."""
    lines = []
    proxy = [drift for drift in look.home if drift.repair is Repair.SYNC]
    if proxy:
        failed = _try(lambda: ensure_guards(s)) or _try(s.traffic.sync)
        lines += [_ended(drift, failed) for drift in proxy]
    for drift in look.home:
        if drift.repair in {Repair.REMOVE, Repair.UNTAG, Repair.CLEAR} and drift.app and drift.container is not None:
            lines.append(_removed(drift, drift.app, drift.container, s))
        elif drift.repair is None:
            lines.append(_line(drift))
    return _recorded(lines, s)


def _removed(drift: Drift, app: AppName, it: str, s: Services) -> RepairDone:
    """Remove a container, a network or an image tag of an app that the ledger does not know, unless that app is just
    being created."""
    removals: dict[Repair | None, Callable[[str], object]] = {
        Repair.REMOVE: s.engine.ensure_removed, Repair.UNTAG: s.engine.release_image,
        Repair.CLEAR: s.engine.ensure_network_gone}

    def remove() -> None:
        with lease(app, "reconcile", s, ChangeOptions()):
            if s.ledger.find_app(app) is None:
                removals[drift.repair](it)

    return _ended(drift, _try(remove))


# -- one app -------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Pass:
    """All that is done to one app: what was tried is not tried again in the same pass."""

    app: AppName
    s: Services
    options: ChangeOptions
    lines: list[RepairDone] = field(default_factory=list)
    tried: set[tuple[DriftKind, int | None, str | None]] = field(default_factory=set)

    def take(self, *, actives_only: bool) -> None:
        """Repair the app under its lease; a failure becomes a line of the result."""
        try:
            with lease(self.app, "reconcile", self.s, self.options) as token:
                self._recover(token)
                self._rounds(token, actives_only=actives_only)
        except Interrupted:
            raise
        except DeployctlError as e:
            kind = DriftKind.BUSY if isinstance(e, LeaseHeld) else DriftKind.FAILED
            self.lines.append(RepairDone(self.app, kind, e.message, None, why=e.message, why_code=e.code))

    def _recover(self, token: int) -> None:
        """Settle what a dead process left open, or let the ledger follow a switch made outside deployctl."""
        kind, repair = DriftKind.TRAFFIC, Repair.FOLLOW
        if self.s.ledger.find_open(self.app):
            kind, repair = DriftKind.INTERRUPTED, Repair.RECOVER
        if outcome := recover(self.app, self.s, token):
            self.lines.append(RepairDone(self.app, kind, outcome, REPAIR_TEXT[repair], done=True, repair_code=repair))

    def _rounds(self, token: int, *, actives_only: bool) -> None:
        for _ in range(ROUNDS if self.s.ledger.find_app(self.app) else 0):  # an interrupted removal is finished now
            snapshot, due = self._due(actives_only=actives_only)
            if not due:
                return
            acts = [drift for repair in ACTS for drift in due if drift.repair is repair]
            one = [drift for drift in due if drift.release == due[0].release]  # one failure does not delay the others
            self.tried |= {_key(drift) for drift in acts or one}
            if acts:
                self._act(acts, snapshot, token)
            else:
                self._walk(one, snapshot, token)

    def _due(self, *, actives_only: bool) -> tuple[AppSnapshot, list[Drift]]:
        row = require_app(self.app, self.s)
        snapshot = snapshot_of(row, self.s, look_outside(self.s, tags=not actives_only), closely=True)
        found = [drift for drift in find_drift(snapshot) if drift.repair and _key(drift) not in self.tried]
        for drift in found:
            if drift.repair is Repair.FOLLOW:  # the ledger could not follow, and has said why
                self.tried.add(_key(drift))
                self._tell(replace(_line(drift), why="the ledger has no container of that release"))
        due = [drift for drift in found if drift.repair is not Repair.FOLLOW]
        acts = [drift for drift in due if drift.repair in ACTS]
        if actives_only:
            acts = [drift for drift in acts if drift.release is None or drift.release in snapshot.actives]
            due = [drift for drift in due if (drift.release in snapshot.actives and drift.repair is not Repair.STOP)
                   or (drift.instance is not None and is_in_the_way(snapshot, drift.instance))]
        return snapshot, acts or due  # one act may make another unnecessary: read again before planning

    def _act(self, acts: Sequence[Drift], snapshot: AppSnapshot, token: int) -> None:
        sure = fenced_by(self.app, token, self.s)
        for drift in acts:
            if drift.repair is not None:
                failed = _try(lambda act=ACTS[drift.repair], drift=drift: act(drift, snapshot, sure))  # type: ignore[misc]
                self._tell(_ended(drift, failed))

    def _walk(self, drifts: Sequence[Drift], snapshot: AppSnapshot, token: int) -> None:
        plan = plan_repair(snapshot, drifts)
        failed = _try(lambda: self._take_steps(plan, snapshot, token)) if plan.steps else NotFound("its release is unknown")
        for drift in drifts:
            self._tell(_ended(drift, failed))

    def _take_steps(self, plan: Plan, snapshot: AppSnapshot, token: int) -> None:
        """Carry it out. A partial repair is not reverted: it is better than none, and the next pass continues."""
        self.s.report.plan(plan)
        opened = self.s.ledger.open_deployment(plan, actor=self.s.actor, note="", at=self.s.clock.utc(), token=token)
        run(Walk(plan, snapshot.facts, opened, self.s, token), STEP_ACTIONS, {})

    def _tell(self, line: RepairDone) -> None:
        self.lines += _recorded([line], self.s)


def _key(drift: Drift) -> tuple[DriftKind, int | None, str | None]:
    return drift.kind, drift.release, drift.container


def _try(act: Callable[[], object]) -> DeployctlError | None:
    """Do it and return why it failed; None if it did not. Interrupts propagate."""
    try:
        act()
    except Interrupted:
        raise
    except DeployctlError as e:
        return e
    return None


def _recorded(lines: list[RepairDone], s: Services) -> list[RepairDone]:
    """Record the repairs as events in the ledger, as far as it can be written."""
    for line in lines:
        if line.done and (failed := _try(lambda line=line: s.ledger.event(  # type: ignore[misc]
                "reconciled", f"{line.summary}: {line.repair}", at=s.clock.utc(), actor=s.actor,
                app=AppName(line.app) if line.app else None,
                data={"drift": line.kind, "repair": line.repair_code, "release": line.release}))):
            s.report.warn(failed.message)
    return lines


def _line(drift: Drift) -> RepairDone:
    return RepairDone(drift.app, drift.kind, drift.sentence, REPAIR_TEXT[drift.repair] if drift.repair else None,
                  why="" if drift.repair else "manual intervention needed", release=drift.release, repair_code=drift.repair)


def _ended(drift: Drift, failed: DeployctlError | None) -> RepairDone:
    """Return the line of a drift that was dealt with."""
    return replace(_line(drift), done=failed is None, **_why(failed))


def _why(failed: DeployctlError | None) -> dict[str, Any]:
    return {"why": failed.message if failed else "", "why_code": failed.code if failed else None}


# -- around it -----------------------------------------------------------------------------------------------------
def _only(look: DriftReading, app: AppName | None) -> DriftReading:
    if app is None:
        return look
    home = [drift for drift in look.home if drift.repair is Repair.SYNC]
    return replace(look, drifts={name: some for name, some in look.drifts.items() if name == app}, home=home)


def _busy(s: Services, app: AppName | None) -> Iterator[RepairDone]:
    names = [app] if app else [row.name for row in s.ledger.apps()]
    for name in names:
        if held := s.ledger.find_lease(name):
            message = f"{name} is busy: {held.holder} has been running {held.verb} since {held.since} (pid {held.pid})"
            yield RepairDone(name, DriftKind.BUSY, message, None, why="it is checked afterwards")


def _proven(lines: Sequence[RepairDone], s: Services) -> Iterator[RepairDone]:
    """Yield the lines; what was started is probed until it is healthy, without holding the app's lease."""
    for line in lines:
        started = line.done and line.repair_code in {Repair.START, Repair.CREATE, Repair.SWITCH}
        failed = _try(lambda line=line: _wait_for(line, s)) if started else None  # type: ignore[misc]
        yield replace(line, done=False, **_why(failed)) if failed else line


def _wait_for(line: RepairDone, s: Services) -> None:
    app, number = AppName(line.app or ""), line.release or 0
    release = s.ledger.find_release(app, number)
    for one in release.mains if release else ():
        instance = s.ledger.find_instance(app, one)
        if release is not None and instance is not None and instance.routed:
            HealthGate(release, instance, s, lambda: None).until_ready()
