"""Restore a backup of the ledger. Traffic and containers are not touched: only the record of them changes."""

from __future__ import annotations

from contextlib import closing

from deployctl.errors import ConfirmationNeeded, LedgerUnusable
from deployctl.ledger.file.copy_sum import SENTENCES, CopyCheck
from deployctl.paths import Path
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.vault import CopyCandidate, Vault

MAX_NAMES_SHOWN = 20  # users and tokens in one question


def restore_ledger(vault: Vault, source: Path, *, actor: str, force: bool, sure: bool = False) -> Done:
    """Check the backup, move the present ledger aside, and put the backup in its place. Everyone has to sign in again.

    Raises NotFound, LedgerUnusable (the backup is damaged, newer, or not ours by its schema), Refused (it is another
    home's or host's, or its checksum cannot be verified; `force` accepts it), ConfirmationNeeded (it restores rights)
    and LeaseHeld (a living process is changing an app).
    """
    with vault.from_file(source, force=force) as candidate:
        brought = _brought_back(vault, candidate)
        if brought and not sure:
            raise ConfirmationNeeded(_question(brought, candidate))
        faults = candidate.ledger.find_faults()
        apps = ", ".join(app.name for app in candidate.ledger.apps()) or "no apps"
        events = candidate.ledger.count_events()
        kept = vault.install(candidate, actor=actor, verb="restore")
    details = [f"The replaced file is kept as {kept}"] if kept else []
    details += [f"warning: {fault}" for fault in [*_doubts(candidate), *faults[:3]]]
    details += [f"Restored with it: {', '.join(brought[:MAX_NAMES_SHOWN])}"] if brought else []
    return Done("Restore", "", f"the ledger was restored from {source}: {apps}; {events} events",
                (*details, "All users have to sign in again.",
                 "What has changed since that copy: deployctl ledger rebuild --force takes it from what runs."),
                extra={"file": str(source), "former": str(kept) if kept else None, "events": events,
                       "check": candidate.check, "brought_back": brought})


def _brought_back(vault: Vault, candidate: CopyCandidate) -> list[str]:
    """Return the users and tokens with rights that they do not have in the present ledger."""
    try:
        brought = candidate.ledger.grants(at=vault.now)
    except (ValueError, TypeError, AttributeError) as e:  # only if nothing proves that the rows are ours
        raise LedgerUnusable(f"cannot read the users and tokens of {candidate.source} ({e}). Nothing was changed.",
                             remedy=["deployctl ledger rebuild"]) from e
    present = vault.find_usable()
    if present is None:
        return [*brought.values()]
    with closing(present):
        known = present.grants(at=vault.now)
    return [sentence for grant, sentence in brought.items() if grant not in known]


def _question(brought: list[str], candidate: CopyCandidate) -> str:
    more = f", and {len(brought) - MAX_NAMES_SHOWN} more" if len(brought) > MAX_NAMES_SHOWN else ""
    doubts = "".join(f" {doubt[0].upper()}{doubt[1:]}." for doubt in _doubts(candidate))
    return (f"{candidate.source} grants rights that the present ledger does not, or not with this password: "
            f"{', '.join(brought[:MAX_NAMES_SHOWN])}{more}.{doubts} Restore it with them?")


def _doubts(candidate: CopyCandidate) -> list[str]:
    if candidate.check is CopyCheck.GOOD:
        return []
    return [f"the backup cannot be verified: {SENTENCES[candidate.check]}"]
