"""Deployments and their steps (intent first, result after), and the traffic history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from deployctl.dataclass import asdict, replace
from deployctl.domain.change.deployment import Deployment, Phase
from deployctl.domain.change.plan import PlanKind, StepKind
from deployctl.domain.change.serving import chain_after
from deployctl.domain.images.release import Change, Colour
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.errors import LeaseHeld
from deployctl.ledger.apps import app_of
from deployctl.ledger.chain import ENDED
from deployctl.ledger.events import EventRows
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.change.deployment import EndReason
    from deployctl.domain.change.plan import Plan, Step
    from deployctl.ledger.file.connection import LedgerConnection

FILLS_THE_DISK = frozenset({PlanKind.UPGRADE, PlanKind.START})


_TOLD_OF_END = ("kind", "outcome", "source", "target", "note", "error", "error_code", "cause", "abort_by")


class JournalRows(EventRows):
    """Reads and writes the tables `deployments`, `steps` and `changes`."""

    db: LedgerConnection
    promoted = False  # by this object

    # -- deployments and steps
    def open_deployment(self, plan: Plan, *, actor: str, note: str, at: str, token: int) -> Deployment:
        """Write the intent. Raises LeaseHeld if the app has an open one: the index decides. On a full disk only what
        needs no space is begun: rolling back, stopping and removing."""
        if plan.kind in FILLS_THE_DISK:
            self.db.require_room()
        values = [plan.app, plan.kind, plan.source, plan.target, Phase.PLANNED, json.dumps(asdict(plan)), actor, note,
                  at, token]
        try:
            with self.db.transaction():
                self._require_token(plan.app, token)
                before = self.db.one("select * from apps where name = ?", [plan.app])
                row = self.db.execute(
                    "insert into deployments(app, kind, source, target, phase, plan, actor, note, started_at, token, "
                    "before) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning *",
                    [*values, json.dumps(dict(before)) if before else None])[0]
        except sqlite3.IntegrityError as e:
            raise LeaseHeld(f"{plan.app} has a deployment that is not finished",
                            remedy=[f"deployctl status {plan.app}", f"deployctl abort {plan.app}"]) from e
        return _deployment(row)

    def _require_token(self, app: AppName, token: int) -> None:
        """Raise LeaseHeld if there is a higher token now: what this process has read is outdated."""
        lease = self.db.one("select token from leases where app = ?", [app])
        if lease is not None and lease["token"] > token:
            raise LeaseHeld(f"the lease on {app} was taken over by another process")

    def plan_of(self, deployment: int) -> str:
        """Return the JSON text of the plan that was decided."""
        return str(self.db.execute("select plan from deployments where id = ?", [deployment])[0][0])

    def find_open(self, app: AppName) -> Deployment | None:
        row = self.db.one("select * from deployments where app = ? and finished_at is null", [app])
        return _deployment(row) if row else None

    def open_deployments(self) -> list[Deployment]:
        return [_deployment(r) for r in self.db.execute("select * from deployments where finished_at is null")]

    def deployments(self, app: AppName, *, limit: int = 50) -> list[Deployment]:
        rows = self.db.execute("select * from deployments where app = ? order by id desc limit ?", [app, limit])
        return [_deployment(row) for row in rows]

    def last_deployment(self, app: AppName, target: int) -> Deployment | None:
        """Return the last one whose target was that release, live or started."""
        row = self.db.one("select * from deployments where app = ? and target = ? order by id desc limit 1", [app, target])
        return _deployment(row) if row else None

    def find_deployment(self, deployment: int) -> Deployment | None:
        row = self.db.one("select * from deployments where id = ?", [deployment])
        return _deployment(row) if row else None

    def begin_step(self, deployment: int, seq: int, step: Step, *, phase: Phase, at: str, durable: bool) -> None:
        with self.db.transaction(durable=durable):
            self.db.execute("update deployments set phase = ? where id = ?", [phase, deployment])
            self.db.execute(
                "insert into steps(deployment, seq, kind, release, component, replica, sentence, begun_at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                [deployment, seq, step.kind, step.release, step.component, step.replica, step.sentence, at])

    def finish_step(self, deployment: int, seq: int, *, ok: bool, ms: float, text: str, at: str) -> None:
        self.db.execute("update steps set finished_at = ?, ok = ?, ms = ?, text = ? where deployment = ? and seq = ?",
                        [at, ok, ms, text, deployment, seq])

    def steps(self, deployment: int) -> list[Mapping[str, Any]]:
        return [dict(r) for r in self.db.execute("select * from steps where deployment = ? order by seq", [deployment])]

    def last_times(self, app: AppName) -> Mapping[tuple[StepKind, ComponentName], float]:
        rows = self.db.execute(
            "select kind, component, ms from steps where ok and component is not null and ms is not null and deployment in "
            "(select id from deployments where app = ? order by id desc limit 20) order by deployment, seq", [app])
        return {(StepKind(row["kind"]), ComponentName(row["component"])): row["ms"] / 1000 for row in rows}

    def close_deployment(self, deployment: int, phase: Phase, *, at: str, error: EndReason | None = None,
                         evidence: Sequence[str] = ()) -> None:
        """Record how it ended, once; `evidence` is the failure bundle: transcript, exit code, last log lines."""
        why = (error.message, error.code, error.cause, error.why or None) if error else (None,) * 4
        self.db.insist(lambda: self._close([phase, phase, at, *why, json.dumps(list(evidence)), deployment]))

    def _close(self, values: Sequence[Any]) -> None:
        with self.db.transaction():
            for row in self.db.execute(
                    "update deployments set phase = ?, outcome = ?, finished_at = ?, error = ?, "
                    "error_code = ?, cause = ?, why = ?, evidence = ? "
                    "where id = ? and finished_at is null returning *", values):
                self._tell_end(row)

    def _tell_end(self, row: sqlite3.Row) -> None:
        """Add an event for what neither a switch of traffic nor an event of its own has recorded."""
        last = self.db.one("select deployment from changes where app = ? order by revision desc limit 1", [row["app"]])
        recorded = row["kind"] == PlanKind.REMOVE or (last is not None and last["deployment"] == row["id"])
        if recorded and row["outcome"] == Phase.SUCCEEDED:
            return
        data = {name: row[name] for name in _TOLD_OF_END}
        self.event(ENDED, _end_of(row), at=row["finished_at"], actor=row["actor"], app=row["app"],
                   data={**data, "deployment": row["id"]})

    def ask_abort(self, app: AppName, *, actor: str) -> bool:
        """Ask the open deployment to stop; False if there is none."""
        return bool(self.db.execute(
            "update deployments set abort_by = ? where app = ? and finished_at is null returning id", [actor, app]))

    def abort_asked(self, deployment: int) -> str | None:
        """Return who asked this deployment to stop, None if nobody did."""
        row = self.db.one("select abort_by from deployments where id = ?", [deployment])
        return row["abort_by"] if row else None

    # -- the traffic history
    def changes(self, app: AppName, *, limit: int = -1) -> list[Change]:
        """Return the app's traffic history, last change first."""
        rows = self.db.execute("select * from changes where app = ? order by revision desc limit ?", [app, limit])
        return [change_of(row) for row in rows]

    def switch_times(self, *, after: int = 0) -> list[tuple[int, AppName, str, float]]:
        return [(number, AppName(app), kind, ms) for number, app, kind, ms in self.db.execute(
            "select id, app, kind, switch_ms from changes where id > ? order by id", [after])]

    def promote(self, change: Change, *, deployment: int | None, token: int) -> Change:
        """Make the target active: revision, history, its event, colour and holds in one durable transaction.

        Raises LeaseHeld if another process now holds a higher fencing token.
        """
        done = self.db.insist(lambda: self._promote(change, deployment, token))
        self.promoted = True
        return done

    def take_over(self, change: Change, *, chain: Sequence[int]) -> Change:
        """Record the live release as found: `change` has no revision yet. Without a history the releases to roll back
        to are those of `chain`."""
        row = self.db.execute("select * from apps where name = ?", [change.app])[0]
        history = self._shaping(change)
        change = replace(change, revision=1 + max(row["revision"], change.revision),
                         chain=chain_after(change, history) if history else tuple(chain))
        self.db.execute("update apps set revision = ?, active = ? where name = ?",
                        [change.revision, change.target, change.app])
        if not history or row["active"] != change.target:
            self._give_colour(change, history)
            self._insert_change(change, None)
        return change

    def _promote(self, change: Change, deployment: int | None, token: int) -> Change:
        with self.db.transaction(durable=True):
            lease = self.db.one("select token from leases where app = ?", [change.app])
            if lease is None or lease["token"] != token:
                raise LeaseHeld(f"the lease on {change.app} was taken over by another process")
            revision = 1 + self.db.execute("select revision from apps where name = ?", [change.app])[0][0]
            history = self._shaping(change)
            change = replace(change, revision=revision, chain=chain_after(change, history))
            self.db.execute("update apps set revision = ?, active = ? where name = ?",
                            [revision, change.target, change.app])
            self._give_colour(change, history)
            self._insert_change(change, deployment)
            self._move_hold(change)
            if change.kind == PlanKind.UPGRADE:
                from deployctl.ledger.scale import forget_scale  # a rollback leaves it alone

                forget_scale(self.db, change.app, change.target)
            if deployment is not None:
                self.db.execute("update deployments set phase = ? where id = ?", [Phase.DRAINING, deployment])
            if change.target is not None:
                self.db.execute("update instances set beside = 0, failed = 0 where app = ? and release = ?",
                                [change.app, change.target])
        return change

    def _shaping(self, change: Change) -> list[Change]:
        """Return the last two changes, and the last one to the same release."""
        came = self.db.execute("select * from changes where app = ? and target = ? order by revision desc limit 1",
                               [change.app, change.target])
        return [*self.changes(change.app, limit=2), *(change_of(row) for row in came)]

    def _insert_change(self, c: Change, deployment: int | None) -> None:
        self.tell_promotion(self.db.execute(
            "insert into changes(app, revision, kind, source, target, at, actor, note, switch_ms, held, lifted, "
            "deployment, chain) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning *",
            [c.app, c.revision, c.kind, c.source, c.target, c.at, c.actor, c.note, c.switch_ms, c.held, c.lifted,
             deployment, json.dumps(c.chain)])[0])

    def _give_colour(self, change: Change, history: Sequence[Change]) -> None:
        """Give the colour that the release before does not have: blue first, then in turn."""
        before = change.source if change.source is not None else next((c.source for c in history), None)
        rows = self.db.execute("select number, colour from releases where app = ? and number in (?, ?)",
                               [change.app, before, change.target])
        colours = {row["number"]: row["colour"] for row in rows}
        mine, other = colours.get(change.target), colours.get(before)
        again = before == change.target  # the last live release is live again: its colour stays
        if change.target is not None and (mine is None or (mine == other and not again)):
            colour = Colour.GREEN if other == Colour.BLUE else Colour.BLUE
            self.db.execute("update releases set colour = ? where app = ? and number = ?",
                            [colour, change.app, change.target])

    def _move_hold(self, c: Change) -> None:
        """Hold the version that was left (every release with its digest, but not the live one), release the one that
        came back. The hold counts as made at the revision that was left: undoing this change undoes the hold."""
        same = ("where app = ? and (version, digest) = "
                "(select version, digest from releases where app = ? and number = ?)")
        if c.lifted is not None:
            self.db.execute("update releases set hold_at = null, hold_actor = null, hold_reason = null, "  # noqa: S608
                            f"hold_revision = null {same}", [c.app, c.app, c.lifted])
        if c.held is not None:
            reason = c.note or f"{c.kind} at revision {c.revision}"
            self.db.execute("update releases set hold_at = ?, hold_actor = ?, hold_reason = ?, "  # noqa: S608
                            f"hold_revision = ? {same} and number is not ?",
                            [c.at, c.actor, reason, c.revision - 1, c.app, c.app, c.held, c.target])


