"""Is the ledger unmodified? Every page, every link of the event chain, every switch of traffic."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from deployctl.errors import AttentionNeeded
from deployctl.ledger.file.copies import check_copy, copies
from deployctl.ledger.file.copy_sum import SENTENCES, CopyCheck
from deployctl.paths import Path
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.ledger.file.vault import Vault as Vault

MAX_FAULTS_SHOWN = 20  # faults that are listed; a break further on adds little


def verify_ledger(vault: Vault) -> Done:
    """Verify the whole history and every backup. Raises LedgerUnusable, or AttentionNeeded with one line for each
    broken row and each modified backup."""
    checks = {copy.path: check_copy(copy.path, vault.path) for copy in copies(vault.path)}
    with closing(vault.open()) as ledger:
        faults = [*ledger.find_faults(), *vault.cut_off(ledger), *ledger.damages(), *_changed(checks)]
        events, head, put_back = ledger.count_events(), ledger.head(), ledger.unchecked_since()
    if faults:
        raise _broken(faults, [str(path) for path, check in checks.items() if check is not CopyCheck.WRONG_SUM])
    newest = f"newest backup: {next(iter(checks))}" if checks else "no backup yet: the first follows the next promotion"
    unchecked = [f"{path}: {SENTENCES[check]}" for path, check in checks.items() if check is not CopyCheck.GOOD]
    return Done("Verify", "", _sentence(events, put_back),
                (f"{vault.path}, chain {head[:12]}", newest, *unchecked), changed=False,
                extra={"events": events, "head": head, "copies": [str(path) for path in checks],
                       "copy_checks": {str(path): check for path, check in checks.items()}, "checked": put_back is None})


def _sentence(events: int, put_back: Mapping[str, Any] | None) -> str:
    """Return the result. The chain covers what happened. Users, roles and tokens are not events: of a backup only its
    checksum shows whether they are unmodified."""
    well = f"the ledger is intact: {events} events, including every traffic switch"
    if put_back is None:
        return well
    return (f"{well}. But on {put_back['at']} {put_back['actor']} restored a backup that could not be verified: check "
            "its users, roles and tokens (deployctl user list, deployctl token list)")


def _changed(checks: Mapping[Path, CopyCheck]) -> list[str]:
    return [f"{path}: {SENTENCES[check]}" for path, check in checks.items() if check is CopyCheck.WRONG_SUM]


def _broken(faults: list[str], known: list[str]) -> AttentionNeeded:
    more = [f"and {len(faults) - MAX_FAULTS_SHOWN} more"] if len(faults) > MAX_FAULTS_SHOWN else []
    error = AttentionNeeded(
        f"the ledger's history was altered: {faults[0]}. The file was changed outside deployctl, or the "
        "disk is faulty. Nothing was changed now, and live versions stay live.",
        remedy=["deployctl status   # its report on the present can still be correct",
                *[f"deployctl ledger restore {path}" for path in known[:1]]], code="history_broken")
    error.details = [*faults[:MAX_FAULTS_SHOWN], *more]
    return error
