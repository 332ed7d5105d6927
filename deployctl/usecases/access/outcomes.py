"""What came of a change of users or tokens: one result for the command line, the API and the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployctl.domain.host.access import roles_text
from deployctl.usecases.access.tokens import go_on, made_with, revoke_token
from deployctl.usecases.access.users import LINK_MINUTES, link_url, make_link, require_user
from deployctl.usecases.clock_math import later
from deployctl.usecases.listings import Link, UserLink
from deployctl.usecases.results import Done
from deployctl.usecases.views import as_json

if TYPE_CHECKING:
    from deployctl.domain.host.access import User, WentAlong
    from deployctl.ports import Services


def user_done(user: User, sentence: str, *, changed: bool = True, went: WentAlong | None = None) -> Done:
    """Return the user as they are now, and what ended along with a right."""
    return Done("User", "", sentence, went.lines if went else (), changed=changed,
                extra={**as_json(user), **(went.fields if went else {})})


def role_set(user: User, went: WentAlong) -> Done:
    return user_done(user, f"{user.name} is now {roles_text(user.roles)}", went=went)


def user_removed(user: User, went: WentAlong) -> Done:
    return user_done(user, f"{user.name} was deleted and signed out everywhere", went=went)


def sessions_ended(user: User, count: int) -> Done:
    ended = f"{count} session{'' if count == 1 else 's'} of {user.name} ended"
    return user_done(user, ended if count else f"{user.name} has no active sessions", changed=count > 0)


def create_link(name: str, s: Services, *, minutes: float = LINK_MINUTES, sentence: str = "") -> UserLink:
    """Create a link that signs the user in once. Raises NotFound."""
    user, until = require_user(name, s), later(s.clock.utc(), minutes * 60)
    url = link_url(make_link(name, s, minutes=minutes), s)
    return UserLink(user, sentence or f"one-time sign-in link for {name}", Link(url, until))


def link_added(user: User, s: Services) -> UserLink:
    """Create the first link of a user who was just added."""
    return create_link(user.name, s, sentence=f"{user.name} can sign in as {roles_text(user.roles)}")


def revoke(name: str, s: Services) -> Done:
    """Revoke the token and return what ended along with it, and which tokens that it created stay valid. Raises NotFound."""
    went, others = revoke_token(name, s), made_with(name, s)
    return Done("Token", "", f"token {name} is revoked", (*went.lines, *go_on(others)),
                extra={"name": name, "made_with_it": others, "changes_stopped": list(went.stopped)})
