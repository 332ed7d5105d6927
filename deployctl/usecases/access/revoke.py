"""What ends along with a right: tokens that depend on it, and the one-time links and changes that it was used for.

All of it happens in the transaction that ends the right, so that no other process sees one without the other.
"""

from __future__ import annotations

from collections.abc import Callable

from deployctl.domain.host.access import WentAlong, rules_server
from deployctl.domain.host.actor import Actor, Via
from deployctl.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import Token
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services


def tokens_of(owner: str, s: Services) -> list[Token]:
    """Return the active tokens that end when that user is removed or is no longer an admin."""
    now = s.clock.utc()
    return [token for token in s.ledger.tokens() if token.owner == owner and token.state(now) == "in_use"]


def end_with(user: str, may: Callable[[AppName], bool], s: Services, *, heir: str | None = None,
             keeps_tokens: bool = False) -> WentAlong:
    """End the user's tokens, or hand them over to the heir, and ask changes to stop that were begun with what ended: by
    the user in an app that they `may` no longer change, or by a token. Raises Refused (the heir is not an admin)."""
    ended, handed = [], []
    if not keeps_tokens and heir is not None:
        _require_heir(user, heir, s)
        handed = s.ledger.hand_over_tokens(user, heir)
    elif not keeps_tokens:
        ended = s.ledger.revoke_tokens_of(user, at=s.clock.utc())
    if not keeps_tokens:
        s.ledger.forget_links(by=Actor(user, Via.WEB))
    stopped = [*stop_changes(Actor(user, Via.WEB), may, s), *(one for name in ended for one in end_with_token(name, s))]
    return WentAlong(tuple(ended), tuple(handed), heir, tuple(stopped))


def end_with_token(name: str, s: Services) -> list[str]:
    """Void the links that the token created, ask its changes to stop, and return those."""
    actor = Actor(name, Via.TOKEN)
    s.ledger.forget_links(by=actor)
    return stop_changes(actor, lambda _app: False, s)


def stop_changes(actor: str, may: Callable[[AppName], bool], s: Services) -> list[str]:
    """Ask that actor's deployments in progress to stop, except in apps that they may change; return them as `upgrade of
    shop`."""
    return [f"{one.kind} of {one.app}" for one in s.ledger.open_deployments()
            if one.actor == actor and not may(one.app) and s.ledger.ask_abort(one.app, actor=s.actor)]


def _require_heir(user: str, heir: str, s: Services) -> None:
    found = s.ledger.find_user(heir)
    if found is None or heir == user or not rules_server(found.roles):
        raise Refused(f"{heir} is not another admin of this server and cannot take over tokens. Nothing was changed.",
                      remedy=["deployctl user list", "name an admin of the whole server, or no one to revoke the tokens"])
