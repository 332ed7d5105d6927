"""What the ledger remembers of people, their sessions and their tokens, and of what was done. Secrets are hashes only."""

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
        """Return None when nobody used the key after `since`: it is taken now. Else what became of that request."""
    def finish_answer(self, who: str, key: str, *, status: int, body: str) -> None: ...
    def forget_answer(self, who: str, key: str) -> None: ...
    def forget_answers(self, *, before: str, most: int) -> None: ...


class AccessBook(AnswerBook, Protocol):
    """A part of the ledger, with the same errors. A `hash_` is SHA-256 in hexadecimal."""

    origin: tuple[str, str] | None  # an actor and the address that he asks from: told with each event of his

    def users(self) -> list[User]: ...
    def find_user(self, name: str) -> User | None: ...
    def add_user(self, user: User) -> bool:
        """Return False, and change nothing, when there is one of that name."""
    def set_roles(self, name: str, roles: Mapping[str, Role]) -> None: ...
    def set_password(self, name: str, hash_: str | None) -> None: ...
    def remove_user(self, name: str, *, at: str) -> None:
        """Forget it; its sessions end and its links are void."""
    def tries(self, name: str) -> Tries: ...
    def count_try(self, name: str, *, at: str, since: str) -> None:
        """Count one more refused attempt; those before `since` are forgotten, of every name."""
    def forget_tries(self, name: str) -> None: ...

    def add_link(self, hash_: str, user: str, *, at: str, until: str, maker: str) -> None: ...
    def forget_links(self, *, of: str = "", by: str = "") -> None:
        """Void the one-time links of that user, and those that this actor made."""
    def take_link(self, hash_: str, *, at: str) -> str | None:
        """Return whose link it is, once and before it expires; None ever after."""
    def add_sign_in(self, hash_: str, user: str, *, at: str, address: str, agent: str) -> SignIn: ...
    def find_sign_in(self, hash_: str) -> SignIn | None: ...
    def sign_ins(self, user: str | None = None) -> list[SignIn]:
        """Return the open ones, the newest first."""
    def nth_sign_in(self, user: str, nth: int) -> str | None:
        """Return when the user signed in for the last time but so many, 1 for the last; None when there are fewer."""
    def touch_sign_in(self, id_: int, *, at: str) -> None: ...
    def end_sign_ins(self, user: str, *, at: str, id_: int | None = None, but: int | None = None) -> int:
        """End that one, or all of the user's except `but`. Return how many were open."""

    def add_token(self, token: Token, hash_: str) -> Token | None:
        """Return it with its id; None when a token of that name is in use."""
    def tokens(self) -> list[Token]:
        """Return those that nobody has revoked, and of the others the newest; the last one made first."""
    def find_token(self, hash_: str) -> Token | None: ...
    def touch_token(self, id_: int, *, at: str, address: str) -> None: ...
    def revoke_token(self, name: str, *, at: str) -> bool: ...
    def revoke_tokens_of(self, owner: str, *, at: str) -> list[str]:
        """End all that the owner has, and return their names."""
    def hand_over_tokens(self, owner: str, heir: str) -> list[str]:
        """Let them end with the heir's rights instead, and return their names."""

    def note_refusal(self, one: RefusedChange) -> None:
        """Count it in the line of its person, route and minute; the line is told once the minute is over."""
    def record_refusals(self, *, at: str) -> None:
        """Write the lines of minutes that are over at that time among the events."""
    def fold_refusals(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the next lines of refused changes that were told before that time, or are more than are kept, into a
        checkpoint. Empty when nothing is left to fold."""
    def fold_repeated(self, *, at: str, actor: str) -> Folded:
        """Fold the next lines of what one actor has done more often than is kept into a checkpoint."""
    def fold_plans(self, *, before: str, at: str, actor: str) -> Folded:
        """Fold the plans of the next deployments that were closed before that time, or are more than are kept."""
    def find_events(self, *, app: AppName | None = None, among: Collection[AppName] | None = None, who: str | None = None,
                    what: str | None = None, before: int | None = None, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return events, the last one first, those before the id `before`. `among`: of these apps only; `who` is a name
        without the way; `what` is a kind, or the kind of the deployment that was told."""
