"""Put a copy of the ledger back. Traffic and containers are not touched: only what is remembered of them changes."""

from __future__ import annotations

from pathlib import Path

from deployctl.ledger.vault import Vault
from deployctl.usecases.results import Done


def restore_ledger(vault: Vault, source: Path, *, actor: str, force: bool) -> Done:
    """Check the copy, keep what lies in its place beside, and let it be the ledger.

    Raises NotFound, LedgerUnusable (the copy is damaged or newer), Refused (another home's or host's; `force` takes
    it) and LeaseHeld (a living process changes an app now).
    """
    with vault.from_file(source, force=force) as candidate:
        faults = candidate.ledger.find_faults()
        apps = ", ".join(app.name for app in candidate.ledger.apps()) or "no apps"
        events = candidate.ledger.count_events()
        kept = vault.install(candidate, actor=actor, verb="restore")
    details = [f"The former file is kept as {kept}"] if kept else []
    details += [f"warning: {fault}" for fault in faults[:3]]
    return Done("Restore", "", f"the ledger is {source} again: {apps}; {events} events",
                (*details, "What has changed since that copy: deployctl ledger rebuild --force takes it from what runs."),
                extra={"file": str(source), "former": str(kept) if kept else None, "events": events})
