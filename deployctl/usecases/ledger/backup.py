"""Back up the ledger while it is in use."""

from __future__ import annotations

from contextlib import closing

from deployctl.errors import NotFound, Refused
from deployctl.ledger.file.copies import write_copy
from deployctl.paths import Path
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ledger.file.vault import Vault


def backup_ledger(vault: Vault, target: Path) -> Done:
    """Write one complete, checked file that only its owner can read: it contains the env values of every app.

    Raises Refused if the name is taken, NotFound if its folder is missing.
    """
    if not target.parent.is_dir():
        raise NotFound(f"there is no directory {target.parent}.", remedy=[f"mkdir -p {target.parent}"])
    if target.exists() or target.is_symlink():
        raise Refused(f"{target} already exists. Nothing was written.", remedy=["choose another name"])
    with closing(vault.open()) as ledger:
        write_copy(ledger.db.raw, target)
        apps, events = ", ".join(app.name for app in ledger.apps()) or "no apps", ledger.count_events()
    return Done("Backup", "", f"the ledger was backed up to {target}: {apps}; {events} events, verified",
                (f"Restore it: deployctl ledger restore {target}",),
                extra={"file": str(target), "size": target.stat().st_size, "events": events})
