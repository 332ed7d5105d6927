"""Is the ledger as it was written? Every page, every link of the event chain, every change of traffic."""

from __future__ import annotations

from contextlib import closing

from deployctl.errors import AttentionNeeded
from deployctl.ledger.copies import copies
from deployctl.ledger.vault import Vault as Vault
from deployctl.usecases.results import Done

FIRST = 20  # faults that are told; a break further up says little that the first ones did not


def verify_ledger(vault: Vault) -> Done:
    """Walk the whole history. Raises LedgerUnusable, or AttentionNeeded with one line for each row that broke."""
    with closing(vault.open()) as ledger:
        faults = [*ledger.damages(), *ledger.find_faults(), *vault.cut_off(ledger)]
        events, head = ledger.count_events(), ledger.head()
    known = copies(vault.path)
    if faults:
        raise _broken(faults, [str(copy.path) for copy in known])
    newest = f"newest copy: {known[0].path}" if known else "no copy yet: the first one follows the next promotion"
    return Done("Verify", "", f"the ledger is as it was written: {events} events, every change of traffic among them",
                (f"{vault.path}, chain {head[:12]}", newest), changed=False,
                extra={"events": events, "head": head, "copies": [str(copy.path) for copy in known]})


def _broken(faults: list[str], known: list[str]) -> AttentionNeeded:
    more = [f"and {len(faults) - FIRST} more"] if len(faults) > FIRST else []
    error = AttentionNeeded(
        f"the ledger's history is not as it was written: {faults[0]}. Somebody changed the file past deployctl, or the "
        "disk did. Nothing was changed now, and whoever serves keeps serving.",
        remedy=["deployctl status   # what it says of the present can still be true",
                *[f"deployctl ledger restore {path}" for path in known[:1]]], code="history_broken")
    error.details = [*faults[:FIRST], *more]
    return error
