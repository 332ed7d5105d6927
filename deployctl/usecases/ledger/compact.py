"""Shrink the ledger to what it holds: fold old history, and return the space to the disk."""

from __future__ import annotations

import time
from contextlib import closing

from deployctl.ledger.file.compact import compact, held, size_of
from deployctl.ledger.file.copies import copies
from deployctl.usecases.ledger.fold import fold_ledger, plans_due, refusals_due
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.folding import Folded
    from deployctl.ledger.file.vault import Vault


def compact_ledger(vault: Vault, *, actor: str, dry_run: bool) -> Done:
    """Compact the ledger; a dry run changes nothing.

    However it ends, the ledger is intact; a rollback in the meantime waits for a moment and is never rejected. Raises
    LeaseHeld (a living process changes an app, or restores the ledger), DeployctlError (disk_full, takes_too_long).
    """
    with closing(vault.open()) as ledger:
        before = size_of(vault.path)
        if dry_run:
            due = ledger.foldable(refusals_before=refusals_due(vault.now), plans_before=plans_due(vault.now))
            after = max(0, held(ledger) - due.bytes)
            summary = f"would fold {due.sentence}; the ledger has {_size(before)}, about {_size(after)} afterwards"
            return _result(vault, summary, due, before, after, changed=False)
        with vault.alone():
            vault.require_unheld(ledger)
            folded = fold_ledger(ledger, at=vault.now, actor=actor, pause=time.sleep)
            compact(ledger)
        after = size_of(vault.path)
    return _result(vault, f"the ledger has {_size(after)}, {_size(before)} before; folded: {folded.sentence}", folded,
                 before, after, changed=after < before or bool(folded))


def _result(vault: Vault, sentence: str, folded: Folded, before: int, after: int, *, changed: bool) -> Done:
    sizes = [copy.path.stat().st_size for copy in copies(vault.path)]
    return Done("Compact", "", sentence, (
        f"{vault.path}: {before} → {after} bytes", f"{len(sizes)} backups have {_size(sum(sizes))}, and are deleted by age"),
        changed=changed, extra={
            "bytes_before": before, "bytes_after": after, "folded_refusals": folded.refusals,
            "folded_repeated": folded.repeated, "folded_plans": folded.plans,
            "copies": len(sizes), "copies_bytes": sum(sizes)})


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"
