"""The calls about users, their sessions and tokens: for admins of the whole server, except those about oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, g

from deployctl.domain.host.access import SCOPE_ROLES, Principal, Role, given, parse_role
from deployctl.errors import NotFound, NotPermitted
from deployctl.usecases.access.change_password import change_own_password
from deployctl.usecases.access.outcomes import (
    create_link,
    link_added,
    revoke,
    role_set,
    sessions_ended,
    user_done,
    user_removed,
)
from deployctl.usecases.access.sign_in import end_session, end_sessions, list_sessions, require_recent
from deployctl.usecases.access.tokens import create_token, list_tokens
from deployctl.usecases.access.users import (
    add_user,
    list_users,
    remove_user,
    require_user,
    set_password,
    set_role,
)
from deployctl.usecases.listings import (
    SessionList,
    TokenCreated,
    TokenList,
    UserLink,
    UserList,
    count_sessions,
    created,
    with_state,
)
from deployctl.usecases.results import Done
from deployctl_web.api.endpoint import Models, documented
from deployctl_web.security.authorization import SIGNED_IN, needs
from deployctl_web.security.recent_sign_in import count_own_password
from deployctl_web.state import web_state

if TYPE_CHECKING:
    from deployctl_web.api.request_models import (
        LinkBody,
        PasswordBody,
        RemoveQuery,
        RoleBody,
        SessionsQuery,
        TokenBody,
        UserBody,
    )

people = Blueprint("api_people", __name__, url_prefix="/api/v1")
asked = Models("request_models")
ADMIN, CHANGE = needs(Role.ADMIN), needs(Role.ADMIN, recent=True)
ALONG = ("If the user is then no longer a server admin, their tokens end unless `hand_over` names another admin; their "
         "operations on apps they may no longer change are aborted.")


# -- users --------------------------------------------------------------------------------------------------------------
@people.get("/users")
@ADMIN
@documented("List users", UserList, more="As `deployctl user list -o json`.")
def users() -> UserList:
    with web_state().pool.lend(g.who.actor) as s:
        return count_sessions(list_users(s), list_sessions(None, s))


@people.post("/users")
@CHANGE
@documented("Add a user", UserLink, body=asked.UserBody, secret=True,
      more="The response contains a one-time sign-in link, shown only once.")
def user_add(body: UserBody) -> UserLink:
    with web_state().pool.lend(g.who.actor) as s:
        return link_added(add_user(body.name, given(parse_role(body.role), body.apps), s), s)


@people.post("/users/<user>/link")
@CHANGE
@documented("Create a one-time sign-in link", UserLink, body=asked.LinkBody, secret=True,
      more="It is shown only once.")
def user_link(user: str, body: LinkBody) -> UserLink:
    with web_state().pool.lend(g.who.actor) as s:
        return create_link(user, s, minutes=body.minutes)


@people.post("/users/<user>/role")
@CHANGE
@documented("Set the role of a user", Done, body=asked.RoleBody, more=ALONG)
def user_role(user: str, body: RoleBody) -> Done:
    role = None if body.role is None else parse_role(body.role)
    with web_state().pool.lend(g.who.actor) as s:
        changed, went = set_role(user, role, body.app, s, hand_over=body.hand_over)
        return role_set(changed, went)


@people.post("/users/<user>/password")
@needs(SIGNED_IN)
@documented("Change a password", Done, body=asked.PasswordBody,
      more="Your own, with `current_password`; server admins may change any user's. The user's other sessions end.")
def user_password(user: str, body: PasswordBody) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        if is_own(user):
            count_own_password()
            change_own_password(g.who, body.current_password or "", body.password, s)
        else:
            _require_admin()
            require_recent(g.who, s)
            require_user(user, s)
            set_password(user, body.password, s)
        return user_done(require_user(user, s), f"{user} has a new password; other sessions of {user} have ended")


@people.post("/users/<user>/end")
@needs(SIGNED_IN)
@documented("Sign a user out everywhere", Done, more="Your own; server admins may end any user's.")
def user_end(user: str) -> Done:
    _require_own_or_admin(user)
    with web_state().pool.lend(g.who.actor) as s:
        return sessions_ended(require_user(user, s), end_sessions(user, s))


@people.delete("/users/<user>")
@CHANGE
@documented("Delete a user and end their sessions", Done, query=asked.RemoveQuery, more=f"{ALONG}")
def user_remove(user: str, query: RemoveQuery) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        gone = require_user(user, s)
        went = remove_user(user, s, hand_over=query.hand_over)
    return user_removed(gone, went)


# -- tokens -------------------------------------------------------------------------------------------------------------
@people.get("/tokens")
@ADMIN
@documented("List API tokens", TokenList, more="As `deployctl token list -o json`: never their secrets.")
def tokens() -> TokenList:
    with web_state().pool.lend(g.who.actor) as s:
        return with_state(list_tokens(s), now=s.clock.utc())


@people.post("/tokens")
@CHANGE
@documented("Create an API token", TokenCreated, body=asked.TokenBody, secret=True, more="The secret is shown only once.")
def token_create(body: TokenBody) -> TokenCreated:
    with web_state().pool.lend(g.who.actor) as s:
        made = create_token(body.name, given(SCOPE_ROLES[body.scope], body.apps), s, days=body.days, owner=g.who.owner)
        return created(made.token, made.secret, now=s.clock.utc())


@people.delete("/tokens/<token>")
@CHANGE
@documented("Revoke an API token immediately", Done)
def token_revoke(token: str) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        return revoke(token, s)


# -- sessions -----------------------------------------------------------------------------------------------------------
@people.get("/sessions")
@needs(SIGNED_IN)
@documented("List the sessions of a user", SessionList, query=asked.SessionsQuery,
      more="As `deployctl user sessions NAME -o json`: your own; server admins may list any user's.")
def sessions(query: SessionsQuery) -> SessionList:
    if query.user is None and g.who.via != "web":
        raise NotPermitted("A token has no sessions of its own.", remedy=["name a user: ?user=NAME"])
    name = query.user or g.who.name
    _require_own_or_admin(name)
    with web_state().pool.lend(g.who.actor) as s:
        require_user(name, s)
        return SessionList(name, list_sessions(name, s))


@people.delete("/sessions/<session>")
@needs(SIGNED_IN)
@documented("End a session", Done, more="Your own; server admins may end any user's.")
def session_end(session: int) -> Done:
    with web_state().pool.lend(g.who.actor) as s:
        found = next((one for one in list_sessions(None, s) if one.id == session), None)
        if found is None or not (is_own(found.user) or g.who.may(Role.ADMIN, None)):
            raise NotFound("there is no such session here.")
        end_session(found.user, session, s)
        return user_done(require_user(found.user, s), f"session {session} of {found.user} ended")


def is_own(name: str) -> bool:
    """Return whether that is the requesting user. A token may have the name of a user, and is not that user."""
    who: Principal = g.who
    return who.via == "web" and who.name == name


def _require_own_or_admin(name: str) -> None:
    if not is_own(name):
        _require_admin()


def _require_admin() -> None:
    if not g.who.may(Role.ADMIN, None):
        raise NotPermitted("This requires the admin role for the whole server. Nothing was done.",
                           remedy=[f"deployctl user role {g.who.name} admin"])