def _end_of(row: sqlite3.Row) -> str:
    """Return what was to be done and, unless it was, why not."""
    plan = json.loads(row["plan"])
    done = plan.get("deed") or f"{row['kind']}: {plan['summary']}"  # plans of older builds have no deed
    return done if row["outcome"] == Phase.SUCCEEDED else f"{done} was {row['outcome']}: {row['error'] or 'no reason is known'}"


def _deployment(row: sqlite3.Row) -> Deployment:
    return Deployment(
        id=row["id"], app=row["app"], kind=row["kind"], source=row["source"], target=row["target"],
        phase=Phase(row["phase"]), actor=row["actor"], note=row["note"] or "", started_at=row["started_at"],
        token=row["token"], finished_at=row["finished_at"], outcome=row["outcome"], error=row["error"],
        evidence=tuple(json.loads(row["evidence"] or "[]")), abort_by=row["abort_by"],
        error_code=row["error_code"], cause=row["cause"], why=row["why"] or "",
        before=app_of(json.loads(row["before"])) if row["before"] else None,
    )


def change_of(row: sqlite3.Row) -> Change:
    fields = {key: row[key] for key in row.keys() if key not in {"id", "deployment", "chain"}}  # noqa: SIM118
    return Change(**fields, chain=tuple(json.loads(row["chain"] or "[]")))
