"""`deployctl secret`: values of an app's secrets. A value is typed unseen, or read from standard input or a file; it is never
an argument, which other users could read, and never printed."""

from __future__ import annotations

from deployctl.cli.prompts import ask_unseen
from deployctl.cli.rendering.tables import NONE, Column, TextTable, lay_out
from deployctl.cli.rendering.times import when
from deployctl.cli.run_change import answer, confirmed
from deployctl.cli.session import CommandCall
from deployctl.domain.images.secret import SHOWN_ID_CHARACTERS, parse_secret
from deployctl.domain.inputs.names import parse_app
from deployctl.errors import Invalid
from deployctl.paths import Path
from deployctl.usecases.views import as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployctl.cli.terminal import TerminalStyle
    from deployctl.usecases.secrets.list_secrets import SecretLine


def secret_set_command(session: CommandCall, app: str, name: str, file: str | None) -> int:
    from deployctl.usecases.secrets.set_secret import MAX_VALUE_BYTES, require_known_app, set_secret

    wanted, named = parse_app(app), parse_secret(name)
    with session.services(make=session.settings.config_dir.is_dir()) as s:
        require_known_app(wanted, s)  # before anything is typed
        done = set_secret(wanted, named, _value(session, named, file, MAX_VALUE_BYTES + 1), s)
    answer(session, done)
    return 0


def _value(session: CommandCall, name: str, file: str | None, most: int) -> bytes:
    """Return it: of a file byte for byte, of standard input without a line break at its very end."""
    if file is not None:
        try:
            with (session.cwd / Path(file)).open("rb") as opened:
                return bytes(opened.read(most))
        except OSError as e:
            raise Invalid(f"{file} cannot be read: {e.strerror}. Nothing was changed.") from None
    if session.stdin.isatty():
        return ask_unseen(session, f"Value of {name}:", remedy=f"deployctl secret set APP {name} < FILE").encode()
    raw = getattr(session.stdin, "buffer", None)
    value = bytes(raw.read(most)) if raw is not None else session.stdin.read(most).encode()
    return value.removesuffix(b"\n").removesuffix(b"\r")


def secret_list_command(session: CommandCall, app: str | None) -> int:
    from deployctl.usecases.secrets.list_secrets import list_secrets, listed

    with session.services() as s:
        lines = list_secrets(None if app is None else parse_app(app), s)
    answered = listed(None if app is None else parse_app(app), lines)
    session.answer(lambda: as_json(answered), lambda look: _text(lines, look), table=lambda look: _table(lines, look),
                   many="secrets")
    return 0


def _text(lines: Sequence[SecretLine], look: TerminalStyle) -> list[str]:
    return lay_out(_table(lines, look), look) if lines else ["No secrets yet. Set one: deployctl secret set APP NAME"]


def _table(lines: Sequence[SecretLine], look: TerminalStyle) -> TextTable:
    columns = (Column("APP"), Column("SECRET"), Column("VALUE"), Column("SET"), Column("NEXT UPGRADE"), Column("USED BY"))
    return TextTable(columns, tuple(
        (one.app, one.name, one.value[:SHOWN_ID_CHARACTERS], when(one.set_at, look), "yes" if one.current else "no",
         ", ".join(one.used_by) or NONE) for one in lines))


def secret_remove_command(session: CommandCall, app: str, name: str) -> int:
    from deployctl.usecases.secrets.remove_secret import remove_secret

    wanted, named = parse_app(app), parse_secret(name)
    with session.services() as s:
        done = confirmed(session, lambda yes, _revision: remove_secret(wanted, named, s, confirmed=yes))
    answer(session, done)
    return 0


def boot_command(session: CommandCall) -> int:
    """Needs neither Docker nor the ledger: it runs before both are there."""
    from deployctl.bootstrap import secrets_alone
    from deployctl.usecases.setup.boot import boot

    answer(session, boot(secrets_alone(session.settings)))
    return 0
