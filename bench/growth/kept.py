"""The size of the ledger and its backups: after many switches of traffic, one each half hour, and after many rejected
changes.

Each build writes into a ledger of its own as its commands and its dashboard do; no engine is needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import former
from bench.growth.curve import Promise, rows
from bench.table import Row

# Run by each build. Backups of the last two days are all made, of earlier days one a day: others are deleted by then.
_DRIVER = """
import json, sys, tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.change.plan import Kind, Plan, Step, StepKind
from deployctl.domain.change.deployment import Phase
from deployctl.domain.images.release import App, Bundle, Change
from deployctl.ledger.sqlite_ledger import SqliteLedger

try:
    from deployctl.domain.images.component import Component
except ImportError:  # 0.1.0: a release has one bundle
    whole = lambda bundle: bundle
else:
    whole = lambda bundle: (Component(bundle),)
app, DAY = AppName("kept"), 48
def at(move):
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * move)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
def opened(home):
    ledger = SqliteLedger.open(Path(home, "ledger.db"), Path(home), now=at(0))
    ledger.add_app(App(app, "172.30.0.0/26", "172.30.0.1", "n", "b"), at=at(0))
    for number in (1, 2):
        ledger.ensure_release(app, Version(f"v{number}"), whole(Bundle("a", f"sha256:{number:064x}", 80)), at=at(0))
    return ledger
def size(ledger, home):
    ledger.close()
    copies = [copy.stat().st_size for copy in Path(home, "backups").glob("*.db")] if Path(home, "backups").is_dir() else []
    return [Path(home, "ledger.db").stat().st_size / 1e6, sum(copies) / 1e6, len(copies)]
def moves(home, count):
    ledger = opened(home)
    token = ledger.take_lease(app, holder="bench", verb="rollback", at=at(0))
    for move in range(count):
        source, target = (1, 2) if move % 2 else (2, 1)
        steps = tuple(Step(kind, target, f"{kind} of v{target}, and what it says of that") for kind in StepKind)
        plan = Plan(app, Kind.ROLLBACK, source, target, steps, f"kept: rollback v{source} to v{target}")
        done = ledger.open_deployment(plan, actor="bench", note="why", at=at(move), token=token)
        for seq, step in enumerate(steps):
            ledger.begin_step(done.id, seq, step, phase=Phase.PROBING, at=at(move), durable=False)
            ledger.finish_step(done.id, seq, ok=True, ms=1.5, text="", at=at(move))
        ledger.promote(Change(0, app, "rollback", source, target, at(move), "bench", "why"), deployment=done.id, token=token)
        ledger.close_deployment(done.id, Phase.SUCCEEDED, at=at(move))
        if count - move < 2 * DAY or not move % DAY:
            ledger.keep_copy(at=at(move))
            if hasattr(ledger, "fold_plans"):
                from deployctl.usecases.ledger.fold import fold_ledger
                fold_ledger(ledger, at=at(move), actor="bench", pause=lambda _seconds: None)
    return size(ledger, home)
def refused(home, count):
    ledger = opened(home)
    said = {"address": "10.0.0.7", "agent": "Mozilla/5.0 (X11; Linux x86_64)", "code": "not_permitted", "route": "act.hold"}
    for _ in range(count):
        if hasattr(ledger, "note_refusal"):
            from deployctl.domain.host.denied_changes import REFUSED, RefusedChange
            one = RefusedChange(REFUSED, "reader (web)", "act.hold", "hold was refused: " + "x" * 80, at(0), app, said)
            ledger.note_refusal(one)
        else:
            ledger.event("refused", "hold was refused: " + "x" * 80, at=at(0), actor="reader (web)", app=app, data=said)
    return size(ledger, home)
with tempfile.TemporaryDirectory(prefix="dctl-bench-") as home:
    print(json.dumps({"moves": moves, "refused": refused}[sys.argv[2]](home, int(sys.argv[3]))))
"""

FLAT = 0.3  # an exponent below which a size counts as independent of the number
Told = dict[int, list[float]]  # number → MB of the ledger, MB of its backups, how many backups


def measure(short: bool) -> list[Row]:
    moves, refused = ((100, 1000), (100, 1000)) if short else ((100, 1000, 10_000), (100, 1000, 10_000))
    with tempfile.TemporaryDirectory(prefix="dctl-former-") as folder:
        if why := former.unpack(Path(folder)):
            raise RuntimeError(why)
        builds = (Path(folder), former.ROOT)
        moved = [{size: _told(build, "moves", size) for size in moves} for build in builds]
        tried = [{size: _told(build, "refused", size) for size in refused} for build in builds]
    return [*_rows("the ledger", "MB", 0, "moves", moved, Promise()),
            *_rows("its copies", "MB", 1, "moves", moved, Promise()),
            *_rows("the ledger", "MB", 0, "refused changes in a minute", tried, Promise(exponent=FLAT))]


def _rows(what: str, unit: str, which: int, per: str, both: list[Told], promise: Promise) -> list[Row]:
    former_, present = ({size: [values[which]] for size, values in told.items()} for told in both)
    return rows(what, unit, per, former_, present, promise)


def _told(build: Path, what: str, size: int) -> list[float]:
    command = [sys.executable, "-I", "-c", former.script(build, _DRIVER), str(build), what, str(size)]
    told = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return list(json.loads(told.stdout))
