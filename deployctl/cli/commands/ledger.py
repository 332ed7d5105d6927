"""`deployctl ledger`: these verbs open the ledger themselves, so that they work when nothing else does."""

from __future__ import annotations

from deployctl.actor import who
from deployctl.cli.run_change import answer, confirmed
from deployctl.cli.session import CommandCall
from deployctl.domain.host.actor import Via
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.usecases.ledger.verify import Vault


def ledger_verify_command(session: CommandCall) -> int:
    from deployctl.usecases.ledger.verify import verify_ledger

    answer(session, verify_ledger(_vault(session)))
    return 0


def ledger_backup_command(session: CommandCall, file: str) -> int:
    from deployctl.usecases.ledger.backup import backup_ledger

    answer(session, backup_ledger(_vault(session), _path(session, file)))
    return 0


def ledger_restore_command(session: CommandCall, file: str, force: bool) -> int:
    from deployctl.usecases.ledger.restore import restore_ledger

    vault = _vault(session, make=True)
    answer(session, confirmed(session, lambda sure, _revision: restore_ledger(
        vault, _path(session, file), actor=who(Via.CLI), force=force, sure=sure)))
    return 0


def ledger_rebuild_command(session: CommandCall, force: bool) -> int:
    from deployctl.bootstrap import remains
    from deployctl.usecases.ledger.rebuild import rebuild_ledger

    progress = session.progress()
    try:
        build = session.connect_over(session.settings, progress)
        done = rebuild_ledger(_vault(session, make=True), remains(session.settings), build, force=force)
    finally:
        progress.close()
    answer(session, done)
    return 0


def ledger_compact_command(session: CommandCall, dry_run: bool) -> int:
    from deployctl.usecases.ledger.compact import compact_ledger

    answer(session, compact_ledger(_vault(session), actor=who(Via.CLI), dry_run=dry_run))
    return 0


def _vault(session: CommandCall, *, make: bool = False) -> Vault:
    from deployctl.bootstrap import vault

    return vault(session.settings, make=make)


def _path(session: CommandCall, file: str) -> Path:
    return (session.cwd / file).absolute()
