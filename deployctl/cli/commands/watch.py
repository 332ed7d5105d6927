"""The verbs of the watcher: the process itself, one manual pass, and its systemd unit."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from deployctl.cli.arguments import CliArguments
from deployctl.cli.session import CommandCall
from deployctl.domain.host.actor import Via
from deployctl.errors import Invalid
from deployctl.paths import Path
from deployctl.usecases import views
from deployctl.usecases.results import Done
from deployctl.verbs.table import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.server import WebSpec
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.change.reconcile import Reconciled


def serve_command(session: CommandCall, no_web: bool, listen: tuple[str, int] | None) -> int:
    """Run until a signal arrives, which is success."""
    from deployctl.bootstrap import find_port_holder, lean_heap
    from deployctl.cli.reporters.reporter import ReporterLines
    from deployctl.cli.reporters.watch import Journal
    from deployctl.cli.run_change import answer
    from deployctl.cli.serve import Wiring, beside
    from deployctl.config.cache import judge_apart
    from deployctl.dataclass import replace
    from deployctl.watch.serve import serve

    judge_apart()
    settings = session.settings
    lines = ReporterLines(session.err, session.look(session.err))
    journal = Journal(lines, quiet=session.quiet, stamped="JOURNAL_STREAM" not in session.environ)

    def connect() -> Services:
        s = session.connect(settings, journal)
        apps = len(s.ledger.apps())
        session.note(f"serve: watching {apps} app{'s' * (apps != 1)} in {settings.home} (pid {os.getpid()})")
        return replace(s, actor=s.actor.by(Via.WATCHER))

    def stand_beside(s: Services) -> AbstractContextManager[None]:
        web = replace(s.spec.web, listen=listen or s.spec.web.listen)
        wanted = web.enabled and not no_web
        for line in _warnings(s, web) if wanted else ():
            journal.warn(line)
        return beside(Wiring(settings, web if wanted else None, lambda: session.connect(settings, journal), journal.warn,
                             session.note, find_port_holder, s.clock, s.ledger.identity.id))

    with lean_heap():
        serve(settings, connect, beside=stand_beside)
    answer(session, Done("Serve", "", "the watcher has stopped; HAProxy and the apps keep running", changed=False))
    return session.stopped_watching()


def _warnings(s: Services, web: WebSpec) -> list[str]:
    """Return what the operator should know before the dashboard is used."""
    warnings = []
    if not s.ledger.users():
        warnings.append("serve: no users yet. Create the first admin: "
                        f"deployctl --home {s.home} user add NAME --role admin")
    if web.url is None and web.listen[0] not in {"127.0.0.1", "::1"}:
        warnings.append("serve: the dashboard is reachable from other machines without TLS, and responds only to the address "
                        "in web.listen. Put a TLS proxy in front of it and set web.url (docs/operations.md)")
    return warnings


def reconcile_command(session: CommandCall, app: str | None, dry_run: bool, exit_code: bool) -> int:
    from deployctl.cli.rendering.watch import reconciled_table, reconciled_text
    from deployctl.cli.run_change import confirmed
    from deployctl.usecases.change.reconcile import preview_reconcile, reconcile
    from deployctl.usecases.steps.take_engine import take_engine

    if exit_code and not dry_run:
        raise Invalid("--exit-code requires --dry-run.", remedy=["deployctl reconcile -h"], code="usage")
    with session.services() as s:
        name = _app(session, s, app)
        if not dry_run:
            confirmed(session, lambda sure, _revision: take_engine(s, confirmed=sure))
        found = preview_reconcile(s, app=name) if dry_run else reconcile(s, app=name)
    session.answer(lambda: views.as_json(found), lambda look: reconciled_text(found, look),
                   table=lambda _look: reconciled_table(found), many="lines")
    session.warn_of_watcher()
    return _code(found, exit_code=exit_code)


def _app(session: CommandCall, s: Services, app: str | None) -> AppName | None:
    if app is None:
        return None
    return CliArguments(VERBS["reconcile"], [app], least=0, most=0).resolve(s, session)[0]


def _code(found: Reconciled, *, exit_code: bool) -> int:
    """Return 0 if no drift is left, 6 if only busy apps were left, 4 if manual intervention is needed."""
    if found.dry_run:
        return 10 if exit_code and found.lines else 0
    if not found.left:
        return 0
    return 6 if all(line.kind == "busy" for line in found.left) else 4


def _owner_name(session: CommandCall) -> str | None:
    """Return the name of the home's owner, None if that is root. The unit runs as that user; only its file belongs to root."""
    from deployctl.config.owners import owner_of, require_named

    owner = owner_of(session.settings, session.environ)
    return None if owner == 0 else require_named(owner, session.settings).pw_name


def install_command(session: CommandCall, user: bool, system: bool, only_print: bool, folder: str | None) -> int:
    from deployctl.cli.run_change import answer
    from deployctl.cli.tell import tell
    from deployctl.usecases.setup.install import InstallOptions, install, unit_text

    if user and system:
        raise Invalid("--user and --system are mutually exclusive.", remedy=["deployctl install -h"], code="usage")
    to_user = user or (not system and os.geteuid() != 0)
    options = InstallOptions(to_user, None if folder is None else (session.cwd / Path(folder)),
                       run_as=None if to_user else _owner_name(session))
    if only_print:
        tell(session, "Install", "unit", unit_text(session.settings.home, options, session.environ))
    else:
        answer(session, install(session.settings.home, options, session.environ))
    return 0
