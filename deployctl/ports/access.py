"""What the ledger stores of users, their sessions and their tokens, and of what was done. Secrets only as hashes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from deployctl.domain.host.access import KeptAnswer, Role, SignIn, Token, Tries, User
    from deployctl.domain.host.denied_changes import RefusedChange
    from deployctl.domain.host.folding import Folded
    from deployctl.domain.inputs.names import AppName


class AnswerBook(Protocol):
    """A part of the ledger, with the same errors. A key belongs to one principal, `who`."""

    def begin_answer(self, who: str, key: str, asked: str, *, at: str, since: str) -> KeptAnswer | None:
        """Return None if nobody used the key after `since`: it is taken now. Else what became of that request."""
    def finish_answer(self, who: str, key: str, *, status: int, body: str) -> None: ...
    def forget_answer(self, who: str, key: str) -> None: ...
    def forget_answers(self, *, before: str, most: int) -> None: ...


class AccessBook(AnswerBook, Protocol):
    """A part of the ledger, with the same errors. A `hash_` is SHA-256 in hexadecimal."""

    origin: tuple[str, str] | None  # an actor and the address of the request: recorded with each of their events

    def users(self) -> list[User]: ...
    def find_user(self, name: str) -> User | None: ...
    def add_user(self, user: User) -> bool:
        """Return False, and change nothing, if there is one of that name."""
    def set_roles(self, name: str, roles: Mapping[str, Role]) -> None: ...
    def set_password(self, name: str, hash_: str | None) -> None: ...
    def remove_user(self, name: str, *, at: str) -> None:
        """Delete it; its sessions end and its links are void."""
    def tries(self, name: str) -> Tries: ...
    def count_try(self, name: str, *, at: str, since: str) -> None:
        """Count one more failed attempt; those before `since` are deleted, of every name."""
    def forget_tries(self, name: str) -> None: ...

    def add_link(self, hash_: str, user: str, *, at: str, until: str, maker: str) -> None: ...
    def forget_links(self, *, of: str = "", by: str = "") -> None:
        """Void the one-time links for that user, and those that this actor created."""
    def take_link(self, hash_: str, *, at: str) -> str | None:
        """Return whose link it is, once and before it expires; None ever after."""
    def add_sign_in(self, hash_: str, user: str, *, at: str, address: str, agent: str) -> SignIn: ...
    def find_sign_in(self, hash_: str) -> SignIn | None: ...
    def sign_ins(self, user: str | None = None) -> list[SignIn]:
        """Return the active ones, newest first."""
    def nth_sign_in(self, user: str, nth: int) -> str | None:
        """Return when the user signed in the nth last time, 1 for the last; None if there are fewer."""
    def touch_sign_in(self, id_: int, *, at: str) -> None: ...
    def end_sign_ins(self, user: str, *, at: str, id_: int | None = None, but: int | None = None) -> int:
        """End that one, or all of the user's except `but`. Return how many were active."""

    def add_token(self, token: Token, hash_: str) -> Token | None:
        """Return it with its id; None if a token of that name is in use."""
    def tokens(self) -> list[Token]:
        """Return the active ones, and of the others the newest; latest first."""
    def find_token(self, hash_: str) -> Token | None: ...
    def touch_token(self, id_: int, *, at: str, address: str) -> None: ...
    def revoke_token(self, name: str, *, at: str) -> bool: ...
    def revoke_tokens_of(self, owner: str, *, at: str) -> list[str]:
        """Revoke all of the owner's, and return their names."""
    def hand_over_tokens(self, owner: str, heir: str) -> list[str]:
        """Make them end with the heir's rights instead, and return their names."""

    def note_refusal(self, one: RefusedChange) -> None:
        """Count it in the line of its user, route and minute; the line becomes an event once the minute is over."""
    def record_refusals(self, *, at: str) -> None:
        """Write events for the lines of minutes that are over at that time."""
    def fold_refusals(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the next lines of rejected changes that were recorded before that time, or exceed the limit, into a
        checkpoint. Empty if nothing is left to fold."""
    def fold_repeated(self, *, at: str, actor: str) -> Folded:
        """Fold the next lines of what one actor has done more often than is kept into a checkpoint."""
    def fold_plans(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the plans of the next deployments that were closed before that time, or exceed the limit."""
    def find_events(self, *, app: AppName | None = None, among: Collection[AppName] | None = None, who: str | None = None,
                    what: str | None = None, before: int | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return events, latest first, those before the id `before`. `among`: of these apps only; `who` is a name
        without the door; `what` is a kind, or the kind of the deployment recorded."""
