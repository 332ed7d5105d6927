"""`deployctl token`: credentials for programs. A secret is printed once, when the token is created."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.prompts import require_sure
from deployctl.cli.run_change import answer
from deployctl.cli.session import CommandCall
from deployctl.domain.host.access import given, parse_days, parse_scope, roles_text
from deployctl.usecases.listings import created, with_state
from deployctl.usecases.views import as_json


def token_create_command(session: CommandCall, name: str, scope: str, apps: Sequence[str], expires: str) -> int:
    """Create a token and print its secret; with -q nothing else: `token create ci -q > secret`."""
    from deployctl.cli.rendering.times import when
    from deployctl.usecases.access.tokens import create_token

    roles, days = given(parse_scope(scope), apps), parse_days(expires)
    with session.services(make=True) as s:
        made = create_token(name, roles, s, days=days)
        answer = as_json(created(made.token, made.secret, now=s.clock.utc()))
    until = made.token.expires_at
    session.answer(lambda: answer, lambda look: [made.secret] if look.quiet else [
        f"{look.good} token {name} created: {roles_text(roles)}, "
        f"{f'expires {when(until, look)}' if until else 'never expires'}",
        "  The secret is shown only once:", f"  {made.secret}"])
    session.note("Use it: Authorization: Bearer SECRET", f"Revoke it: deployctl token revoke {name}")
    return 0


def token_list_command(session: CommandCall) -> int:
    from deployctl.cli.rendering.access import tokens_table, tokens_text
    from deployctl.usecases.access.tokens import list_tokens

    with session.services() as s:
        answer = as_json(with_state(list_tokens(s), now=s.clock.utc()))
    session.answer(lambda: answer, lambda look: tokens_text(answer, look), table=lambda look: tokens_table(answer, look),
                   many="tokens")
    return 0


def token_revoke_command(session: CommandCall, name: str) -> int:
    from deployctl.usecases.access.outcomes import revoke
    from deployctl.usecases.access.tokens import require_token

    with session.services() as s:
        require_token(name, s)
        require_sure(session, f"Programs that use the token {name} will be denied immediately. Revoke it?")
        done = revoke(name, s)
    answer(session, done)
    return 0
