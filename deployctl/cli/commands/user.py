"""`deployctl user`: who can sign in to the dashboard, and their roles. The first user is created here, never by a page."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.prompts import ask_password, require_sure
from deployctl.cli.run_change import answer
from deployctl.cli.session import CommandCall
from deployctl.domain.host.access import ALL, given, parse_role, roles_text, rules_server
from deployctl.domain.inputs.names import parse_app
from deployctl.usecases.listings import SessionList, count_sessions
from deployctl.usecases.views import as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services
    from deployctl.usecases.listings import UserLink


def user_add_command(session: CommandCall, name: str, role: str, apps: Sequence[str]) -> int:
    from deployctl.usecases.access.outcomes import link_added
    from deployctl.usecases.access.users import add_user

    roles = given(parse_role(role), apps)
    with session.services(make=True) as s:
        _tell_link(session, link_added(add_user(name, roles, s), s), s)
    return 0


def user_link_command(session: CommandCall, name: str) -> int:
    from deployctl.usecases.access.outcomes import create_link

    with session.services() as s:
        _tell_link(session, create_link(name, s), s)
    return 0


def _tell_link(session: CommandCall, made: UserLink, s: Services) -> None:
    """Print the link; with -q nothing else."""
    from deployctl.usecases.access.users import LINK_MINUTES

    session.answer(
        lambda: as_json(made),
        lambda look: [made.link.url] if look.quiet else [
            f"{look.good} {made.summary}", f"  Valid once, for {LINK_MINUTES} minutes:", f"  {made.link.url}"])
    if s.spec.web.enabled and not s.guard.port_taken(*s.spec.web.listen):
        session.note(f"The dashboard is not running yet. Start it: deployctl --home {s.home} serve")


def user_list_command(session: CommandCall) -> int:
    from deployctl.cli.rendering.access import users_table, users_text
    from deployctl.usecases.access.sign_in import list_sessions
    from deployctl.usecases.access.users import list_users

    with session.services() as s:
        users, sessions = list_users(s), list_sessions(None, s)
    answer = as_json(count_sessions(users, sessions))
    session.answer(lambda: answer, lambda look: users_text(answer, look), table=lambda look: users_table(answer, look),
                   many="users")
    return 0


def user_role_command(session: CommandCall, name: str, role: str, app: str | None, heir: str | None) -> int:
    from deployctl.usecases.access.outcomes import role_set
    from deployctl.usecases.access.users import require_user, roles_after, set_role

    wanted, of = None if role == "none" else parse_role(role), ALL if app is None else parse_app(app)
    with session.services() as s:
        if not rules_server(roles_after(require_user(name, s), wanted, of)):
            heir = heir or _ask_heir(session, name, s)
        user, went = set_role(name, wanted, of, s, hand_over=heir)
    answer(session, role_set(user, went))
    return 0


def user_password_command(session: CommandCall, name: str) -> int:
    from deployctl.usecases.access.outcomes import user_done
    from deployctl.usecases.access.users import require_user, set_password

    with session.services() as s:
        user = require_user(name, s)
        set_password(name, ask_password(session, name), s)
    answer(session, user_done(user, f"the password of {name} was set; all sessions of {name} were ended"))
    return 0


def user_sessions_command(session: CommandCall, name: str) -> int:
    from deployctl.cli.rendering.access import sessions_table, sessions_text
    from deployctl.usecases.access.sign_in import list_sessions
    from deployctl.usecases.access.users import require_user

    with session.services() as s:
        require_user(name, s)
        answer = as_json(SessionList(name, list_sessions(name, s)))
    session.answer(lambda: answer, lambda look: sessions_text(answer, look), table=lambda look: sessions_table(answer, look),
                   many="sessions")
    return 0


def user_logout_command(session: CommandCall, name: str, number: int | None) -> int:
    from deployctl.usecases.access.outcomes import sessions_ended
    from deployctl.usecases.access.sign_in import end_session, end_sessions
    from deployctl.usecases.access.users import require_user

    with session.services() as s:
        user = require_user(name, s)
        if number is not None:
            end_session(name, number, s)
        ended = 1 if number is not None else end_sessions(name, s)
    answer(session, sessions_ended(user, ended))
    return 0


def user_remove_command(session: CommandCall, name: str, heir: str | None) -> int:
    from deployctl.usecases.access.outcomes import user_removed
    from deployctl.usecases.access.users import remove_user, require_user

    with session.services() as s:
        user = require_user(name, s)
        require_sure(session, f"{name} ({roles_text(user.roles)}) will no longer be able to sign in"
                              f"{'' if heir else _ending(name, s)}. Remove {name}?")
        went = remove_user(name, s, hand_over=heir or _ask_heir(session, name, s))
    answer(session, user_removed(user, went))
    return 0


def _ending(name: str, s: Services) -> str:
    """Return what a confirmation says about the tokens that would be revoked: with --yes no further question is asked."""
    from deployctl.usecases.access.revoke import tokens_of

    tokens = ", ".join(sorted(one.name for one in tokens_of(name, s)))
    return f"; these tokens are revoked, too, unless --hand-over names another admin: {tokens}" if tokens else ""


def _ask_heir(session: CommandCall, name: str, s: Services) -> str | None:
    """Return the admin who takes over the user's tokens; None, which revokes them, with --yes or without a reply."""
    from deployctl.usecases.access.revoke import tokens_of

    tokens = tokens_of(name, s)
    if not tokens or session.yes or not session.may_ask:
        return None
    listed = "\n".join(f"  {one.name} ({roles_text(one.roles)}), last used {one.used_at or 'never'}" for one in tokens)
    return session.ask(f"These tokens lose their rights together with {name}:\n{listed}\n"
                       "Name of the admin who takes them over, or Enter to revoke them:") or None
