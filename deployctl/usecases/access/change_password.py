"""Changing one's own password takes the current one: an unlocked browser is not enough."""

from __future__ import annotations

from deployctl.errors import NotPermitted
from deployctl.usecases.access.passwords import fits
from deployctl.usecases.access.sign_in import ATTEMPTS_KEPT_SECONDS, require_patience, require_recent
from deployctl.usecases.access.users import require_user, set_password
from deployctl.usecases.clock_math import later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.access import Principal
    from deployctl.ports import Services


def change_own_password(who: Principal, was: str, password: str, s: Services) -> None:
    """Change it and end the user's other sessions. A user who never had a password needs none to set one, but a recent
    sign-in.

    Raises NotPermitted (wrong current password), SignInAgain, TooManyTries, Invalid.
    """
    user = require_user(who.name, s)
    if user.password is None:
        require_recent(who, s)
    else:
        require_patience(who.name, s)
        if not fits(user.password, was):
            now = s.clock.utc()
            s.ledger.count_try(who.name, at=now, since=later(now, -ATTEMPTS_KEPT_SECONDS))
            raise NotPermitted("The current password is wrong. Nothing was changed.",
                               remedy=[f"deployctl user link {who.name}   # a one-time link, if it is forgotten"])
    set_password(who.name, password, s, keep=who.session)
